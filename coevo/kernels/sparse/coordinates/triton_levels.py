"""The voxels of strides 1, 2, 4, ... of sorted keys, on a CUDA device: two launches for all of them and one for their
children and for a hash table of the coarsest. Nothing waits for the host.

A row of the sorted keys begins a voxel of stride 2^l where its key without the lowest 3 l bits differs from the row
before, so a voxel's row at stride 2^l is the number of such places up to it: `_count` counts them in every block of
rows, `_place` adds up the blocks before its own, ranks its rows and writes what is asked of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.coordinates.status import DUPLICATES, OUT_OF_RANGE, TOO_MANY
from coevo.kernels.sparse.coordinates.triton_keys import INTERPRETED, NO_VOXEL, NOTHING

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
BLOCK = 1024
"""Rows of an instance; fewer than 2^12, so that the ranks of five strides fit one int64 while they are summed."""
WARPS = 8
CHILDREN_BLOCK = 1024 if INTERPRETED else 128
MOST_ROWS = 1 << 23
"""Rows of a level: a child's row stands above eight bits in an int32."""
_TOGETHER: tl.constexpr = tl.constexpr(5)
_FIELD: tl.constexpr = tl.constexpr(12)
_LOW_FIELD: tl.constexpr = tl.constexpr((1 << 12) - 1)
_EMPTY, _NEVER = tl.constexpr(-1), tl.constexpr(-2)
_OUT_OF_RANGE, _DUPLICATES = tl.constexpr(OUT_OF_RANGE), tl.constexpr(DUPLICATES)
_TOO_MANY = tl.constexpr(TOO_MANY)


@dataclass(frozen=True, eq=False)
class Ranks:
    """What the sorted keys of N rows say of L strides. Rows of a level from its count on are not set.

    Attributes:
        keys: int64 [L, N], the keys of each level's voxels.
        counts: int32 [L]; never above a level's limit.
        ancestors: int32 [L, N], at level l >= 1 the row there of each row of level 0, or -1 beyond the limit.
        parents: int32 [L, N], the row at level l + 1 of each row of level l, or -1.
        children: int32 [L, N]; at level l >= 1 the first child's row at level l - 1 times 256, and a bit for each child
            that is there (bit 4 x + 2 y + z).
        places: int32 [N], the row of level 0 of each given row; -1 where that has no voxel.
        order: int32 [N], the given row at each row of level 0 (of several with the same voxel, the first).
        status: int32 [1], bits of `status`.
        slots, values: a table of the coarsest level's keys (`insert`).
    """

    keys: Tensor
    counts: Tensor
    ancestors: Tensor
    parents: Tensor
    children: Tensor
    places: Tensor
    order: Tensor
    status: Tensor
    slots: Tensor
    values: Tensor


@triton.jit
def _flags(keys, row, rows, FIRST: tl.constexpr, LEVELS: tl.constexpr, MERGE: tl.constexpr):
    """Keys, the keys before them, and whether each begins a voxel of levels FIRST .., a field of bits a level."""
    inside = row < rows
    key = tl.load(keys + row, mask=inside, other=NOTHING)
    before = tl.load(keys + row - 1, mask=inside & (row > 0), other=-1)
    voxel = key < NO_VOXEL
    begun = tl.zeros_like(key)
    for level in tl.static_range(FIRST, FIRST + _TOGETHER):
        if level < LEVELS:
            begins = voxel & ((key >> 3 * level) != (before >> 3 * level))
            if level == 0 and not MERGE:
                begins = voxel
            begun |= begins.to(tl.int64) << _FIELD * (level - FIRST)
    return key, before, begun


@triton.jit(do_not_specialize=["rows", "blocks", "last_slot"])
def _count(keys, sums, slots, rows, blocks, last_slot, LEVELS: tl.constexpr, MERGE: tl.constexpr, BLOCK: tl.constexpr):
    """sums [LEVELS + 2, blocks]: voxels that begin in each block at each level; repeated keys; keys of no voxel. The
    table's slots are emptied."""
    block = tl.program_id(0)
    row = block * BLOCK + tl.arange(0, BLOCK)
    for start in range(block * BLOCK, last_slot + 1, blocks * BLOCK):
        slot = start + tl.arange(0, BLOCK)
        tl.store(slots + slot, tl.full((BLOCK,), -1, dtype=tl.int64), mask=slot <= last_slot)
    for first in tl.static_range(0, LEVELS, _TOGETHER):
        key, before, begun = _flags(keys, row, rows, first, LEVELS, MERGE)
        total = tl.sum(begun, axis=0)
        for level in tl.static_range(first, first + _TOGETHER):
            if level < LEVELS:
                there = (total >> _FIELD * (level - first)) & _LOW_FIELD
                tl.store(sums + level * blocks + block, there.to(tl.int32))
        if first == 0:
            voxel = key < NO_VOXEL
            tl.store(sums + LEVELS * blocks + block, tl.sum((voxel & (key == before)).to(tl.int32), axis=0))
            refused = (key >= NO_VOXEL) & (key < NOTHING)
            tl.store(sums + (LEVELS + 1) * blocks + block, tl.sum(refused.to(tl.int32), axis=0))


@triton.jit
def _sum_before(sums, end, BLOCK: tl.constexpr):
    """The sum of sums[0 .. end - 1]."""
    total = tl.zeros((BLOCK,), dtype=tl.int32)
    for start in range(0, end, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(sums + at, mask=at < end, other=0)
    return tl.sum(total, axis=0)


@triton.jit(do_not_specialize=["rows", "blocks"])
def _place(
    keys,
    given,
    sums,
    limits,
    keys_out,
    counts,
    ancestors,
    parents,
    firsts,
    places,
    order,
    status,
    rows,
    blocks,
    LEVELS: tl.constexpr,
    MERGE: tl.constexpr,
    LIMITED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Everything of `Ranks` but the children, of which firsts [LEVELS, rows] gets the first ones. given [rows]: the
    given row of each key; limits [LEVELS]: the capacity of each level."""
    block = tl.program_id(0)
    row = block * BLOCK + tl.arange(0, BLOCK)
    last = block == blocks - 1
    source = tl.load(given + row, mask=row < rows, other=0)
    wrong = 0
    finer = row
    finer_begins = row < 0
    own = row
    own_begins = row < 0
    for first in tl.static_range(0, LEVELS, _TOGETHER):
        key, _, begun = _flags(keys, row, rows, first, LEVELS, MERGE)
        ranks = tl.cumsum(begun, axis=0)
        for level in tl.static_range(first, first + _TOGETHER):
            if level < LEVELS:
                bits = _FIELD * (level - first)
                begins = ((begun >> bits) & 1) != 0
                earlier = _sum_before(sums + level * blocks, block, BLOCK)
                rank = earlier + ((ranks >> bits) & _LOW_FIELD).to(tl.int32) - 1
                here = tl.max(tl.where(row < rows, rank, -1), axis=0) + 1
                limit = rows
                if LIMITED:
                    limit = tl.load(limits + level)
                if last:
                    tl.store(counts + level, tl.minimum(here, limit))
                    if here > limit:
                        wrong |= _TOO_MANY
                kept = begins & (rank < limit)
                row_or_none = tl.where(rank < limit, rank, -1)
                tl.store(keys_out + level * rows + rank, (key >> 3 * level) << 3 * level, mask=kept)
                if level == 0:
                    tl.store(order + rank, source.to(tl.int32), mask=kept)
                    tl.store(places + source, tl.where(key < NO_VOXEL, row_or_none, -1), mask=row < rows)
                    own = rank
                    own_begins = kept
                else:
                    tl.store(ancestors + level * rows + own, row_or_none, mask=own_begins)
                    tl.store(firsts + level * rows + rank, finer, mask=kept)
                    tl.store(parents + (level - 1) * rows + finer, row_or_none, mask=finer_begins)
                finer = rank
                finer_begins = kept
    if last:
        if not MERGE and _sum_before(sums + LEVELS * blocks, blocks, BLOCK) > 0:
            wrong |= _DUPLICATES
        if _sum_before(sums + (LEVELS + 1) * blocks, blocks, BLOCK) > 0:
            wrong |= _OUT_OF_RANGE
        tl.store(status, wrong)


@triton.jit
def first_slot(key, last):
    """Where a key is looked for first in a table whose last slot is `last` = 2^n - 1."""
    mixed = (key ^ (key >> 23)) * -7046029254386353131
    return ((mixed ^ (mixed >> 29) ^ (mixed >> 43)) & last).to(tl.int32)


@triton.jit
def insert(slots, values, key, row, waiting, last):
    """Keys to a table's slots, -1 where empty, by linear probing, and their rows to values."""
    slot = first_slot(tl.where(waiting, key, row.to(tl.int64)), last)
    while tl.max(waiting.to(tl.int32), axis=0) > 0:
        # an atomic exchange has no mask: who is done compares with what no slot holds
        seen = tl.atomic_cas(slots + slot, tl.where(waiting, _EMPTY, _NEVER).to(tl.int64), key)
        tl.store(values + slot, row, mask=waiting & (seen == _EMPTY))
        waiting = waiting & (seen != _EMPTY)
        slot = tl.where(waiting, (slot + 1) & last, slot)


@triton.jit
def look_up(slots, values, wanted, waiting, last):
    """The rows of keys `wanted` [rows, offsets] in a table, or -1."""
    slot = first_slot(wanted, last)
    found = tl.full(wanted.shape, -1, dtype=tl.int32)
    while tl.max(tl.max(waiting.to(tl.int32), axis=1), axis=0) > 0:
        seen = tl.load(slots + slot, mask=waiting, other=_EMPTY)
        hit = waiting & (seen == wanted)
        found = tl.where(hit, tl.load(values + slot, mask=hit, other=-1), found)
        waiting = waiting & (seen != wanted) & (seen != _EMPTY)
        slot = (slot + 1) & last
    return found


@triton.jit(do_not_specialize=["rows", "top", "last_slot"])
def _children(keys, counts, firsts, children, slots, values, rows, top, last_slot, BLOCK: tl.constexpr):
    """children [LEVELS, rows] from the first child of each voxel and its siblings' keys; a table of the keys of the
    coarsest level, `top`."""
    level = tl.program_id(1)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    count = tl.load(counts + level)
    if tl.program_id(0) * BLOCK < count:
        used = row < count
        if level > 0:
            first = tl.load(firsts + level * rows + row, mask=used, other=0)
            below = tl.load(counts + level - 1)
            end = tl.load(firsts + level * rows + row + 1, mask=row + 1 < count, other=0)
            end = tl.minimum(tl.where(row + 1 < count, end, below), below)  # a level may be cut at its limit
            present = tl.zeros_like(row)
            for child in tl.static_range(8):
                there = used & (first + child < end)
                key = tl.load(keys + (level - 1) * rows + first + child, mask=there, other=0)
                place = ((key >> 3 * (level - 1)) & 7).to(tl.int32)
                present |= tl.where(there, 1 << place, 0)
            tl.store(children + level * rows + row, (first << 8) | present, mask=used)
        if level == top:
            own = tl.load(keys + level * rows + row, mask=used, other=0)
            insert(slots, values, own, row, used, last_slot)


def check_rows(rows: int) -> None:
    """InputError where a level would have more rows than a child's place can name."""
    if rows >= MOST_ROWS:
        raise InputError(f"a level on a device has fewer than {MOST_ROWS} rows, got {rows}: split the batch")


def rank(keys: Tensor, given: Tensor, levels: int, limits: Tensor | None = None, *, merge: bool = False) -> Ranks:
    """What sorted keys int64 [N], N >= 1, say of strides 1, 2, .. 2^(levels - 1).

    Args:
        given: int32 or int64 [N], the given row of each key.
        limits: int32 [levels] on the device, the most rows of each level; N where there are none.
        merge: whether rows with one key are one voxel (of points), or an error (of voxels).
    """
    rows, device = len(keys), keys.device
    check_rows(rows)
    blocks = triton.cdiv(rows, BLOCK)
    ancestors, parents, firsts, children = torch.empty((4, levels, rows), dtype=torch.int32, device=device)
    places, order = torch.empty((2, rows), dtype=torch.int32, device=device)
    counts, status = torch.empty(levels, dtype=torch.int32, device=device), keys.new_empty(1, dtype=torch.int32)
    sums = torch.empty((levels + 2, blocks), dtype=torch.int32, device=device)
    keys_out = torch.empty((levels, rows), dtype=torch.int64, device=device)
    slots, values = empty_table(rows, device)
    _count[(blocks,)](
        keys, sums, slots, rows, blocks, len(slots) - 1, LEVELS=levels, MERGE=merge, BLOCK=BLOCK, num_warps=WARPS
    )
    _place[(blocks,)](
        keys,
        given,
        sums,
        counts if limits is None else limits,
        keys_out,
        counts,
        ancestors,
        parents,
        firsts,
        places,
        order,
        status,
        rows,
        blocks,
        LEVELS=levels,
        MERGE=merge,
        LIMITED=limits is not None,
        BLOCK=BLOCK,
        num_warps=WARPS,
    )
    grid = (triton.cdiv(rows, CHILDREN_BLOCK), levels)
    _children[grid](
        keys_out, counts, firsts, children, slots, values, rows, levels - 1, len(slots) - 1, BLOCK=CHILDREN_BLOCK
    )
    return Ranks(keys_out, counts, ancestors, parents, children, places, order, status, slots, values)


def empty_table(rows: int, device: Any) -> tuple[Tensor, Tensor]:
    """Room for a table of `rows` keys: slots int64 [2^n], two to four a row, and values int32 [2^n]. Nothing is set."""
    size = max(64, 1 << (2 * rows - 1).bit_length())
    return torch.empty(size, dtype=torch.int64, device=device), torch.empty(size, dtype=torch.int32, device=device)
