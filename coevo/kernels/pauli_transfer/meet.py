"""Operators on four qubits in encoded samples, compiled: what most judgements of small circuits end with."""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled
from coevo.kernels.pauli_transfer.products import PIECE, mix


@compiled
def meet_four(coefficients: Any, first: Any, second: Any, third: Any, fourth: Any, out: Any) -> None:
    """out [samples, n_obs] = operators [n_obs, 16, 16] in product states, whose qubits have the Pauli vectors `first`,
    `second`, `third` and `fourth` [4, samples]; the first two are the digits of the operators' middle index."""
    samples = out.shape[0]
    kind = out.dtype
    left, right = np.zeros(16 * PIECE, kind), np.zeros(16 * PIECE, kind)
    partial, total = np.empty(16 * PIECE, kind), np.empty(PIECE, kind)
    for begin in range(0, samples, PIECE):
        width = min(PIECE, samples - begin)
        for i in range(4):
            for j in range(4):
                at = PIECE * (4 * i + j)
                for k in range(width):
                    left[at + k] = first[i, begin + k] * second[j, begin + k]
                    right[at + k] = third[i, begin + k] * fourth[j, begin + k]
        for operator in range(len(coefficients)):
            mix(coefficients[operator], right, partial)
            for k in range(PIECE):
                total[k] = left[k] * partial[k]
            for at in range(PIECE, 16 * PIECE, PIECE):
                for k in range(PIECE):
                    total[k] += left[at + k] * partial[at + k]
            for k in range(width):
                out[begin + k, operator] = total[k]
