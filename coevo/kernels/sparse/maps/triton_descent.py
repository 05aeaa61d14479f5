"""3x3x3 submanifold and 2x2x2 strided maps of a scan's voxels, from the coarsest stride to the finest.

A neighbour of a voxel is a child of its parent or of a neighbour of its parent, so a level's map follows from the map
of the level above: a voxel's 27 neighbours are children of 8 voxels there (its parent, and those towards its own
corner), each of which says with one word where its children begin and which of them exist. No hash table and no search
is needed; only the coarsest level is searched. The map of the 2x2x2 convolution and its inverse are those same words.
The kernels leave a key by which rows are sorted by their masks (`sorting`).
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates.triton_keys import INTERPRETED, in_range, packed, unpacked
from coevo.kernels.sparse.coordinates.triton_levels import Ranks

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
BLOCK, SEARCH_BLOCK = (1024, 256) if INTERPRETED else (128, 16)
"""Rows of an instance; the interpreter's time goes with the number of instances."""


@triton.jit
def bits_below(word, place):
    """How many of the bits 0 .. place - 1 (place <= 8) of word are set."""
    low = word & ((1 << place) - 1)
    low = low - ((low >> 1) & 0x55)
    low = (low & 0x33) + ((low >> 2) & 0x33)
    return (low + (low >> 4)) & 0xF


@triton.jit
def child(word, place):
    """The row of the child at place of a voxel with the word (`Ranks.children`), or -1."""
    return tl.where(((word >> place) & 1) != 0, (word >> 8) + bits_below(word, place), -1)


@triton.jit
def write_sort_keys(out, tables, row, mask, capacity, base, segment, BITS: tl.constexpr, SPLITS: tl.constexpr):
    """What rows are sorted by in the segments `segment` .. segment + SPLITS - 1 (`sorting.Segments`), which begin at
    `base` and have `capacity` rows each: mask has BITS bits, cut in SPLITS ranges."""
    width: tl.constexpr = (BITS + SPLITS - 1) // SPLITS
    full: tl.constexpr = (1 << width) - 1
    for split in tl.static_range(SPLITS):
        key = (segment + split - 16) * (1 << 27) + (full - ((mask >> split * width) & full))
        tl.store(out + base + split * capacity + row, key, mask=row < capacity)
        if tl.program_id(0) == 0:
            tl.store(tables + segment + split, base + split * capacity)
            tl.store(tables + 32 + segment + split, full)


@triton.jit
def _strided(
    parents,
    children,
    down,
    up,
    row,
    used,
    place,
    capacity,
    sort_keys,
    tables,
    down_base,
    down_segment,
    up_base,
    up_segment,
    ABOVE: tl.constexpr,
    BELOW: tl.constexpr,
    SORT: tl.constexpr,
):
    """The 2x2x2 maps of a level: down [8, capacity] from the level below, up [8, capacity] from the level above."""
    inside = row < capacity
    if BELOW:
        word = tl.load(children + row, mask=used, other=0)
        for k in tl.static_range(8):
            tl.store(down + k * capacity + row, child(word, k), mask=inside)
        if SORT:
            write_sort_keys(sort_keys, tables, row, word & 0xFF, capacity, down_base, down_segment, 8, 1)
    if ABOVE:
        parent = tl.load(parents + row, mask=used, other=-1)
        for k in tl.static_range(8):
            tl.store(up + k * capacity + row, tl.where(used & (place == k), parent, -1), mask=inside)
        if SORT:
            mask = tl.where(parent >= 0, 1 << place, 0)
            write_sort_keys(sort_keys, tables, row, mask, capacity, up_base, up_segment, 8, 1)


@triton.jit
def _write_coords(coords, key, row, used):
    batch, x, y, z = unpacked(key)
    tl.store(coords + 4 * row, batch, mask=used)
    tl.store(coords + 4 * row + 1, x, mask=used)
    tl.store(coords + 4 * row + 2, y, mask=used)
    tl.store(coords + 4 * row + 3, z, mask=used)


_RUNTIME = ["rows", "level", "capacity", "above_capacity", "base", "segment", "down_base", "down_segment", "up_base"]
_RUNTIME += ["up_segment", "steps"]


@triton.jit(do_not_specialize=_RUNTIME)
def _descend(
    keys,
    counts,
    parents,
    children,
    above,
    coords,
    neighbours,
    down,
    up,
    sort_keys,
    tables,
    rows,
    level,
    capacity,
    above_capacity,
    base,
    segment,
    down_base,
    down_segment,
    up_base,
    up_segment,
    BELOW: tl.constexpr,
    SORT: tl.constexpr,
    SPLITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The maps of a level from above [27, above_capacity], the neighbours of the level above."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    used = row < tl.load(counts + level)
    inside = row < capacity
    at = level * rows + row
    key = tl.load(keys + at, mask=used, other=0)
    _write_coords(coords, key, row, used)
    place = ((key >> 3 * level) & 7).to(tl.int32)
    _strided(
        parents + level * rows,
        children + level * rows,
        down,
        up,
        row,
        used,
        place,
        capacity,
        sort_keys,
        tables,
        down_base,
        down_segment,
        up_base,
        up_segment,
        True,
        BELOW,
        SORT,
    )
    x, y, z = place >> 2, (place >> 1) & 1, place & 1
    parent = tl.load(parents + at, mask=used, other=-1)
    there = used & (parent >= 0)
    # words of the 8 voxels above: bit 2 of `corner` goes along x towards the voxel's own side, bit 1 along y, 0 along z
    words = ()
    for corner in tl.static_range(8):
        cousin = parent
        if corner > 0:
            k = 13 + (corner >> 2) * (2 * x - 1) + ((corner >> 1) & 1) * (6 * y - 3) + (corner & 1) * (18 * z - 9)
            cousin = tl.load(above + k * above_capacity + parent, mask=there, other=-1)
        words = words + (tl.load(children + (level + 1) * rows + cousin, mask=there & (cousin >= 0), other=0),)
    mask = tl.zeros_like(row)
    for k in tl.static_range(27):
        found = tl.where(used, _neighbour(words, x, y, z, k), -1)
        tl.store(neighbours + k * capacity + row, found, mask=inside)
        mask |= (found >= 0).to(tl.int32) << k
    if SORT:
        write_sort_keys(sort_keys, tables, row, mask, capacity, base, segment, 27, SPLITS)


@triton.jit
def _neighbour(words, x, y, z, K: tl.constexpr):
    """The row of the neighbour at offset K of a child at place (x, y, z), or -1."""
    dx: tl.constexpr = K % 3 - 1
    dy: tl.constexpr = K // 3 % 3 - 1
    dz: tl.constexpr = K // 9 - 1
    if dx == 0:
        a, b, c, d = words[0], words[1], words[2], words[3]
    else:
        out = x == (1 if dx > 0 else 0)
        a, b = tl.where(out, words[4], words[0]), tl.where(out, words[5], words[1])
        c, d = tl.where(out, words[6], words[2]), tl.where(out, words[7], words[3])
    if dy != 0:
        over = y == (1 if dy > 0 else 0)
        a, b = tl.where(over, c, a), tl.where(over, d, b)
    if dz != 0:
        a = tl.where(z == (1 if dz > 0 else 0), b, a)
    return child(a, (((x + dx) & 1) << 2) | (((y + dy) & 1) << 1) | ((z + dz) & 1))


@triton.jit(do_not_specialize=_RUNTIME)
def _search(
    keys,
    counts,
    children,
    coords,
    neighbours,
    down,
    sort_keys,
    tables,
    rows,
    level,
    capacity,
    steps,
    base,
    segment,
    down_base,
    down_segment,
    BELOW: tl.constexpr,
    SORT: tl.constexpr,
    SPLITS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The maps of the coarsest level, each neighbour by bisection of the level's keys in `steps` steps."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    count = tl.load(counts + level)
    used = row < count
    keys += level * rows
    key = tl.load(keys + row, mask=used, other=0)
    _write_coords(coords, key, row, used)
    _strided(
        children,
        children + level * rows,
        down,
        down,
        row,
        used,
        row,
        capacity,
        sort_keys,
        tables,
        down_base,
        down_segment,
        0,
        0,
        False,
        BELOW,
        SORT,
    )
    k = tl.arange(0, 32)[None, :]
    batch, x, y, z = unpacked(key[:, None])
    x, y, z = x + ((k % 3 - 1) << level), y + ((k // 3 % 3 - 1) << level), z + ((k // 9 - 1) << level)
    possible = used[:, None] & (k < 27) & in_range(x, y, z)
    wanted = packed(batch + k * 0, x, y, z)
    low = tl.zeros_like(x)
    high = low + count
    for _ in range(steps):
        middle = (low + high) >> 1
        below = tl.load(keys + middle, mask=possible & (low < high), other=0) < wanted
        below = below & (low < high)
        low = tl.where(below, middle + 1, low)
        high = tl.where(below, high, middle)
    there = possible & (low < count)
    found = there & (tl.load(keys + low, mask=there, other=-1) == wanted)
    place = neighbours + k * capacity + row[:, None]
    tl.store(place, tl.where(found, low, -1), mask=(row < capacity)[:, None] & (k < 27))
    if SORT:
        mask = tl.sum(found.to(tl.int32) << k, axis=1)
        write_sort_keys(sort_keys, tables, row, mask, capacity, base, segment, 27, SPLITS)


def descend(
    ranks: Ranks,
    level: int,
    above: Tensor,
    coords: Tensor,
    neighbours: Tensor,
    below: tuple[Tensor, int, int] | None,
    up: tuple[Tensor, int, int],
    sort_keys: Tensor,
    tables: Tensor,
    own: tuple[int, int],
    splits: int,
) -> None:
    """Write a level's coordinates [rows, 4], its neighbours [27, rows] from those `above`, its maps with the levels
    below and above it (the map, the place and the number of its segment), and all sort keys."""
    capacity = neighbours.shape[1]
    down, down_base, down_segment = below or (neighbours, 0, 0)
    _descend[(max(1, triton.cdiv(capacity, BLOCK)),)](
        ranks.keys,
        ranks.counts,
        ranks.parents,
        ranks.children,
        above,
        coords,
        neighbours,
        down,
        up[0],
        sort_keys,
        tables,
        ranks.keys.shape[1],
        level,
        capacity,
        above.shape[1],
        *own,
        down_base,
        down_segment,
        up[1],
        up[2],
        BELOW=below is not None,
        SORT=True,
        SPLITS=splits,
        BLOCK=BLOCK,
    )


def search(
    ranks: Ranks,
    level: int,
    coords: Tensor,
    neighbours: Tensor,
    below: tuple[Tensor, int, int] | None,
    sort_keys: Tensor,
    tables: Tensor,
    own: tuple[int, int],
    splits: int,
) -> None:
    """`descend` for the coarsest level."""
    capacity = neighbours.shape[1]
    down, down_base, down_segment = below or (neighbours, 0, 0)
    _search[(max(1, triton.cdiv(capacity, SEARCH_BLOCK)),)](
        ranks.keys,
        ranks.counts,
        ranks.children,
        coords,
        neighbours,
        down,
        sort_keys,
        tables,
        ranks.keys.shape[1],
        level,
        capacity,
        capacity.bit_length(),
        *own,
        down_base,
        down_segment,
        BELOW=below is not None,
        SORT=True,
        SPLITS=splits,
        BLOCK=SEARCH_BLOCK,
    )
