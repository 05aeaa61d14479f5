"""The fast path for processors: energy, cycles and validity of whole batches, compiled, spread over threads.

Held to `reference.py`. Whole numbers below 2^53 are exact; larger ones are rounded here, where the reference refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.kernels.jit import compiled
from coevo.kernels.mapping_cost.block import cost_block
from coevo.kernels.mapping_cost.packed import ALONG, LANES, RANK, TEMPORAL, new_block, packed
from coevo.kernels.mapping_cost.tables import MappingArrays, Tables
from coevo.kernels.threads import in_parts

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class BatchCosts:
    """float64 [B] each. `excess` is 0 where the mapping is valid; otherwise the sum of `reference.excess_bits`,
    `axis_excess` and `uncovered`: how far it is from fitting."""

    energy_pj: Array
    cycles: Array
    excess: Array


@compiled
def load(mappings: Array, rows: Array, seen: Array) -> None:
    """[lanes, ., 8] -> rows [., 8] of neighbouring mappings. seen [8] gathers the bits of every number by loop."""
    for i in range(mappings.shape[0]):
        for group in range(mappings.shape[1]):
            for d in range(8):
                number = mappings[i, group, d]
                rows[8 * group + d, i] = number
                seen[d] |= number


@compiled
def loops_of(seen: Array, loops: Array) -> Array:
    """The loops of which not every bound is 1, in `loops` [8]."""
    found = 0
    for d in range(8):
        loops[found] = d
        found += seen[d] != 1
    return loops[:found]


@compiled
def cost_range(
    layer: Array, memory: Array, axis: Array, temporal: Array, rank: Array, spatial: Array, k: Array,
    at: Array, energy: Array, cycles: Array, excess: Array,
) -> None:  # fmt: skip
    """The mappings one after the other in blocks: temporal, rank [B, L, 8], spatial [B, A, 8]."""
    # A loop that one block uses stays in use: rows of loops that no block has used so far hold ones.
    seen, ranks, loops = np.zeros(8, np.int64), np.zeros(8, np.int64), np.zeros(9, np.int64)
    for start in range(0, len(energy), LANES):
        lanes = min(LANES, len(energy) - start)
        stop = start + lanes
        load(temporal[start:stop], k[at[TEMPORAL] :], seen)
        load(spatial[start:stop], k[at[ALONG] :], seen)
        load(rank[start:stop], k[at[RANK] :], ranks)
        used = loops_of(seen, loops)
        cost_block(layer, memory, axis, used, lanes, k, at, energy[start:stop], cycles[start:stop], excess[start:stop])


def evaluate(tables: Tables, mappings: MappingArrays, threads: int = 1) -> BatchCosts:
    """Energy (pJ), cycles and excess of every mapping; the same numbers for any number of threads."""
    layer, memory, axis = packed(tables)
    batch = len(mappings)
    energy, cycles, excess = np.empty(batch), np.empty(batch), np.empty(batch)
    temporal, rank, spatial = (
        np.ascontiguousarray(part, dtype=np.int64) for part in (mappings.temporal, mappings.rank, mappings.spatial)
    )

    def work(part: slice) -> None:
        block, first = new_block(tables.levels, tables.axes)
        cost_range(layer, memory, axis, temporal[part], rank[part], spatial[part], block, first,
                   energy[part], cycles[part], excess[part])  # fmt: skip

    if batch:
        in_parts(work, batch, threads)
    return BatchCosts(energy, cycles, excess)
