"""Mappings as vectors in the unit cube: NAAS's importance encoding (Lin et al. 2021, section 3.2) and, as its control,
an encoding by index. Plainly; `kernels/mapping_cost/decode.py` is the fast path and is held to it.

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
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coevo.errors import ConfigError
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.kernels.mapping_cost.footprint import footprint
from coevo.kernels.mapping_cost.tables import LOOPS, RELEVANT, TENSORS

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Bounds = list[int]

ORDERS = math.factorial(LOOPS)
ENCODINGS = ("importance", "index")


def gene_count(tables: Tables, encoding: str) -> int:
    """How many numbers a mapping has in `encoding`."""
    if encoding not in ENCODINGS:
        raise ConfigError(f"encoding: expected one of {', '.join(ENCODINGS)}, got {encoding!r}")
    order = LOOPS if encoding == "importance" else 1
    return (tables.levels - 1) * (order + LOOPS) + tables.axes * order


def live_genes(tables: Tables, encoding: str) -> Whole:
    """The genes on which the mapping depends: loops of size 1 have neither tiles nor a place in an order, and along an
    axis only those count that may run there. What a search does to the others is lost."""
    gene_count(tables, encoding)
    long = tables.sizes > 1
    ordered = np.tile(long & (long.sum() > 1), (tables.levels - 1, 1))
    along = np.reshape(tables.axis_allowed, (-1, LOOPS)) & long & (tables.axis_size > 1)[:, None]
    along &= along.sum(axis=1, keepdims=True) > 1
    if encoding == "index":
        ordered, along = np.logical_or.reduce(ordered, axis=1), np.logical_or.reduce(along, axis=1)
    ratios = np.tile(long, tables.levels - 1)
    return np.flatnonzero(np.concatenate([ordered.ravel(), ratios, along.ravel()]))


def decode(tables: Tables, genes: Floats, encoding: str = "importance") -> MappingArrays:
    """[B, gene_count] in [0, 1] -> mappings; all of them fit if the smallest tiles do."""
    batch, levels, axes = len(genes), tables.levels, tables.axes
    order = LOOPS if encoding == "importance" else 1
    split = (levels - 1) * order
    ratios_end = split + (levels - 1) * LOOPS
    rank = np.zeros((batch, levels, LOOPS), dtype=np.int64)
    rank[:, : levels - 1] = _ranks(genes[:, :split].reshape(batch, levels - 1, order), encoding)
    rank[:, levels - 1] = np.arange(LOOPS - 1, -1, -1)
    ratios = genes[:, split:ratios_end].reshape(batch, levels - 1, LOOPS)
    first = np.argsort(-_ranks(genes[:, ratios_end:].reshape(batch, axes, order), encoding), axis=-1)
    tiled = [_Tiling(tables, ratios[row], first[row]) for row in range(batch)]
    temporal = np.array([one.temporal for one in tiled], dtype=np.int64).reshape(batch, levels, LOOPS)
    spatial = np.array([one.spatial for one in tiled], dtype=np.int64).reshape(batch, axes, LOOPS)
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


class _Tiling:
    """One mapping: `temporal` [L][8] from its ratios [L-1, 8], `spatial` [A][8] from the loops along each axis [A, 8],
    first come first."""

    def __init__(self, tables: Tables, ratios: Floats, first: Whole) -> None:
        self.tables, self.first = tables, first
        self.temporal = [[1] * LOOPS for _ in range(tables.levels)]
        self.spatial = [[1] * LOOPS for _ in range(tables.axes)]
        self._divide(ratios)
        self._shrink()

    def _divide(self, ratios: Floats) -> None:
        rest = [int(size) for size in self.tables.sizes]  # what one instance of the memory sees
        for level, shares in enumerate(ratios):
            # What all children of this memory see together: the axes below it take their part first.
            wanted = [min(max(round(float(part) * bound), 1), bound) for part, bound in zip(shares, rest, strict=True)]
            self.temporal[level] = [-(-bound // part) for bound, part in zip(rest, wanted, strict=True)]
            rest = self._share(level, wanted)
            tile = list(rest)
            while blamed := self._too_large(level + 1, tile):  # what one instance of the next memory sees must fit
                longest = _longest(tile, blamed)
                if longest is None:
                    break  # the smallest tile does not fit
                tile[longest] = (tile[longest] + 1) // 2
            for loop in range(LOOPS):
                if tile[loop] < rest[loop]:  # what was shrunk is left to the loops at this memory
                    self.temporal[level][loop] *= -(-rest[loop] // tile[loop])
            rest = tile
        self.temporal[-1] = self._share(self.tables.levels - 1, rest)

    def _share(self, level: int, bounds: Bounds) -> Bounds:
        """Hands the children along the axes below a memory to the loops; what one child sees."""
        rest = list(bounds)
        for axis in np.flatnonzero(self.tables.axis_level == level):
            free = int(self.tables.axis_size[axis])
            for loop in self.first[axis]:
                if self.tables.axis_allowed[axis, loop] and rest[loop] > 1 and free > 1:
                    steps = -(-rest[loop] // free)
                    taken = -(-rest[loop] // steps)  # no more children than that number of steps needs
                    self.spatial[axis][loop] = taken
                    rest[loop] = -(-rest[loop] // taken)
                    free //= taken
        return rest

    def _shrink(self) -> None:
        """Quotients rounded up make a tile larger than it was meant to be: shrink once more, from the innermost memory
        outwards, and leave the difference to the outermost."""
        tables = self.tables
        tile = [1] * LOOPS
        for level in range(tables.levels - 1, 0, -1):
            axes = [self.spatial[axis] for axis in np.flatnonzero(tables.axis_level == level)]
            groups = [self.temporal[level], *axes]
            inner = tile
            tile = _product([inner, *groups])
            while blamed := self._too_large(level, tile):
                found = [(group, loop) for group in groups if (loop := _longest(group, blamed)) is not None]
                if not found:  # nothing is left at this memory: start over with the smallest tile, which fits
                    self.temporal[level:] = [[1] * LOOPS for _ in range(level, tables.levels)]
                    for axis in np.flatnonzero(tables.axis_level >= level):
                        self.spatial[axis] = [1] * LOOPS
                    tile = [1] * LOOPS
                    break
                group, loop = found[0]
                group[loop] = (group[loop] + 1) // 2
                tile = _product([inner, *groups])
        tile = _product([tile, *(self.spatial[axis] for axis in np.flatnonzero(tables.axis_level == 0))])
        self.temporal[0] = [-(-int(size) // part) for size, part in zip(tables.sizes, tile, strict=True)]

    def _too_large(self, level: int, tile: Bounds) -> list[int]:
        """The loops that index a tensor which is to blame for `tile` not fitting memory `level`; none where it fits."""
        tables = self.tables
        words = np.array([footprint(tables, tensor, np.array(tile)) for tensor in range(TENSORS)])
        held = words * tables.bits[level] * tables.keeps[level]
        blame = held > tables.capacity_bits[level, :TENSORS]
        if held.sum() > tables.capacity_bits[level, TENSORS]:
            blame |= tables.keeps[level]
        return [int(loop) for loop in np.flatnonzero(RELEVANT[blame].any(axis=0))]


def _product(groups: Sequence[Bounds]) -> Bounds:
    return [math.prod(bounds) for bounds in zip(*groups, strict=True)]


def _longest(bounds: Bounds, loops: Sequence[int]) -> int | None:
    """Of `loops` the first of those with the largest bound above 1."""
    longest = max(loops, key=lambda loop: bounds[loop])
    return longest if bounds[longest] > 1 else None
