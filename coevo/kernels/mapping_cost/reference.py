"""The closed form, plainly: how often every word moves, for many mappings of one layer at once (NumPy, int64).

Parashar et al. 2019 (Timeloop, section VI) and Kwon et al. 2019 (MAESTRO) count the same way. For a tensor that is kept
at memory l and, next further out, at memory u:

- What one instance of l fetches is its tile times the reloads. The temporal loops above l are walked from the innermost
  outwards: as long as they do not index the tensor, the tile stays; from the first loop with a bound above 1 that does,
  every bound multiplies. A loop of bound 1 is no loop.
- Memory u is read once for all children that want the same word where the network multicasts, else once for each.
  Children want the same word where the loops that index the tensor stand alike for both.
- `halo_merge`: the input tiles of the children of one network, the one right above l, are read as one tile where it
  multicasts, so that rows that tiles share are read once.
- `sliding_window`: of an input tile that a forward step of the innermost loop that moves it moves along a window, only
  what is new is fetched; of a merged tile too, so a row that one child leaves to another is not read again. A tile is
  otherwise fetched whole, even where it happens to have words of the one before. For windows whose dilation does not
  divide the stride no reuse is claimed unless the step is to the very next tile.
- `fetch_holes`: a tile is a block, with the rows and columns that strides skip; a merged tile likewise.
- Partial sums travel the other way. A word of outputs that is fetched anew starts at zero where no sum exists yet;
  otherwise the sum is read at u and sent down, to one of the children that add to it. When the tile is left, each child
  sends its sums up; where a network reduces, those for the same word become one. The first that arrives for a word
  replaces the sum that was sent down (or begins it); each further one is added to it, a read and a write.
- MAC units hold nothing: every operand is read, and every sum updated, once a MAC. Sums are added at the memory, so
  only products travel there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.kernels.mapping_cost.footprint import footprint, overlap
from coevo.kernels.mapping_cost.tables import (
    INPUTS,
    LOOPS,
    OUTPUTS,
    RELEVANT,
    TENSORS,
    MappingArrays,
    R,
    S,
    Tables,
    X,
    Y,
)

Array = np.ndarray[Any, np.dtype[Any]]
SLIDING = (Y, X, R, S)


@dataclass(frozen=True, eq=False)
class Counts:
    """Words, over the whole chip. `reads`, `writes` int64 [B, L, 3] at each memory; `sent` [B, L, 3]: carried by the
    upper side of the network below each memory; `delivered` [B, L, 3]: carried to (or from) its children one by one.
    `tile_words` [B, L, 3]: held by one instance, 0 where a tensor is not kept. `instances` [B, L]: in use.
    `steps` [B]: time steps of the MAC units. `macs` [B]: with padding."""

    reads: Array
    writes: Array
    sent: Array
    delivered: Array
    tile_words: Array
    instances: Array
    steps: Array
    macs: Array


def level_spatial(tables: Tables, spatial: Array) -> Array:
    """Bounds of the spatial loops below each memory: [B, A, 8] -> [B, L, 8]."""
    together = np.ones((len(spatial), tables.levels, LOOPS), dtype=np.int64)
    for axis, level in enumerate(tables.axis_level):
        together[:, level] *= spatial[:, axis]
    return together


def tiles(temporal: Array, spatial: Array) -> Array:
    """What one instance of each memory sees: [B, L+1, 8]; the last row is the MAC unit's single step."""
    inner = np.ones((temporal.shape[0], temporal.shape[1] + 1, LOOPS), dtype=np.int64)
    for level in range(temporal.shape[1] - 1, -1, -1):
        inner[:, level] = inner[:, level + 1] * temporal[:, level] * spatial[:, level]
    return inner


def _reloads(relevant: Array, temporal: Array, rank: Array, above: int) -> tuple[Array, Array, Array, Array]:
    """(reloads, loop, bound, level): the factor by which a tile below memories 0..above-1 is fetched anew, and the loop
    that moves it first, each [B]; bound 1 where no loop does."""
    batch = len(temporal)
    reloads = np.ones(batch, dtype=np.int64)
    seen = np.zeros(batch, dtype=bool)
    first_loop = np.zeros(batch, dtype=np.int64)
    first_bound = np.ones(batch, dtype=np.int64)
    first_level = np.zeros(batch, dtype=np.int64)
    rows = np.arange(batch)
    for level in range(above - 1, -1, -1):
        loop_at = np.argsort(rank[:, level], axis=-1)  # loops from the innermost outwards
        for place in range(LOOPS):
            loop = loop_at[:, place]
            bound = temporal[rows, level, loop]
            moves = relevant[loop] & (bound > 1)
            opens = moves & ~seen
            first_loop[opens], first_bound[opens], first_level[opens] = loop[opens], bound[opens], level
            seen |= moves
            reloads = np.where(seen, reloads * bound, reloads)
    return reloads, first_loop, first_bound, first_level


def _fetched(
    tables: Tables, tensor: int, tile: Array, inner: Array, temporal: Array, rank: Array, spatial: Array, below: int
) -> Array:
    """Words of `tile` that pass over the whole run, [B]: what enters one instance of memory `below`, or all children of
    the network right above together. `inner`: the tiles of all memories."""
    reloads, loop, bound, level = _reloads(RELEVANT[tensor], temporal, rank, below)
    words = footprint(tables, tensor, tile)
    if tensor != INPUTS or not tables.sliding_window:
        return words * reloads
    rows = np.arange(len(tile))
    steps = inner[rows, level + 1, loop] * spatial[rows, level, loop]  # iterations that one step of that loop advances
    saved = np.zeros(len(tile), dtype=np.int64)
    for candidate in SLIDING:
        here = loop == candidate
        saved = np.where(here, overlap(tables, candidate, tile, steps), saved)
    moved: Array = (words + (bound - 1) * (words - saved)) * (reloads // bound)
    return moved


def _check_exact(tables: Tables, mappings: MappingArrays, counts: Counts | None = None) -> None:
    """Refuses counts that float64 would round. Before they are made: those that int64 would wrap."""
    if counts is None:
        largest = mappings.temporal.astype(np.float64).prod(axis=(1, 2)) * mappings.spatial.prod(
            axis=(1, 2), dtype=float
        )
        if tables.fetch_holes:  # a tile of n iterations then has at most this many words
            largest = largest * tables.step.sum(axis=1).prod()
        limit = 2.0**61
    else:
        words = (counts.reads, counts.writes, counts.sent, counts.delivered)
        largest = np.stack([part.max(axis=(1, 2), initial=0) for part in words]).max(axis=0)
        largest = np.maximum(largest, counts.macs).astype(np.float64)
        limit = 2.0**53
    wrong = np.flatnonzero(largest >= limit)
    if len(wrong):
        raise InputError(
            f"mapping {wrong[0]}: counts must stay below 2^53 to be exact, got up to {largest[wrong[0]]:.3g}; "
            "its bounds are far beyond the layer's sizes, or the layer has to be split"
        )


def count(tables: Tables, mappings: MappingArrays) -> Counts:
    """Every count of every mapping. The mappings may be too large for the memories: `excess_bits` says by how much.
    A count of 2^53 or more is an `InputError`."""
    _check_exact(tables, mappings)
    temporal, rank = mappings.temporal, mappings.rank
    spatial = level_spatial(tables, mappings.spatial)
    batch, levels = temporal.shape[:2]
    tile = tiles(temporal, spatial)
    instances = np.ones((batch, levels + 1), dtype=np.int64)
    for level in range(levels):
        instances[:, level + 1] = instances[:, level] * spatial[:, level].prod(axis=-1)
    steps = temporal.prod(axis=(1, 2))
    reads = np.zeros((batch, levels, TENSORS), dtype=np.int64)
    writes, sent, delivered = np.zeros_like(reads), np.zeros_like(reads), np.zeros_like(reads)
    tile_words = np.zeros_like(reads)

    for tensor in range(TENSORS):
        relevant = RELEVANT[tensor]
        shared = spatial[:, :, ~relevant].prod(axis=-1)  # children of each network that want the same word
        apart = spatial[:, :, relevant].prod(axis=-1)
        chain = [*np.flatnonzero(tables.keeps[:, tensor]), levels]
        for level in chain[:-1]:
            tile_words[:, level, tensor] = footprint(tables, tensor, tile[:, level])
        zero_starts = tile_words[:, 0, tensor]  # words of outputs that begin without a sum at the memory above
        for upper, lower in pairwise(chain):
            if lower == levels:
                one = steps  # a MAC unit holds nothing
            else:
                one = _fetched(tables, tensor, tile[:, lower], tile, temporal, rank, spatial, lower)
            together = one  # words that pass the network above `lower`, of all its children
            merges = tensor == INPUTS and tables.halo_merge and tables.multicast[lower - 1]
            combines = tables.reduction if tensor == OUTPUTS else tables.multicast
            for network in range(lower - 1, upper - 1, -1):
                below = together * instances[:, network + 1] if network + 1 < lower else one * instances[:, lower]
                delivered[:, network, tensor] += below
                if merges and network == lower - 1:
                    joined = tile[:, lower] * spatial[:, network]
                    together = (
                        footprint(tables, tensor, joined) * steps
                        if lower == levels
                        else _fetched(tables, tensor, joined, tile, temporal, rank, spatial, lower)
                    )
                else:
                    together = together * apart[:, network] * (1 if combines[network] else shared[:, network])
                sent[:, network, tensor] += together * instances[:, network]
            moved = together * instances[:, upper]
            if tensor != OUTPUTS:
                reads[:, upper, tensor] += moved
                if lower < levels:
                    writes[:, lower, tensor] += one * instances[:, lower]
                continue
            # Sums that come up, and those of them that had been sent down before.
            reduced = one * apart[:, upper:lower].prod(axis=-1) * instances[:, upper]
            sent_down = reduced - zero_starts
            writes[:, upper, tensor] += moved
            reads[:, upper, tensor] += moved - zero_starts
            if lower == levels:
                continue
            for network in range(lower - 1, upper - 1, -1):
                sent[:, network, tensor] += sent_down
                delivered[:, network, tensor] += sent_down
            writes[:, lower, tensor] += sent_down
            held = one * instances[:, lower]
            if tables.charge_drain:
                reads[:, lower, tensor] += held
            zero_starts = held - sent_down
    counts = Counts(
        reads, writes, sent, delivered, tile_words, instances[:, :levels], steps, steps * instances[:, levels]
    )
    _check_exact(tables, mappings, counts)
    return counts


@dataclass(frozen=True, eq=False)
class Costs:
    """`energy_pj` [B], `cycles` [B] (float64); `memory_pj`, `network_pj` [B, L, 3]; `compute_pj`, `leakage_pj` [B];
    `compute_cycles` [B], `memory_cycles`, `network_cycles` [B, L], `ramp_cycles` [B]. Energy is the sum of its parts;
    cycles are the largest of theirs plus the ramp: transfers overlap with the work."""

    energy_pj: Array
    cycles: Array
    memory_pj: Array
    network_pj: Array
    compute_pj: Array
    leakage_pj: Array
    compute_cycles: Array
    memory_cycles: Array
    network_cycles: Array
    ramp_cycles: Array


def cost(tables: Tables, counts: Counts) -> Costs:
    """Energy and time of counted mappings."""
    memory_pj = counts.reads * tables.read_pj + counts.writes * tables.write_pj
    network_pj = counts.delivered * tables.hop_pj
    compute_pj = counts.macs * tables.mac_pj
    read_bits = (counts.reads * tables.bits).sum(axis=-1) / counts.instances
    written_bits = (counts.writes * tables.bits).sum(axis=-1) / counts.instances
    memory_cycles = np.maximum(
        np.maximum(read_bits / tables.read_bits_per_cycle, written_bits / tables.write_bits_per_cycle),
        (read_bits + written_bits) / tables.port_bits_per_cycle,
    )
    network_cycles = (counts.sent * tables.bits).sum(axis=-1) / counts.instances / tables.network_bits_per_cycle
    compute_cycles = counts.steps.astype(np.float64)
    ramp = np.zeros(len(compute_cycles))
    if tables.count_ramp:
        rate = np.minimum(tables.read_bits_per_cycle, tables.port_bits_per_cycle)
        for tensor in range(TENSORS):
            chain = np.flatnonzero(tables.keeps[:, tensor])
            for upper, lower in pairwise(chain):
                children = counts.instances[:, lower] / counts.instances[:, upper]
                ramp += counts.tile_words[:, lower, tensor] * tables.bits[upper, tensor] * children / rate[upper]
    cycles = np.maximum(compute_cycles, np.maximum(memory_cycles.max(axis=-1), network_cycles.max(axis=-1))) + ramp
    leakage_pj = cycles * tables.leakage_pj_per_cycle
    energy_pj = compute_pj + memory_pj.sum(axis=(1, 2)) + network_pj.sum(axis=(1, 2)) + leakage_pj
    return Costs(energy_pj, cycles, memory_pj, network_pj, compute_pj, leakage_pj, compute_cycles, memory_cycles,
                 network_cycles, ramp)  # fmt: skip


def excess_bits(tables: Tables, counts: Counts) -> Array:
    """By how many bits the tiles of one instance exceed each memory, float64 [B, L, 4] (weights, inputs, outputs, all
    together); 0 where they fit."""
    held = counts.tile_words * tables.bits
    needed = np.concatenate([held, held.sum(axis=-1, keepdims=True)], axis=-1)
    excess: Array = np.maximum(needed - tables.capacity_bits, 0.0)
    return excess


def axis_excess(tables: Tables, mappings: MappingArrays) -> Array:
    """By how many children the loops along each axis exceed it, int64 [B, A]; a loop that may not run there counts its
    whole bound less one."""
    used = mappings.spatial.prod(axis=-1)
    stray = np.where(tables.axis_allowed, 1, mappings.spatial).prod(axis=-1) - 1
    excess: Array = np.maximum(used - tables.axis_size, 0) + stray
    return excess


def uncovered(tables: Tables, mappings: MappingArrays) -> Array:
    """How much of each loop no bound covers, int64 [B, 8]."""
    spatial = level_spatial(tables, mappings.spatial)
    missing: Array = np.maximum(tables.sizes - tiles(mappings.temporal, spatial)[:, 0], 0)
    return missing
