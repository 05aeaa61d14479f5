"""Mappings near a good one, compiled: bounds and orders are changed directly, a few evaluations at a time.

A move gives a loop another bound at one place (a memory or an axis where it may run): twice or three times as much, a
half or a third, rounded up, one more or one less. Another place takes what then covers the size. Or it puts, at one
memory, the loops that do not index a tensor innermost, so that this tensor stays. What does not fit is judged so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled
from coevo.kernels.mapping_cost.block import cost_block
from coevo.kernels.mapping_cost.packed import ALONG, AXIS_ALLOWED, LANES, RANK, SIZES, TEMPORAL
from coevo.kernels.mapping_cost.tables import RELEVANT

Array = np.ndarray[Any, np.dtype[Any]]

NUMBERS = 5
"""Uniform numbers that a move takes."""
MOVES = 2
ORDERED, TWICE = 0.2, 0.3
"""Share of moves that change an order; share of neighbours that are two moves away."""


@compiled
def stay_inside(rank: Array, level: int, tensor: int) -> None:
    """At a memory the loops that do not index a tensor become the innermost; among themselves all keep their order."""
    old, free = rank[level].copy(), 0
    for d in range(8):
        free += not RELEVANT[tensor, d]
    for d in range(8):
        place = free if RELEVANT[tensor, d] else 0
        for e in range(8):
            place += RELEVANT[tensor, e] == RELEVANT[tensor, d] and old[e] < old[d]
        rank[level, d] = place


@compiled
def place_of(axis: Array, levels: int, d: int, number: int) -> int:
    """The row of the bounds [L + A, 8] of place `number` of those where a loop may run; -1 where there are fewer."""
    if number < levels:
        return number
    number -= levels
    for a in range(len(axis)):
        if axis[a, AXIS_ALLOWED + d] != 0.0:
            if number == 0:
                return levels + a
            number -= 1
    return -1


@compiled
def move(layer: Array, axis: Array, loops: Array, levels: int, numbers: Array, bounds: Array, rank: Array) -> None:
    """One move by `NUMBERS` uniform numbers. bounds [L + A, 8], rank [L, 8]."""
    if numbers[0] < ORDERED:
        if levels > 1:
            stay_inside(rank, int(numbers[1] * (levels - 1)), int(numbers[2] * 3))
        return
    if len(loops) == 0:
        return
    d = loops[int(numbers[1] * len(loops))]
    places = 0
    while place_of(axis, levels, d, places) >= 0:
        places += 1
    if places < 2:
        return
    one = int(numbers[2] * places)
    two = int(numbers[3] * (places - 1))
    two += two >= one
    here, there = place_of(axis, levels, d, one), place_of(axis, levels, d, two)
    old, kind, size = bounds[here, d], int(numbers[4] * 6), layer[SIZES + d]
    if kind == 0:
        new = 2.0 * old
    elif kind == 1:
        new = 3.0 * old
    elif kind == 2:
        new = old + 1.0
    elif kind == 3:
        new = np.ceil(old / 2.0)
    elif kind == 4:
        new = np.ceil(old / 3.0)
    else:
        new = max(old - 1.0, 1.0)
    bounds[here, d] = min(new, size)
    others = 1.0
    for row in range(len(bounds)):
        if row != there:
            others *= bounds[row, d]
    bounds[there, d] = np.ceil(size / others)


@compiled
def refine_mapping(
    layer: Array, memory: Array, axis: Array, loops: Array, numbers: Array, goal: int, bounds: Array, rank: Array,
    value: float, k: Array, at: Array, history: Array,
) -> float:  # fmt: skip
    """Neighbours by uniform numbers [steps, size, 1 + MOVES * NUMBERS], size <= LANES: after each step the best of
    them, if it is better, takes the mapping's place in bounds [L + A, 8] and rank [L, 8]. history [steps]: the value
    after each step; returns the last."""
    levels, rows, size = len(memory), len(bounds), numbers.shape[1]
    energy, cycles, excess = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    near, order = np.empty((size, rows, 8)), np.empty((size, levels, 8))
    for step in range(len(numbers)):
        for i in range(size):
            near[i], order[i] = bounds, rank
            for turn in range(MOVES):
                if turn == 0 or numbers[step, i, 0] < TWICE:
                    begin = 1 + turn * NUMBERS
                    move(layer, axis, loops, levels, numbers[step, i, begin : begin + NUMBERS], near[i], order[i])
            for d in range(8):
                for level in range(levels):
                    k[at[TEMPORAL] + 8 * level + d, i] = near[i, level, d]
                    k[at[RANK] + 8 * level + d, i] = order[i, level, d]
                for a in range(len(axis)):
                    k[at[ALONG] + 8 * a + d, i] = near[i, levels + a, d]
        cost_block(layer, memory, axis, loops, size, k, at, energy, cycles, excess)
        best = -1
        for i in range(size):
            found = energy[i] * cycles[i] if goal == 0 else (energy[i] if goal == 1 else cycles[i])
            if excess[i] == 0.0 and found < value:
                best, value = i, found
        if best >= 0:
            bounds[:], rank[:] = near[best], order[best]
        history[step] = value
    return value
