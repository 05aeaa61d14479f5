"""Vectors in the unit cube as mappings, compiled: what `spaces.naas.mapper.encoding` defines, a block at a time.

`points` [genes, n] hold a vector a column, so that neighbouring numbers are the same gene of neighbouring mappings.
Whole numbers are float64, as in `block.py`; quotients of whole numbers below 2^53 round up or down exactly.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from coevo.kernels.jit import compiled
from coevo.kernels.mapping_cost.packed import (
    ACROSS,
    ALONG,
    AXIS_ALLOWED,
    AXIS_LEVEL,
    AXIS_SIZE,
    BITS,
    CAPACITY,
    FETCH_HOLES,
    KEEPS,
    LANES,
    RANK,
    ROWS,
    SIZES,
    TEMPORAL,
)
from coevo.kernels.mapping_cost.tables import LOOPS, RELEVANT, C, G, K, N, R, S, X, Y

Array = np.ndarray[Any, np.dtype[Any]]

FACTORIALS = np.array([math.factorial(LOOPS - 1 - place) for place in range(LOOPS)], dtype=np.int64)
ORDERS = math.factorial(LOOPS)


def new_scratch(levels: int, axes: int) -> tuple[Array, Array]:
    """(lane [rows, 8], first [axes * 8, LANES]): room for one mapping, and for the ranks of loops along axes."""
    return np.ones((levels + 2 * axes + 3, LOOPS)), np.ones((max(axes, 1) * LOOPS, LANES))


@compiled
def rank_by_importance(points: Array, gene: int, start: int, lanes: int, out: Array, row: int) -> None:
    """Ranks (0 = innermost) of eight loops by eight genes: the most important is the outermost, ties go by the order of
    the loops."""
    for d in range(8):
        for i in range(lanes):
            out[row + d, i] = 0.0
    for d in range(8):
        for e in range(d + 1, 8):
            for i in range(lanes):
                outer = 1.0 if points[gene + d, start + i] >= points[gene + e, start + i] else 0.0
                out[row + d, i] += outer
                out[row + e, i] += 1.0 - outer


@compiled
def rank_by_index(points: Array, gene: int, start: int, lanes: int, out: Array, row: int) -> None:
    """Ranks of eight loops by one gene: the place of their order in the list of all, lexicographically."""
    for i in range(lanes):
        rest = min(np.int64(points[gene, start + i] * ORDERS), ORDERS - 1)
        left = 255  # loops that have no place yet, a bit each
        for place in range(8):
            skip = rest // FACTORIALS[place]
            rest = rest % FACTORIALS[place]
            for d in range(8):
                if (left >> d) & 1:
                    if skip == 0:
                        out[row + d, i] = 7.0 - place
                        left -= 1 << d
                        break
                    skip -= 1


@compiled
def rows_of(outputs: Any, taps: Any, layer: Array, window: int) -> Any:
    """`footprint.rows_of`; `window`: where stride, dilation, a and b are in `layer`."""
    if layer[FETCH_HOLES] != 0.0:
        return (outputs - 1.0) * layer[window] + (taps - 1.0) * layer[window + 1] + 1.0
    return outputs * taps - max(outputs - layer[window + 3], 0.0) * max(taps - layer[window + 2], 0.0)


@compiled
def too_large(layer: Array, memory: Array, level: int, lane: Array, tile: int, over: int) -> bool:
    """Whether the tile in row `tile` exceeds a memory; row `over` becomes which loops index a tensor to blame."""
    n, g, k, c = lane[tile, N], lane[tile, G], lane[tile, K], lane[tile, C]
    y, x, r, s = lane[tile, Y], lane[tile, X], lane[tile, R], lane[tile, S]
    inputs = n * g * c * rows_of(y, r, layer, ROWS) * rows_of(x, s, layer, ACROSS)
    weights, outputs = g * k * c * r * s, n * g * k * y * x
    held0 = weights * memory[level, BITS] if memory[level, KEEPS] != 0.0 else 0.0
    held1 = inputs * memory[level, BITS + 1] if memory[level, KEEPS + 1] != 0.0 else 0.0
    held2 = outputs * memory[level, BITS + 2] if memory[level, KEEPS + 2] != 0.0 else 0.0
    blame0 = held0 > memory[level, CAPACITY]
    blame1 = held1 > memory[level, CAPACITY + 1]
    blame2 = held2 > memory[level, CAPACITY + 2]
    if held0 + held1 + held2 > memory[level, CAPACITY + 3]:
        blame0 |= memory[level, KEEPS] != 0.0
        blame1 |= memory[level, KEEPS + 1] != 0.0
        blame2 |= memory[level, KEEPS + 2] != 0.0
    elif not (blame0 or blame1 or blame2):
        return False
    for d in range(8):
        counts = (blame0 and RELEVANT[0, d]) or (blame1 and RELEVANT[1, d]) or (blame2 and RELEVANT[2, d])
        lane[over, d] = 1.0 if counts else 0.0
    return True


@compiled
def longest(lane: Array, bounds: int, over: int, loops: Array) -> int:
    """The longest loop above 1 that indexes a tensor to blame; -1 where there is none."""
    found, most = -1, 1.0
    for d in loops:
        if lane[over, d] != 0.0 and lane[bounds, d] > most:
            found, most = d, lane[bounds, d]
    return found


@compiled
def share(level: int, axis: Array, loops: Array, lane: Array, rest: int, spatial: int, order: int) -> None:
    """Hands the children along the axes below a memory to the loops; row `rest` becomes what one child sees."""
    for a in range(len(axis)):
        if axis[a, AXIS_LEVEL] != level:
            continue
        free = axis[a, AXIS_SIZE]
        for place in range(8):
            d = int(lane[order + a, place])
            bound = lane[rest, d]
            if axis[a, AXIS_ALLOWED + d] != 0.0 and bound > 1.0 and free > 1.0:
                steps = np.ceil(bound / free)
                taken = np.ceil(bound / steps)  # no more children than that number of steps needs
                lane[spatial + a, d] = taken
                lane[rest, d] = np.ceil(bound / taken)
                free = np.floor(free / taken)


@compiled
def tile_lane(
    layer: Array, memory: Array, axis: Array, loops: Array, points: Array, gene: int, column: int, lane: Array
) -> None:
    """Bounds of one mapping from its tiling ratios, which begin at `gene`, and its loops along axes, first come first:
    rows 0..L-1 of `lane` become the temporal bounds, the A rows after them the bounds along the axes."""
    levels, axes = len(memory), len(axis)
    spatial, order = levels, levels + axes
    rest, tile, over = levels + 2 * axes, levels + 2 * axes + 1, levels + 2 * axes + 2
    for a in range(axes):
        for d in loops:
            lane[spatial + a, d] = 1.0
    for d in loops:
        lane[rest, d] = layer[SIZES + d]  # what one instance of the memory sees
    for level in range(levels - 1):
        for d in loops:
            bound = lane[rest, d]
            wanted = np.rint(points[gene + 8 * level + d, column] * bound)
            wanted = min(max(wanted, 1.0), bound)
            # What all children of this memory see together: the axes below it take their part first.
            lane[level, d] = np.ceil(bound / wanted)
            lane[rest, d] = wanted
        share(level, axis, loops, lane, rest, spatial, order)
        for d in loops:
            lane[tile, d] = lane[rest, d]
        shrunk = False
        while too_large(layer, memory, level + 1, lane, tile, over):  # what an instance of the next memory sees
            d = longest(lane, tile, over, loops)
            if d < 0:
                break  # the smallest tile does not fit
            lane[tile, d] = np.floor((lane[tile, d] + 1.0) * 0.5)
            shrunk = True
        if shrunk:
            for d in loops:
                if lane[tile, d] < lane[rest, d]:  # what was shrunk is left to the loops at this memory
                    lane[level, d] *= np.ceil(lane[rest, d] / lane[tile, d])
                    lane[rest, d] = lane[tile, d]
    share(levels - 1, axis, loops, lane, rest, spatial, order)
    for d in loops:
        lane[levels - 1, d] = lane[rest, d]
        lane[tile, d] = 1.0
    # Quotients rounded up make a tile larger than it was meant to be: shrink once more, from the innermost memory
    # outwards, and leave the difference to the outermost.
    for level in range(levels - 1, 0, -1):
        for d in loops:
            lane[tile, d] *= lane[level, d]
        for a in range(axes):
            if axis[a, AXIS_LEVEL] == level:
                for d in loops:
                    lane[tile, d] *= lane[spatial + a, d]
        while too_large(layer, memory, level, lane, tile, over):
            row = level
            d = longest(lane, row, over, loops)
            for a in range(axes):
                if d < 0 and axis[a, AXIS_LEVEL] == level:
                    row = spatial + a
                    d = longest(lane, row, over, loops)
            if d >= 0:
                old = lane[row, d]
                lane[row, d] = np.floor((old + 1.0) * 0.5)
                lane[tile, d] = lane[tile, d] / old * lane[row, d]
                continue
            for e in loops:  # nothing is left at this memory: start over with the smallest tile, which fits
                lane[tile, e] = 1.0
                for inner in range(level, levels):
                    lane[inner, e] = 1.0
                for a in range(axes):
                    if axis[a, AXIS_LEVEL] >= level:
                        lane[spatial + a, e] = 1.0
            break
    for d in loops:
        for a in range(axes):
            if axis[a, AXIS_LEVEL] == 0:
                lane[tile, d] *= lane[spatial + a, d]
        lane[0, d] = np.ceil(layer[SIZES + d] / lane[tile, d])


@compiled
def decode_block(
    layer: Array, memory: Array, axis: Array, loops: Array, points: Array, start: int, lanes: int, by_index: bool,
    lane: Array, first: Array, k: Array, at: Array,
) -> None:  # fmt: skip
    """Columns start .. start + lanes - 1 of `points` as the block's bounds and ranks."""
    levels, axes = len(memory), len(axis)
    order = 1 if by_index else 8
    ratios, along = (levels - 1) * order, (levels - 1) * (order + 8)
    for level in range(levels - 1):
        if by_index:
            rank_by_index(points, level, start, lanes, k, at[RANK] + 8 * level)
        else:
            rank_by_importance(points, 8 * level, start, lanes, k, at[RANK] + 8 * level)
    for d in range(8):
        for i in range(lanes):
            k[at[RANK] + 8 * (levels - 1) + d, i] = 7.0 - d
    for a in range(axes):
        if by_index:
            rank_by_index(points, along + a, start, lanes, first, 8 * a)
        else:
            rank_by_importance(points, along + 8 * a, start, lanes, first, 8 * a)
    for i in range(lanes):
        for a in range(axes):
            for d in range(8):
                lane[levels + axes + a, 7 - int(first[8 * a + d, i])] = d
        tile_lane(layer, memory, axis, loops, points, ratios, start + i, lane)
        for level in range(levels):
            for d in loops:
                k[at[TEMPORAL] + 8 * level + d, i] = lane[level, d]
        for a in range(axes):
            for d in loops:
                k[at[ALONG] + 8 * a + d, i] = lane[levels + a, d]
