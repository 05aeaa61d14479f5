"""State vectors of a few qubits: fast layered circuits with gradients, beside the plain gate-by-gate reference."""

from coevo.kernels.statevector.circuit import Circuit, Record
from coevo.kernels.statevector.energy import Energy
from coevo.kernels.statevector.layered import LayeredCircuit, Tape
from coevo.kernels.statevector.product import Rotation, product_states
from coevo.kernels.statevector.readout import Readout
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
    "Energy",
    "LayeredCircuit",
    "Readout",
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
