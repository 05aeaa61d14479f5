"""The plain reference of `batch`: every sample's Pauli vector pushed through every row, encoder and body alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.circuit_noise.pauli_sums import PauliSums
from coevo.cost_models.circuit_noise.program import Encoder, Program, Rows, affine_angles
from coevo.hardware.quantum.measurement import basis_change
from coevo.hardware.quantum.pauli import ZERO_STATE
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS

Array = NDArray[Any]


def plain_expectations(program: Program, inputs: Array, max_qubits: int) -> Array:
    """Measured <Z> [samples, n_obs] of one program, float64: no light cone, no merging, sample by sample."""
    result = np.empty((len(inputs), len(program.read)))
    for sample, (state, qubits) in enumerate(_states(program, inputs, max_qubits)):
        for column, (qubit, (identity, z)) in enumerate(zip(program.read, program.readout, strict=True)):
            place: list[int] = [0] * len(qubits)
            mean = identity * state[tuple(place)]
            place[qubits.index(qubit)] = 3
            result[sample, column] = mean + z * state[tuple(place)]
    return result


def plain_pauli_sums(program: Program, sums: PauliSums, inputs: Array, max_qubits: int) -> Array:
    """Measured Pauli sums [samples, n_obs] of one program: each string by itself, its basis changes as gates."""
    result = np.empty((len(inputs), len(sums.coefficients)))
    for sample, (state, qubits) in enumerate(_states(program, inputs, max_qubits)):
        values = [_string(program, sums, label, state, qubits) for label in sums.labels]
        result[sample] = sums.coefficients @ values if values else 0.0
    return result


def _string(program: Program, sums: PauliSums, label: str, state: Array, qubits: list[int]) -> float:
    for place, letter in enumerate(reversed(label)):
        axis = qubits.index(program.read[place])
        if letter in "XY" and sums.basis_change_noise:
            for name, angles in basis_change(program.device, program.read[place], letter):
                matrix = program.device.transfer_matrix(name, (program.read[place],), angles)
                state = np.moveaxis(np.tensordot(matrix, state, axes=(1, axis)), 0, axis)
            letter = "Z"
        outcome = np.zeros(4)
        outcome["IXYZ".index(letter)] = 1
        if letter != "I" and sums.readout_error:
            identity, z = program.readout[place]
            outcome = z * outcome
            outcome[0] += identity
        state = np.expand_dims(np.tensordot(outcome, state, axes=(0, axis)), axis)
    return float(state[tuple([0] * state.ndim)])  # qubits that are not read have I


def _states(program: Program, inputs: Array, max_qubits: int) -> Iterator[tuple[Array, list[int]]]:
    """For each sample the Pauli vector [4] * k after the circuit, and its k qubits."""
    from coevo.cost_models.circuit_noise.batch import too_large, with_own_matrices
    from coevo.kernels.pauli_transfer import push_forward, row_matrices

    entangled = program.body.rows[program.body.rows[:, 1] >= 0, :2]
    qubits = sorted({*entangled.ravel().tolist(), *program.read})  # no other can influence a readout
    if len(qubits) > max_qubits:
        raise too_large(program, len(qubits), max_qubits)
    table = program.device.channels
    for values in inputs:
        state: Array = np.ones(())
        for _ in qubits:
            state = np.multiply.outer(state, ZERO_STATE)
        owners: list[tuple[Rows, Program | Encoder]] = [(part, program.encoder) for part in program.encoder.parts]
        for part, owner in [*owners, (program.body, program)]:
            rows, singles, doubles = with_own_matrices(owner, part.rows, table.singles, table.doubles)
            angles = affine_angles(part, values)
            inside = np.isin(rows[:, 0], qubits)
            rows, angles = rows[inside], angles[inside]
            matrices = row_matrices(rows, angles, singles, doubles, SINGLE_BASIS, DOUBLE_BASIS)
            state = push_forward(rows, matrices, state, qubits)
        yield state, qubits
