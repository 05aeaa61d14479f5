"""State vectors: circuits, losses and energies with gradients, compiled, beside the plain gate-by-gate reference."""

from coevo.kernels.statevector.circuit import Circuit, Record
from coevo.kernels.statevector.energy import Energy
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
    "Readout",
    "Record",
    "Rotation",
    "apply_gate",
    "expectations_z",
    "gate_matrix",
    "product_states",
    "run_gates",
    "z_signs",
    "zero_state",
]
