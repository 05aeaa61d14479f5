"""Equal mappings have equal identities, different ones different identities."""

import itertools

import numpy as np

from coevo.kernels.mapping_cost import MappingArrays
from coevo.kernels.mapping_cost.distinct import identities


def test_identities_are_those_of_bounds_and_orders_of_loops_that_move():
    rng = np.random.default_rng(0)
    batch = 3000
    temporal = rng.choice([1, 1, 1, 2, 3], size=(batch, 2, 8)).astype(np.int64)
    temporal[:, :, 3:] = 1
    spatial = np.ones((batch, 1, 8), dtype=np.int64)
    spatial[:, 0, :2] = rng.integers(1, 3, size=(batch, 2))
    rank = np.argsort(rng.random((batch, 2, 8)), axis=-1)
    keys = [
        (
            *temporal[row].ravel().tolist(),
            *spatial[row].ravel().tolist(),
            *(tuple(d for d in np.argsort(rank[row, level]) if temporal[row, level, d] > 1) for level in range(2)),
        )
        for row in range(batch)
    ]
    found = identities(MappingArrays(temporal, rank, spatial))
    assert found.dtype == np.uint64
    assert len(set(zip(keys, found.tolist(), strict=True))) == len(set(keys)) == len(set(found.tolist())) < batch


def test_every_order_of_three_loops_is_another_mapping():
    temporal = np.ones((6, 1, 8), dtype=np.int64)
    temporal[:, 0, [1, 4, 6]] = 2
    rank = np.tile(np.arange(8), (6, 1, 1))
    for row, places in enumerate(itertools.permutations((0, 3, 7))):
        rank[row, 0, [1, 4, 6]] = places
    assert len(set(identities(MappingArrays(temporal, rank, np.ones((6, 0, 8), dtype=np.int64))).tolist())) == 6
    moved = temporal.copy()
    moved[:, 0, [1, 4, 6]] = 1  # without loops that move there is no order
    assert len(set(identities(MappingArrays(moved, rank, np.ones((6, 0, 8), dtype=np.int64))).tolist())) == 1
