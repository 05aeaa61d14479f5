"""What circuits give, by their states and under noise: logits of a classifier, or the energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from coevo.cost_models.circuit_noise import noisy_expectations, noisy_pauli_sums, read_program
from coevo.hardware.quantum import QuantumDevice
from coevo.kernels.statevector import expectations_z
from coevo.spaces.quantumnas.setting import Task
from coevo.spaces.quantumnas.tasks.task import GroundState

Array = NDArray[Any]


def outputs_of_states(task: Task, states: Array) -> Array:
    """Logits [examples, classes] or energies [examples] of states [examples, 2^n]."""
    if isinstance(task, GroundState):
        energies: Array = task.hamiltonian.expectation(states)
        return energies
    logits: Array = expectations_z(states) @ task.head
    return logits


def noisy_outputs(task: Task, isa: QuantumCircuit, device: QuantumDevice, inputs: Array) -> Array:
    """Logits [examples, classes] of inputs [examples, columns], or the energy [1], of a mapped circuit with its inputs
    unbound, exact under the device's noise. InputError for a circuit that the engine refuses."""
    if isinstance(task, GroundState):
        sums = task.hamiltonian
        found: Array = noisy_pauli_sums([read_program(isa, device)], sums.labels, sums.coefficients[None])[0, :, 0]
        return found
    parameters = sorted(isa.parameters, key=lambda parameter: int(parameter.name[2:-1]))
    columns = [int(parameter.name[2:-1]) for parameter in parameters]
    program = read_program(isa, device, inputs=parameters)
    logits: Array = noisy_expectations([program], np.ascontiguousarray(inputs[:, columns]))[0] @ task.head
    return logits
