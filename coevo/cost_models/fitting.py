"""Least squares with coefficients that are not negative."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MOST_COLUMNS = 8


def non_negative_least_squares(matrix: Floats, target: Floats) -> Floats:
    """The coefficients [columns] >= 0 whose products with `matrix` [rows, columns] come nearest to `target` [rows].

    The best of all sets of columns: for a handful of them. ValueError for more than `MOST_COLUMNS`.
    """
    columns = matrix.shape[1]
    if columns > MOST_COLUMNS:
        raise ValueError(f"expected at most {MOST_COLUMNS} columns, got {columns}")
    best, least = np.zeros(columns), np.inf
    for mask in range(1, 2**columns):
        chosen = [column for column in range(columns) if mask >> column & 1]
        found = np.linalg.lstsq(matrix[:, chosen], target, rcond=None)[0]
        error = float(((matrix[:, chosen] @ found - target) ** 2).sum())
        if (found >= 0).all() and error < least - 1e-12:
            best, least = np.zeros(columns), error
            best[chosen] = found
    return best
