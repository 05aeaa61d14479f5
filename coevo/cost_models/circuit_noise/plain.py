"""The plain reference of `batch`: every sample's Pauli vector pushed through every row, encoder and body alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.circuit_noise.program import Encoder, Program, Rows, affine_angles
from coevo.hardware.quantum.pauli import ZERO_STATE
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS

Array = NDArray[Any]


def plain_expectations(program: Program, inputs: Array, max_qubits: int) -> Array:
    """Measured <Z> [samples, n_obs] of one program, float64: no light cone, no merging, sample by sample."""
    from coevo.cost_models.circuit_noise.batch import too_large, with_own_matrices
    from coevo.kernels.pauli_transfer import push_forward, row_matrices

    entangled = program.body.rows[program.body.rows[:, 1] >= 0, :2]
    qubits = sorted({*entangled.ravel().tolist(), *program.read})  # no other can influence a readout
    if len(qubits) > max_qubits:
        raise too_large(program, len(qubits), max_qubits)
    table = program.device.channels
    result = np.empty((len(inputs), len(program.read)))
    for sample, values in enumerate(inputs):
        state = np.ones(())
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
        for column, (qubit, (identity, z)) in enumerate(zip(program.read, program.readout, strict=True)):
            place: list[int] = [0] * len(qubits)
            mean = identity * state[tuple(place)]
            place[qubits.index(qubit)] = 3
            result[sample, column] = mean + z * state[tuple(place)]
    return result
