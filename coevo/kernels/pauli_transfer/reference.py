"""The plain reference: rows applied one after the other to a dense tensor, in NumPy. No merging, no light cone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def row_matrices(
    rows: NDArray[np.int32],
    angles: Matrix,
    singles: Matrix,
    doubles: Matrix,
    single_basis: Matrix,
    double_basis: Matrix,
) -> list[Matrix]:
    """The noisy PTM of every row, [4, 4] or [16, 16]."""
    made = []
    for (_, second, rotation, after), angle in zip(rows.tolist(), angles.tolist(), strict=True):
        basis, matrices = (single_basis, singles) if second < 0 else (double_basis, doubles)
        matrix = np.eye(basis.shape[-1])
        if rotation >= 0:
            constant, cosine, sine = basis[rotation]
            matrix = constant + np.cos(angle) * cosine + np.sin(angle) * sine
        made.append(matrix if after < 0 else matrices[after] @ matrix)
    return made


def pull_back(rows: NDArray[np.int32], matrices: Sequence[Matrix], operator: Matrix, qubits: Sequence[int]) -> Matrix:
    """An operator's Pauli coefficients [4] * k over `qubits` at the end, as those at the beginning: c -> R^T c."""
    return _apply(rows[::-1], [matrix.T for matrix in reversed(matrices)], operator, qubits)


def push_forward(rows: NDArray[np.int32], matrices: Sequence[Matrix], state: Matrix, qubits: Sequence[int]) -> Matrix:
    """A Pauli vector [4] * k over `qubits` at the beginning, as that at the end: r -> R r."""
    return _apply(rows, list(matrices), state, qubits)


def _apply(rows: NDArray[np.int32], matrices: Sequence[Matrix], tensor: Matrix, qubits: Sequence[int]) -> Matrix:
    for (first, second, _, _), matrix in zip(rows.tolist(), matrices, strict=True):
        axes = [list(qubits).index(first)] + ([list(qubits).index(second)] if second >= 0 else [])
        gate: NDArray[Any] = matrix.reshape([4] * (2 * len(axes)))
        moved = np.tensordot(gate, tensor, axes=(range(len(axes), 2 * len(axes)), axes))
        tensor = np.moveaxis(moved, range(len(axes)), axes)
    return tensor


def encode_states(steps: Matrix, first: Matrix, angles: Matrix) -> Matrix:
    """One qubit's Pauli vectors [4, samples]: `first` [4], then rotations with parts `steps` [K, 3, 4, 4] (constant,
    cosine, sine) by `angles` [K, samples]."""
    state = np.repeat(first[:, None], angles.shape[1], axis=1)
    for (constant, cosine, sine), angle in zip(steps, angles, strict=True):
        state = constant @ state + np.cos(angle) * (cosine @ state) + np.sin(angle) * (sine @ state)
    return state
