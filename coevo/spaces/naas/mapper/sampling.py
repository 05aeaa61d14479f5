"""Random search, the control: mappings drawn evenly from the unit cube of the encoding, the best kept."""

from __future__ import annotations

import numpy as np

from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.kernels.mapping_cost.evolve import Room
from coevo.spaces.naas.mapper.encoding import gene_count, live_genes
from coevo.spaces.naas.mapper.goals import nothing_fits

BATCH = 256


def best_of(tables: Tables, generator: np.random.Generator, evaluations: int, goal: str) -> MappingArrays:
    """The best of `evaluations` mappings, as a batch of one."""
    room = Room(tables)
    live = live_genes(tables, "importance")
    points = np.full((gene_count(tables, "importance"), BATCH), 0.5)
    best, value = points[:, :1], np.inf
    for start in range(0, evaluations, BATCH):
        size = min(BATCH, evaluations - start)
        drawn = np.ascontiguousarray(points[:, :size])
        drawn[live] = generator.random((len(live), size))
        values = room.values(drawn, goal)
        first = int(np.argmin(values))
        if values[first] < value:
            value, best = float(values[first]), drawn[:, [first]]
    if value == np.inf:
        raise nothing_fits(evaluations)
    return room.decode(best)
