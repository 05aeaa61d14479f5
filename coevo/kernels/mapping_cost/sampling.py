"""Random mappings that fit, and the best of many: drawn, checked, costed and selected in one compiled loop, without a
batch in memory. Equal for any number of threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.errors import ConfigError, InputError
from coevo.kernels.jit import compiled
from coevo.kernels.mapping_cost.block import cost_block
from coevo.kernels.mapping_cost.cpu import evaluate
from coevo.kernels.mapping_cost.draw import draw, new_state
from coevo.kernels.mapping_cost.factors import factors_of
from coevo.kernels.mapping_cost.packed import ALONG, LANES, RANK, TEMPORAL, new_block, packed
from coevo.kernels.mapping_cost.tables import LOOPS, MappingArrays, Tables
from coevo.kernels.threads import in_parts

Array = np.ndarray[Any, np.dtype[Any]]
GOALS = ("edp", "energy", "cycles")
TIGHT, EVEN = 0.25, 0.75
N, G, K, C, Y, X, R, S = range(LOOPS)
STAY = ((N, Y, X), (K,), (C, R, S))  # innermost, they leave the weights, the inputs, the outputs where they are


@dataclass(frozen=True, eq=False)
class Best:
    """The best of what was drawn, best first: `mappings` [n], `index` int64 [n]: which candidates they are,
    `energy_pj`, `cycles`, `value` [n] (pJ x cycles, pJ or cycles, by the goal). `samples` candidates were drawn,
    `valid` of them fit."""

    mappings: MappingArrays
    index: Array
    energy_pj: Array
    cycles: Array
    value: Array
    samples: int
    valid: int


def orders_of(tables: Tables) -> Array:
    """Ranks [., 8] that are worth drawing: each group of loops that does not index a tensor innermost once, if it is
    not all of size 1. With sliding windows also every choice of the loop that then moves the inputs."""
    long = [d for d in range(LOOPS) if tables.sizes[d] > 1]
    found: dict[tuple[int, ...], None] = {}
    for stay in STAY:
        group = [d for d in stay if d in long]
        movers = [d for d in long if d != K and (d in group or set(group) <= {K})] if tables.sliding_window else []
        if not group:
            continue
        for mover in movers or [group[0]]:
            inner = [K, mover] if group == [K] and mover != K else [mover, *(d for d in group if d != mover)]
            order = [*inner, *(d for d in (C, R, S, Y, X, N, K, G) if d not in inner)]
            found[tuple(order)] = None
    if not found:
        found[tuple(range(LOOPS))] = None
    return np.array([np.argsort(order) for order in found], dtype=np.float64)


def checks_of(tables: Tables) -> Array:
    """bool [L, L]: [level, outer] where a tile that fits memory `level` may still be too large for memory `outer`."""
    levels = tables.levels
    checks = np.zeros((levels, levels), dtype=bool)
    for level in range(levels):
        most = np.minimum(tables.capacity_bits[level, :3], tables.capacity_bits[level, 3])
        words = np.where(tables.keeps[level], most / tables.bits[level], np.inf)
        checks[level, level] = level > 0 and np.isfinite(tables.capacity_bits[level]).any()
        for outer in range(1, level):
            held = np.where(tables.keeps[outer], words * tables.bits[outer], 0.0)
            needed = np.append(held, held.sum())
            checks[level, outer] = (needed > tables.capacity_bits[outer]).any()
    return checks


def limits_of(tables: Tables) -> Array:
    """float64 [L, 8]: bits a word of each tensor (0 where it is not kept), most words of each, most bits of all, and
    whether any tensor has room of its own."""
    bits = np.where(tables.keeps, tables.bits, 0.0)
    words = np.where(tables.keeps, tables.capacity_bits[:, :3] / tables.bits, np.inf)
    own = np.isfinite(words).any(axis=1, keepdims=True)
    return np.concatenate([bits, words, tables.capacity_bits[:, 3:], own], axis=1)


def _prepared(tables: Tables, tight: float, even: float) -> tuple[Any, ...]:
    """What the ranges below take first, after a look at whether anything can fit."""
    for name, chance in (("tight", tight), ("even", even)):
        if not 0.0 <= chance <= 1.0:
            raise ConfigError(f"{name}: expected a chance in 0..1, got {chance:g}")
    for level in range(1, tables.levels):
        held = tables.keeps[level] * tables.bits[level]
        short = np.append(held, held.sum()) - tables.capacity_bits[level]
        if short.max() > 0:
            raise InputError(
                f"nothing fits memory {level}: one word of each tensor is {short.max():g} bits too much; make it "
                "larger or let a tensor pass by"
            )
    factors = factors_of(tables.sizes)
    return (
        *packed(tables), limits_of(tables), checks_of(tables), factors.root, factors.left, factors.start,
        factors.factor, factors.after, factors.whole, orders_of(tables), np.flatnonzero(tables.sizes > 1),
    )  # fmt: skip


@compiled
def sample_blocks(
    layer: Array, memory: Array, axis: Array, limits: Array, checks: Array, root: Array, left: Array, start: Array,
    factor: Array, after: Array, whole: Array, orders: Array, loops: Array, seed: int, indices: Array, tight: int,
    even: int, state: Array, rest: Array, streams: Array, order: Array, k: Array, at: Array, temporal: Array,
    rank: Array, spatial: Array,
) -> None:  # fmt: skip
    """The candidates `indices` as arrays; those of one block that follow each other are drawn at once."""
    ranked = np.arange(8)
    drawn = -1
    for row in range(len(indices)):
        block, i = indices[row] // LANES, indices[row] % LANES
        if block != drawn:
            draw(layer, limits, axis, checks, root, left, start, factor, after, whole, orders, loops, ranked, seed,
                 block, tight, even, state, rest, streams, order, k, at)  # fmt: skip
            drawn = block
        for level in range(temporal.shape[1]):
            for d in range(8):
                temporal[row, level, d] = k[at[TEMPORAL] + 8 * level + d, i]
                rank[row, level, d] = k[at[RANK] + 8 * level + d, i]
        for a in range(spatial.shape[1]):
            for d in range(8):
                spatial[row, a, d] = k[at[ALONG] + 8 * a + d, i]


@compiled
def search_blocks(
    layer: Array, memory: Array, axis: Array, limits: Array, checks: Array, root: Array, left: Array, start: Array,
    factor: Array, after: Array, whole: Array, orders: Array, loops: Array, seed: int, first: int, last: int,
    samples: int, tight: int, even: int, goal: int, state: Array, rest: Array, streams: Array, order: Array, k: Array,
    at: Array, values: Array, indices: Array,
) -> int:  # fmt: skip
    """Draws the candidates of blocks first..last-1 that are below `samples`; values [n], ascending, and indices [n]
    keep the best. Returns how many fit."""
    energy, cycles, excess = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    keep, valid = len(values), 0
    for block in range(first, last):
        begin = block * LANES
        lanes = min(LANES, samples - begin)
        draw(layer, limits, axis, checks, root, left, start, factor, after, whole, orders, loops, loops, seed, block,
             tight, even, state, rest, streams, order, k, at)  # fmt: skip
        cost_block(layer, memory, axis, loops, lanes, k, at, energy, cycles, excess)
        for i in range(lanes):
            if excess[i] > 0.0:
                continue
            valid += 1
            value = energy[i] * cycles[i] if goal == 0 else (energy[i] if goal == 1 else cycles[i])
            if value < values[keep - 1]:
                place = keep - 1
                while place > 0 and value < values[place - 1]:
                    values[place], indices[place] = values[place - 1], indices[place - 1]
                    place -= 1
                values[place], indices[place] = value, begin + i
    return valid


def sample(
    tables: Tables, samples: int, seed: int, first: int = 0, tight: float = TIGHT, even: float = EVEN
) -> MappingArrays:
    """Candidates first .. first + samples - 1 of `seed`. Bounds cover the sizes and tiles fit all memories, save where
    padding makes the whole larger than an outermost memory that has a size."""
    return _at(tables, np.arange(first, first + samples), seed, tight, even)


def _at(tables: Tables, indices: Array, seed: int, tight: float, even: float) -> MappingArrays:
    count = len(indices)
    temporal = np.empty((count, tables.levels, LOOPS), dtype=np.int64)
    rank, spatial = np.empty_like(temporal), np.empty((count, tables.axes, LOOPS), dtype=np.int64)
    chances, room = (_share(tight), _share(even)), (*new_state(), *new_block(tables.levels, tables.axes))
    wanted = np.asarray(indices, dtype=np.int64)
    arguments: tuple[Any, ...] = (seed, wanted, *chances, *room, temporal, rank, spatial)
    sample_blocks(*_prepared(tables, tight, even), *arguments)
    return MappingArrays(temporal, rank, spatial)


def _share(tight: float) -> int:
    return round(tight * 65536)


def search(
    tables: Tables,
    samples: int,
    seed: int,
    goal: str = "edp",
    threads: int = 1,
    keep: int = 1,
    tight: float = TIGHT,
    even: float = EVEN,
) -> Best:
    """The best `keep` of `samples` random mappings by `goal`: energy, cycles or their product. Equal values: the
    candidate that was drawn first. `tight`: the chance that a factor is the largest that fits, not any that does;
    `even`: that it is then lowered to one that divides what is left of the loop, without padding."""
    if goal not in GOALS:
        raise ConfigError(f"goal: expected one of {', '.join(GOALS)}, got {goal!r}")
    if samples < 1 or keep < 1:
        raise ConfigError(f"at least 1 sample has to be drawn and 1 kept, got samples={samples}, keep={keep}")
    prepared = _prepared(tables, tight, even)
    found: list[tuple[Array, Array, int]] = []

    def work(part: slice) -> None:
        values, indices = np.full(keep, np.inf), np.full(keep, -1, dtype=np.int64)
        chances, room = (_share(tight), _share(even)), (*new_state(), *new_block(tables.levels, tables.axes))
        span = (seed, part.start, part.stop, samples)
        arguments: tuple[Any, ...] = (*span, *chances, GOALS.index(goal), *room, values, indices)
        found.append((values, indices, search_blocks(*prepared, *arguments)))

    in_parts(work, -(-samples // LANES), threads)
    values = np.concatenate([part[0] for part in found])
    indices = np.concatenate([part[1] for part in found])
    order = np.lexsort((indices, values))
    order = order[np.isfinite(values[order])][:keep]
    mappings = _at(tables, indices[order], seed, tight, even)
    costs = evaluate(tables, mappings)
    return Best(mappings, indices[order], costs.energy_pj, costs.cycles, values[order], samples,
                sum(part[2] for part in found))  # fmt: skip
