"""3x3x3 submanifold and 2x2x2 strided maps of a scan's voxels, from the coarsest stride to the finest.

A neighbour of a voxel is a child of its parent or of a neighbour of its parent, so a level's map follows from the map
of the level above: a voxel's 27 neighbours are children of 8 voxels there (its parent, and those towards its own
corner), each of which says with one word where its children begin and which of them exist. Only
the coarsest level is looked up in a hash table. The map of the 2x2x2 convolution and its inverse are those same words.
The kernels leave a key by which rows are sorted by their masks (`sorting`).
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates.triton_keys import INTERPRETED, in_range, packed, unpacked
from coevo.kernels.sparse.coordinates.triton_levels import Ranks, look_up
from coevo.kernels.sparse.maps.offsets import sort_places
from coevo.kernels.sparse.maps.sorting import Written

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
def gray_rank(word):
    """`reference.gray_rank` of int32 words of at most 31 bits."""
    word ^= word >> 1
    word ^= word >> 2
    word ^= word >> 4
    word ^= word >> 8
    return word ^ (word >> 16)


@triton.jit
def write_masks(
    keys,
    masks,
    bases,
    row,
    mask,
    word,
    capacity,
    base,
    segment,
    BITS: tl.constexpr,
    SPLITS: tl.constexpr,
    FIELD: tl.constexpr,
):
    """Masks and sort keys of the segments `segment` .. segment + SPLITS - 1 (`sorting.Segments`), which begin at `base`
    and have `capacity` rows each. mask and its sort word have BITS bits, cut in SPLITS ranges."""
    width: tl.constexpr = (BITS + SPLITS - 1) // SPLITS
    full: tl.constexpr = (1 << width) - 1
    middle: tl.constexpr = 16 if FIELD == 27 else 0
    inside = row < capacity
    for split in tl.static_range(SPLITS):
        rank, part = tl.zeros_like(row), tl.zeros_like(row)
        if split * width < BITS:  # the last ranges may be empty
            rank = gray_rank((word >> split * width) & full)
            part = (mask >> split * width) & full
        key = (segment + split - middle) * (1 << FIELD) + (full - rank)
        tl.store(keys + base + split * capacity + row, key.to(keys.dtype.element_ty), mask=inside)
        tl.store(masks + base + split * capacity + row, part, mask=inside)
        if tl.program_id(0) == 0:
            tl.store(bases + segment + split, base + split * capacity)


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
    masks,
    bases,
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
            mask = word & 0xFF
            write_masks(sort_keys, masks, bases, row, mask, mask, capacity, down_base, down_segment, 8, 1, 8)
    if ABOVE:
        parent = tl.load(parents + row, mask=used, other=-1)
        for k in tl.static_range(8):
            tl.store(up + k * capacity + row, tl.where(used & (place == k), parent, -1), mask=inside)
        if SORT:
            mask = tl.where(parent >= 0, 1 << place, 0)
            write_masks(sort_keys, masks, bases, row, mask, mask, capacity, up_base, up_segment, 8, 1, 8)


@triton.jit
def _write_coords(coords, key, row, used):
    batch, x, y, z = unpacked(key)
    tl.store(coords + 4 * row, batch, mask=used)
    tl.store(coords + 4 * row + 1, x, mask=used)
    tl.store(coords + 4 * row + 2, y, mask=used)
    tl.store(coords + 4 * row + 3, z, mask=used)


_RUNTIME = ["rows", "level", "capacity", "above_capacity", "base", "segment", "down_base", "down_segment", "up_base"]
_RUNTIME += ["up_segment", "last_slot"]


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
    masks,
    bases,
    strided_keys,
    strided_masks,
    strided_bases,
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
    PLACES: tl.constexpr,
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
        strided_keys,
        strided_masks,
        strided_bases,
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
    word = tl.zeros_like(row)
    for k in tl.static_range(27):
        found = tl.where(used, _neighbour(words, x, y, z, k), -1)
        tl.store(neighbours + k * capacity + row, found, mask=inside)
        mask |= (found >= 0).to(tl.int32) << k
        word |= (found >= 0).to(tl.int32) << PLACES[k]
    if SORT:
        write_masks(sort_keys, masks, bases, row, mask, word, capacity, base, segment, 27, SPLITS, 27)


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
    slots,
    values,
    coords,
    neighbours,
    down,
    sort_keys,
    masks,
    bases,
    strided_keys,
    strided_masks,
    strided_bases,
    rows,
    level,
    capacity,
    last_slot,
    base,
    segment,
    down_base,
    down_segment,
    BELOW: tl.constexpr,
    SORT: tl.constexpr,
    SPLITS: tl.constexpr,
    PLACES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The maps of the coarsest level, from the table of its keys."""
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
        strided_keys,
        strided_masks,
        strided_bases,
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
    found = look_up(slots, values, wanted, possible, last_slot)
    place = neighbours + k * capacity + row[:, None]
    tl.store(place, found, mask=(row < capacity)[:, None] & (k < 27))
    if SORT:
        mask = tl.sum((found >= 0).to(tl.int32) << k, axis=1)
        word = tl.zeros_like(mask)
        for offset in tl.static_range(27):
            word |= ((mask >> offset) & 1) << PLACES[offset]
        write_masks(sort_keys, masks, bases, row, mask, word, capacity, base, segment, 27, SPLITS, 27)


def descend(
    ranks: Ranks,
    level: int,
    above: tuple[Tensor, tuple[Tensor, int, int]],
    coords: Tensor,
    neighbours: Tensor,
    below: tuple[Tensor, int, int] | None,
    fine: Written,
    strided: Written,
    own: tuple[int, int],
    splits: int,
) -> None:
    """Write a level's coordinates [rows, 4], its neighbours [27, rows] from those above, and its maps with the levels
    below and above it (the map, the place and the number of its segment); `fine` and `strided` get masks and sort keys,
    those of the 3x3x3 map at `own` (place and number)."""
    neighbours_above, up = above
    capacity = neighbours.shape[1]
    down, down_base, down_segment = below or (neighbours, 0, 0)
    _descend[(max(1, triton.cdiv(capacity, BLOCK)),)](
        ranks.keys,
        ranks.counts,
        ranks.parents,
        ranks.children,
        neighbours_above,
        coords,
        neighbours,
        down,
        up[0],
        fine.keys,
        fine.masks,
        fine.bases,
        strided.keys,
        strided.masks,
        strided.bases,
        ranks.keys.shape[1],
        level,
        capacity,
        neighbours_above.shape[1],
        *own,
        down_base,
        down_segment,
        up[1],
        up[2],
        BELOW=below is not None,
        SORT=True,
        SPLITS=splits,
        PLACES=sort_places((3, 3, 3), splits),
        BLOCK=BLOCK,
    )


def search(
    ranks: Ranks,
    level: int,
    coords: Tensor,
    neighbours: Tensor,
    below: tuple[Tensor, int, int] | None,
    fine: Written,
    strided: Written,
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
        ranks.slots,
        ranks.values,
        coords,
        neighbours,
        down,
        fine.keys,
        fine.masks,
        fine.bases,
        strided.keys,
        strided.masks,
        strided.bases,
        ranks.keys.shape[1],
        level,
        capacity,
        len(ranks.slots) - 1,
        *own,
        down_base,
        down_segment,
        BELOW=below is not None,
        SORT=True,
        SPLITS=splits,
        PLACES=sort_places((3, 3, 3), splits),
        BLOCK=SEARCH_BLOCK,
    )
