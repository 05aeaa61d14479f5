"""Random search, the control: mappings drawn evenly from the unit cube of the encoding, the best kept."""

from __future__ import annotations

import numpy as np

from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.spaces.naas.mapper.encoding import decode, gene_count
from coevo.spaces.naas.mapper.goals import judge

BATCH = 256


def best_of(tables: Tables, generator: np.random.Generator, evaluations: int, goal: str) -> MappingArrays:
    """The best of `evaluations` mappings, as a batch of one; all of them fit."""
    best: MappingArrays | None = None
    value = np.inf
    genes = gene_count(tables, "importance")
    for start in range(0, evaluations, BATCH):
        mappings = decode(tables, generator.random((min(BATCH, evaluations - start), genes)))
        judged = judge(tables, mappings, goal)
        values = np.where(judged.overflow > 0.0, np.inf, judged.value)
        first = int(np.argmin(values))
        if values[first] < value:
            value = float(values[first])
            best = MappingArrays(mappings.temporal[[first]], mappings.rank[[first]], mappings.spatial[[first]])
    if best is None:
        raise AssertionError("a vector decoded to a mapping that does not fit")
    return best
