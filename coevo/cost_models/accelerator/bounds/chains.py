"""All bounds that one loop can have at the memories and along the axes: the loop's chains.

A chain is a bound at every memory and along every axis that takes the loop. The declared space has every chain whose
product covers the loop's size D and in which no bound is larger than what D still needs: with P the product of all that
lies inside it, (bound - 1) * P < D, and the outermost bound is ceil(D / P).

Of these the minimal ones are enough: a chain is minimal if no bound can be lowered by one without leaving a part of D
uncovered. Every count of the closed form grows with every bound, so whatever a chain can do, a minimal one does at no
more cost. With sliding windows that is not so: a longer step of the outer loop can share more rows. There every chain
is needed for the loops of the windows (Y, X, R, S).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.jit import compiled
from coevo.kernels.mapping_cost import Tables
from coevo.kernels.mapping_cost.footprint import footprint
from coevo.kernels.mapping_cost.tables import TENSORS

Whole = NDArray[np.int64]
START = 4096


def loop_chains(tables: Tables, loop: int, minimal: bool, fixed: Whole | None = None) -> Whole:
    """Chains of `loop` that fit by themselves, with all other loops at 1: [n, L + A], memories outermost first, then
    axes. `fixed` [L + A]: bounds that are given, 0 where they are free."""
    levels, axes = tables.levels, tables.axes
    size = int(tables.sizes[loop])
    slots, limits, level_of = [], [], []  # from the innermost outwards
    for level in range(levels - 1, -1, -1):
        for axis in range(axes):
            if tables.axis_level[axis] == level and tables.axis_allowed[axis, loop]:
                slots.append(levels + axis)
                limits.append(int(tables.axis_size[axis]))
                level_of.append(level)
        slots.append(level)
        limits.append(size)
        level_of.append(level)
    largest = np.array([_largest_tile(tables, loop, level) for level in range(levels)], dtype=np.int64)
    given = np.zeros(len(slots), dtype=np.int64) if fixed is None else fixed[slots]
    room = START
    while True:
        found = np.ones((room, len(slots)), dtype=np.int64)
        count = _enumerate(
            size, np.array(limits, dtype=np.int64), np.array(level_of, dtype=np.int64), given, largest, minimal, found
        )
        if count <= room:
            break
        room = int(count)
    chains = np.ones((count, levels + axes), dtype=np.int64)
    chains[:, slots] = found[:count]
    return chains


def _largest_tile(tables: Tables, loop: int, level: int) -> int:
    """The longest tile of `loop` alone that memory `level` holds."""
    size = int(tables.sizes[loop])
    if level == 0:
        return 2**40  # what is padded lies in the outermost memory too
    low, high = 1, 2 * size
    while low < high:
        middle = (low + high + 1) // 2
        tile = np.ones(8, dtype=np.int64)
        tile[loop] = middle
        bits = tables.bits[level] * tables.keeps[level]
        held = np.array([float(footprint(tables, tensor, tile)) for tensor in range(TENSORS)]) * bits
        if (np.append(held, held.sum()) <= tables.capacity_bits[level]).all():
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def _enumerate(size: int, limits: Any, level_of: Any, given: Any, largest: Any, minimal: bool, found: Any) -> int:
    """Writes the chains, slots from the innermost to the outermost, and returns how many there are."""
    slots = len(limits)
    bounds = np.zeros(slots, dtype=np.int64)
    inner = np.ones(slots + 1, dtype=np.int64)  # product of the bounds inside each slot
    place = 0
    count = 0
    while place >= 0:
        if place == slots - 1:
            bounds[place] = given[place] if given[place] > 0 else -(-size // inner[place])
            tile = inner[place] * bounds[place]
            if size <= tile <= largest[level_of[place]] and not (minimal and _lowers(bounds, given, tile, size)):
                if count < len(found):
                    found[count] = bounds
                count += 1
            place -= 1
            continue
        bound = bounds[place] + 1 if given[place] == 0 else given[place]
        done = bound > limits[place] or bound == bounds[place]
        done |= given[place] == 0 and bound > 1 and (bound - 1) * inner[place] >= size
        if done or bound * inner[place] > largest[level_of[place]]:
            bounds[place] = 0
            place -= 1
            continue
        bounds[place] = bound
        inner[place + 1] = inner[place] * bound
        place += 1
        bounds[place] = 0
    return count


@compiled
def _lowers(bounds: Any, given: Any, tile: int, size: int) -> bool:
    """Whether a free bound can be one less and all of the loop still be covered."""
    for slot in range(len(bounds)):
        if given[slot] == 0 and bounds[slot] > 1 and tile // bounds[slot] * (bounds[slot] - 1) >= size:
            return True
    return False
