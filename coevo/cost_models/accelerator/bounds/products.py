"""The cost of all mappings of one order class as sums of products over loops.

Within a class (order_classes.py) every count is a product in which each loop has one factor that depends on its chain
alone; rows and columns of the input couple Y with R and X with S, so these pairs count as one group each. So with u_j
the products, chosen chains c_g of the groups g and features f (logarithms of bounds and of row counts),

    log u_j = sum over groups of f_g(c_g) . M_g[:, j]
    energy = sum of e_j u_j + leakage * cycles,   cycles = max over limits i of (sum of d_ij u_j) + ramp,
    room:    sum of a_cj u_j <= 1 for every memory, partition and axis c.

Some e and d are negative: partial sums that start at zero are not read. They come as differences u_A - u_B >= 0, which
are listed so that bounds can treat each as one thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.mapping_cost.tables import C, G, K, N, R, S, X, Y

Floats = NDArray[np.float64]

GROUPS: tuple[tuple[int, ...], ...] = ((N,), (G,), (K,), (C,), (Y, R), (X, S))
"""Loops whose chains are chosen together."""

RowFeature = tuple[Any, ...]
"""("tile", memory), ("joined", memory) or ("moved", memory, joined, loop role, memory of that loop)."""
ENERGY = 0
"""Place of the energy among the targets; limit i of the cycles stands at 1 + i."""


@dataclass(frozen=True, eq=False)
class Product:
    """One u_j: exponents of temporal bounds [L, 8] and spatial bounds [A, 8], and row features of the two windows."""

    temporal: NDArray[np.int64]
    spatial: NDArray[np.int64]
    rows: tuple[RowFeature, ...] = ()
    columns: tuple[RowFeature, ...] = ()

    def key(self) -> tuple[object, ...]:
        return self.temporal.tobytes(), self.spatial.tobytes(), self.rows, self.columns

    def times(self, temporal: Any = 0, spatial: Any = 0) -> Product:
        return Product(self.temporal + temporal, self.spatial + spatial, self.rows, self.columns)


@dataclass(frozen=True, eq=False)
class Sums:
    """The sums of one order class, in plain numbers (module docstring).

    `positive` [1 + I, J]: coefficients of the energy and of the I limits without the differences; `target`, `larger`,
    `smaller` int64 [D] and `weight` [D] (all positive): the differences; `signed` [1 + I, J]: both together. `ramp`
    [J], `room` [c, J]. `matrices` [groups, features, J]: M of every group, of which the first `widths` [groups] rows
    count. `features`: the row features, in the order of their rows.
    """

    matrices: Floats
    widths: NDArray[np.int64]
    features: tuple[RowFeature, ...]
    positive: Floats
    signed: Floats
    target: NDArray[np.int64]
    larger: NDArray[np.int64]
    smaller: NDArray[np.int64]
    weight: Floats
    ramp: Floats
    room: Floats
    leakage: float


def matrices_of(
    products: list[Product], levels: int, axes: int
) -> tuple[Floats, NDArray[np.int64], tuple[RowFeature, ...]]:
    """M of every group, padded to one size; how many rows of each count; and the row features of the last of them."""
    features = sorted({feature for product in products for feature in (*product.rows, *product.columns)})
    matrices = []
    for group in GROUPS:
        blocks = []
        for loop in group:
            blocks.append(np.array([product.temporal[:, loop] for product in products], dtype=np.float64).T)
            blocks.append(
                np.array([product.spatial[:, loop] for product in products], dtype=np.float64).T.reshape(axes, -1)
            )
        if len(group) == 2:
            used = [product.rows if group == (Y, R) else product.columns for product in products]
            blocks.append(
                np.array([[float(feature in own) for own in used] for feature in features]).reshape(-1, len(products))
            )
        matrices.append(np.concatenate(blocks))
    widths = np.array([len(matrix) for matrix in matrices])
    padded = np.zeros((len(GROUPS), int(widths.max()), len(products)))
    for place, matrix in enumerate(matrices):
        padded[place, : len(matrix)] = matrix
    return padded, widths, tuple(features)
