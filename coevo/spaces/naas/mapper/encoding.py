"""Mappings as vectors in the unit cube: NAAS's importance encoding (Lin et al. 2021, section 3.2) and, as its control,
an encoding by index.

A vector has, for each memory but the innermost, an order of the eight loops and eight tiling ratios, and for each axis
an order of the loops that may run along it. (At the innermost memory the order costs nothing: MAC units hold nothing.)

- Importance: an order is eight numbers; the most important loop is the outermost, ties go by the order of the loops.
- Index: an order is one number, the place in the list of all orders; neighbours in the list have little in common.
- Tiling ratio: the next tile of a loop is clamp(round(ratio * bound), 1, bound), its outer bound the quotient rounded
  up. A ratio, not a size, so that it means the same for every layer.
- Along an axis the first loop takes as many children as it has use for and the axis has left, then the next one.

Repair: a tile that does not fit the memory below is shrunk before the walk goes on: of the loops that index what is
too large, the longest is halved (rounded up), until it fits. So every vector is a mapping that fits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import ConfigError
from coevo.kernels.jit import compiled
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.kernels.mapping_cost.tables import RELEVANT

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

LOOPS = 8
ORDERS = math.factorial(LOOPS)
ENCODINGS = ("importance", "index")


def gene_count(tables: Tables, encoding: str) -> int:
    """How many numbers a mapping has in `encoding`."""
    if encoding not in ENCODINGS:
        raise ConfigError(f"encoding: expected one of {', '.join(ENCODINGS)}, got {encoding!r}")
    order = LOOPS if encoding == "importance" else 1
    return (tables.levels - 1) * (order + LOOPS) + tables.axes * order


def decode(tables: Tables, genes: Floats, encoding: str = "importance") -> MappingArrays:
    """[B, gene_count] in [0, 1] -> mappings; all of them fit if the smallest tiles do."""
    batch, levels, axes = len(genes), tables.levels, tables.axes
    order = LOOPS if encoding == "importance" else 1
    split = (levels - 1) * order
    ratios_end = split + (levels - 1) * LOOPS
    level_orders = genes[:, :split].reshape(batch, levels - 1, order)
    ratios = genes[:, split:ratios_end].reshape(batch, levels - 1, LOOPS)
    axis_orders = genes[:, ratios_end:].reshape(batch, axes, order)
    rank = np.zeros((batch, levels, LOOPS), dtype=np.int64)
    rank[:, : levels - 1] = _ranks(level_orders, encoding)
    rank[:, levels - 1] = np.arange(LOOPS - 1, -1, -1)
    priority = LOOPS - 1 - _ranks(axis_orders, encoding)  # 0: the loop that takes children first
    temporal = np.empty((batch, levels, LOOPS), dtype=np.int64)
    spatial = np.ones((batch, axes, LOOPS), dtype=np.int64)
    _tiles(
        tables.sizes, tables.window, tables.step, tables.fetch_holes, tables.keeps, tables.bits, tables.capacity_bits,
        tables.axis_level, tables.axis_size, tables.axis_allowed, RELEVANT,
        np.ascontiguousarray(ratios), np.ascontiguousarray(priority), temporal, spatial,
    )  # fmt: skip
    return MappingArrays(temporal, rank, spatial)


def _ranks(orders: Floats, encoding: str) -> Whole:
    """[..., 8 or 1] -> ranks [..., 8], 0 = innermost."""
    if encoding == "importance":
        outermost_first = np.argsort(-orders, axis=-1, kind="stable")
    else:
        outermost_first = _order_of(np.minimum((orders[..., 0] * ORDERS).astype(np.int64), ORDERS - 1))
    ranks = np.empty(outermost_first.shape, dtype=np.int64)
    np.put_along_axis(ranks, outermost_first, np.arange(LOOPS - 1, -1, -1), axis=-1)
    return ranks


def _order_of(index: Whole) -> Whole:
    """The orders of eight loops at places `index` of their list in lexicographic order."""
    orders = np.empty((*index.shape, LOOPS), dtype=np.int64)
    rest = index
    for place in range(LOOPS):
        block = math.factorial(LOOPS - 1 - place)
        orders[..., place] = rest // block
        rest = rest % block
    for place in range(LOOPS - 2, -1, -1):  # from places among what is left to loops
        later = orders[..., place + 1 :]
        later += later >= orders[..., place, None]
    return orders


@compiled
def _rows(outputs: int, taps: int, a: int, b: int, stride: int, dilation: int, holes: bool) -> int:
    if holes:
        return (outputs - 1) * stride + (taps - 1) * dilation + 1
    return outputs * taps - max(outputs - b, 0) * max(taps - a, 0)


@compiled
def tile_words(tile: Any, words: Any, window: Any, step: Any, holes: bool) -> None:
    """Words of the three tensors in `tile` [8]."""
    rows = _rows(tile[4], tile[6], window[0, 0], window[0, 1], step[0, 0], step[0, 1], holes)
    columns = _rows(tile[5], tile[7], window[1, 0], window[1, 1], step[1, 0], step[1, 1], holes)
    words[0] = tile[1] * tile[2] * tile[3] * tile[6] * tile[7]
    words[1] = tile[0] * tile[1] * tile[3] * rows * columns
    words[2] = tile[0] * tile[1] * tile[2] * tile[4] * tile[5]


@compiled
def _tiles(
    sizes: Any, window: Any, step: Any, holes: bool, keeps: Any, bits: Any, capacity: Any,
    axis_level: Any, axis_size: Any, axis_allowed: Any, relevant: Any,
    ratios: Any, priority: Any, temporal: Any, spatial: Any,
) -> None:  # fmt: skip
    batch, levels, axes = temporal.shape[0], temporal.shape[1], spatial.shape[1]
    words = np.empty(3, dtype=np.int64)
    rest = np.empty(8, dtype=np.int64)
    tile = np.empty(8, dtype=np.int64)
    over = np.empty(3, dtype=np.bool_)
    for row in range(batch):
        for loop in range(8):
            rest[loop] = sizes[loop]  # what one instance of the memory sees
        for level in range(levels - 1):
            for loop in range(8):
                bound = rest[loop]
                tile[loop] = min(max(round(ratios[row, level, loop] * bound), 1), bound)
            # The tile is what all children of this memory see together: the axes below it take their part first.
            for loop in range(8):
                rest[loop] = -(-rest[loop] // tile[loop])
                temporal[row, level, loop] = rest[loop]
                rest[loop] = tile[loop]
            _share(level, row, axes, axis_level, axis_size, axis_allowed, priority, rest, spatial)
            for loop in range(8):
                tile[loop] = rest[loop]
            while True:  # repair: what one instance of the next memory sees must fit
                if not _too_large(level + 1, tile, words, over, window, step, holes, keeps, bits, capacity):
                    break
                longest = _longest(tile, over, relevant)
                if longest < 0:
                    break  # the smallest tile does not fit
                tile[longest] = (tile[longest] + 1) // 2
            for loop in range(8):
                if tile[loop] < rest[loop]:  # what was shrunk is left to the loops at this memory
                    temporal[row, level, loop] *= -(-rest[loop] // tile[loop])
                    rest[loop] = tile[loop]
        _share(levels - 1, row, axes, axis_level, axis_size, axis_allowed, priority, rest, spatial)
        for loop in range(8):
            temporal[row, levels - 1, loop] = rest[loop]
            tile[loop] = 1
        # Quotients rounded up make a tile larger than it was meant to be: shrink once more, from the innermost memory
        # outwards, and leave the difference to the outermost.
        for level in range(levels - 1, 0, -1):
            for loop in range(8):
                tile[loop] *= temporal[row, level, loop]
                for axis in range(axes):
                    if axis_level[axis] == level:
                        tile[loop] *= spatial[row, axis, loop]
            while _too_large(level, tile, words, over, window, step, holes, keeps, bits, capacity):
                longest = _longest(temporal[row, level], over, relevant)
                if longest >= 0:
                    old = temporal[row, level, longest]
                    temporal[row, level, longest] = (old + 1) // 2
                    tile[longest] = tile[longest] // old * temporal[row, level, longest]
                    continue
                for axis in range(axes):
                    if axis_level[axis] == level and longest < 0:
                        longest = _longest(spatial[row, axis], over, relevant)
                        if longest >= 0:
                            old = spatial[row, axis, longest]
                            spatial[row, axis, longest] = (old + 1) // 2
                            tile[longest] = tile[longest] // old * spatial[row, axis, longest]
                if longest >= 0:
                    continue
                # Nothing is left at this memory: start over with the smallest tile, which fits.
                for loop in range(8):
                    tile[loop] = 1
                    for inner in range(level, levels):
                        temporal[row, inner, loop] = 1
                    for axis in range(axes):
                        if axis_level[axis] >= level:
                            spatial[row, axis, loop] = 1
                break
        for loop in range(8):
            for axis in range(axes):
                if axis_level[axis] == 0:
                    tile[loop] *= spatial[row, axis, loop]
            temporal[row, 0, loop] = -(-sizes[loop] // tile[loop])


@compiled
def _too_large(
    level: int, tile: Any, words: Any, over: Any, window: Any, step: Any, holes: bool, keeps: Any, bits: Any,
    capacity: Any,
) -> bool:  # fmt: skip
    """Whether `tile` exceeds memory `level`; `over` [3] becomes which tensors are to blame."""
    tile_words(tile, words, window, step, holes)
    total = 0.0
    found = False
    for tensor in range(3):
        held = words[tensor] * bits[level, tensor] if keeps[level, tensor] else 0.0
        total += held
        over[tensor] = held > capacity[level, tensor]
        found |= over[tensor]
    if total > capacity[level, 3]:
        found = True
        for tensor in range(3):
            over[tensor] |= keeps[level, tensor]
    return found


@compiled
def _longest(bounds: Any, over: Any, relevant: Any) -> int:
    """The longest loop above 1 that indexes a tensor to blame; -1 where there is none."""
    longest = -1
    for loop in range(8):
        counts = False
        for tensor in range(3):
            counts |= over[tensor] and relevant[tensor, loop]
        if counts and bounds[loop] > 1 and (longest < 0 or bounds[loop] > bounds[longest]):
            longest = loop
    return longest


@compiled
def _share(
    level: int, row: int, axes: int, axis_level: Any, axis_size: Any, axis_allowed: Any, priority: Any, rest: Any,
    spatial: Any,
) -> None:  # fmt: skip
    """Hand the children along the axes below `level` to the loops; `rest` becomes what one child sees."""
    for axis in range(axes):
        if axis_level[axis] != level:
            continue
        free = axis_size[axis]
        for place in range(8):
            for loop in range(8):
                if priority[row, axis, loop] == place and axis_allowed[axis, loop] and rest[loop] > 1 and free > 1:
                    steps = -(-rest[loop] // free)
                    taken = -(-rest[loop] // steps)  # no more children than that number of steps needs
                    spatial[row, axis, loop] = taken
                    rest[loop] = -(-rest[loop] // taken)
                    free //= taken
