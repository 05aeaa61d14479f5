"""The plain reference: a dense density matrix, gate by gate, sample by sample. Slow and obvious.

It shares no arithmetic with the fast path: gates come from Qiskit's matrices, errors from qiskit-aer's noise
model, the state is a complex density matrix, and readout error acts on probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from coevo.cost_models.circuit_noise.gates import read_gates
from coevo.hardware.quantum.pauli import Matrix

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from coevo.hardware.quantum import QuantumDevice


def reference_expectations(circuit: QuantumCircuit, device: QuantumDevice, qubits: Sequence[int]) -> Matrix:
    """Measured <Z> [n_obs] of `qubits` after a noisy circuit on |0...0>; encoder and body in one circuit.

    `circuit` is bound and transpiled, on physical qubits. The density matrix covers the qubits that carry a
    gate or are read: 4^k complex numbers, so keep k at 7 or below.
    """
    from qiskit.quantum_info import DensityMatrix, Operator, SuperOp
    from qiskit_aer.noise import thermal_relaxation_error

    gates, _ = read_gates(circuit, device)
    active = sorted({q for gate in gates if gate.name != "delay" for q in gate.qubits} | set(qubits))
    gates = [gate for gate in gates if set(gate.qubits) <= set(active)]  # a qubit that only waits touches nothing
    position = {qubit: index for index, qubit in enumerate(active)}
    errors = device.noise_model._local_quantum_errors
    state = DensityMatrix.from_label("0" * len(active))
    for name, places, params in gates:
        where = [position[q] for q in places]
        if name == "delay":
            t1_s, t2_s = device.target.qubit_properties[places[0]].t1, device.target.qubit_properties[places[0]].t2
            state = state.evolve(SuperOp(thermal_relaxation_error(t1_s, min(t2_s, 2 * t1_s), params[0])), qargs=where)
            continue
        gate = device.target.operation_from_name(name)
        if params:
            gate = gate.base_class(*params)
        state = state.evolve(Operator(gate), qargs=where)
        error = errors.get(name, {}).get(places)
        if error is not None:
            state = state.evolve(SuperOp(error), qargs=where)
    result = []
    for qubit in qubits:
        prepared = state.probabilities([position[qubit]])
        measured = device.readout_matrix(qubit) @ prepared
        result.append(measured[0] - measured[1])
    return np.array(result)
