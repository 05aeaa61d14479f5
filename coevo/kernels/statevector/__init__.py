"""State vectors of a few qubits: fast layered circuits with gradients, beside the plain gate-by-gate reference."""

from coevo.kernels.statevector.circuit import Circuit, Record
from coevo.kernels.statevector.layered import LayeredCircuit, Tape
from coevo.kernels.statevector.product import Rotation, product_states
from coevo.kernels.statevector.reference import (
    apply_gate,
    expectations_z,
    gate_matrix,
    run_gates,
    z_signs,
    zero_state,
)

__all__ = [
    "Circuit",
    "LayeredCircuit",
    "Record",
    "Rotation",
    "Tape",
    "apply_gate",
    "expectations_z",
    "gate_matrix",
    "product_states",
    "run_gates",
    "z_signs",
    "zero_state",
]
