"""When two mappings are the same: equal bounds, and at every memory the same order of the loops whose bound is above 1.
As hashes, so that very many can be counted."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from coevo.kernels.mapping_cost.tables import LOOPS, MappingArrays

Array = np.ndarray[Any, np.dtype[np.uint64]]


def identities(mappings: MappingArrays) -> Array:
    """uint64 [B]: equal for equal mappings. Of n different ones about n^2 / 2^65 pairs have the same number."""
    batch, levels = mappings.temporal.shape[:2]
    state = np.zeros(batch, dtype=np.uint64)
    for bounds in (mappings.temporal, mappings.spatial):
        for row in bounds.reshape(batch, -1).T:
            state = mixed(state, row.astype(np.uint64))
    orders = np.zeros(batch, dtype=np.uint64)
    for level in range(levels):
        bits = np.zeros(batch, dtype=np.uint64)
        moves, rank = mappings.temporal[:, level] > 1, mappings.rank[:, level]
        for a, b in combinations(range(LOOPS), 2):
            inside = moves[:, a] & moves[:, b] & (rank[:, a] < rank[:, b])
            bits = bits * np.uint64(2) + inside
        orders = mixed(orders, bits)
    return mixed(state, orders)


def mixed(state: Array, value: Array) -> Array:
    """The hash with one more value: a round of splitmix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    state = (state ^ value) + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
