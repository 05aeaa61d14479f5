"""Keys on a CUDA device (`keys.pack` and `keys.unpack`), and the functions that other kernels make keys with."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.coordinates import keys
from coevo.kernels.sparse.recorded import streams

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether the kernels run in Triton's interpreter on the CPU (TRITON_INTERPRET=1 when this module is imported)."""
BLOCK, SETTLE_BLOCK = (1024, 1024) if INTERPRETED else (256, 64)
"""Rows of an instance. One that settles rows goes on until its last row is done, so it is one warp."""
LOWEST, HIGHEST = tl.constexpr(keys.LOWEST), tl.constexpr(keys.HIGHEST)
MOST_BATCHES, PLACES = tl.constexpr(keys.MOST_BATCHES), tl.constexpr(3 * keys.BITS)
NOTHING = tl.constexpr(keys.NOTHING)
NO_VOXEL = tl.constexpr(keys.MOST_BATCHES << 3 * keys.BITS)
"""Keys from here on are of no voxel: coordinates that cannot be packed, then rows that are not in use."""


@triton.jit
def spread(value):
    """The 17 bits of value (int64) three places apart."""
    value = (value | (value << 32)) & 0x001F00000000FFFF
    value = (value | (value << 16)) & 0x001F0000FF0000FF
    value = (value | (value << 8)) & 0x100F00F00F00F00F
    value = (value | (value << 4)) & 0x10C30C30C30C30C3
    return (value | (value << 2)) & 0x1249249249249249


@triton.jit
def gathered(value):
    """Every third bit of value (int64), the lowest first: 17 of them, as int32."""
    value = value & 0x1249249249249
    value = (value | (value >> 2)) & 0x10C30C30C30C30C3
    value = (value | (value >> 4)) & 0x100F00F00F00F00F
    value = (value | (value >> 8)) & 0x1F0000FF0000FF
    value = (value | (value >> 16)) & 0x1F00000000FFFF
    return ((value | (value >> 32)) & 0x1FFFFF).to(tl.int32)


@triton.jit
def in_range(x, y, z):
    """Whether coordinates (int32) can be packed."""
    low = (x >= LOWEST) & (y >= LOWEST) & (z >= LOWEST)
    return low & (x <= HIGHEST) & (y <= HIGHEST) & (z <= HIGHEST)


@triton.jit
def packed(batch, x, y, z):
    """The key (int64) of coordinates (int32) in range."""
    key = (spread((x - LOWEST).to(tl.int64)) << 2) | (spread((y - LOWEST).to(tl.int64)) << 1)
    return key | spread((z - LOWEST).to(tl.int64)) | (batch.to(tl.int64) << PLACES)


@triton.jit
def unpacked(key):
    """(batch, x, y, z), int32, of keys."""
    x, y, z = gathered(key >> 2) + LOWEST, gathered(key >> 1) + LOWEST, gathered(key) + LOWEST
    return (key >> PLACES).to(tl.int32), x, y, z


@triton.jit
def _short(batch, x, y, z, X: tl.constexpr, Y: tl.constexpr, Z: tl.constexpr, DROPPED: tl.constexpr):
    """The bits of a key that differ within an extent (`keys.Extent`) but for its lowest 3 DROPPED, as int32: the batch,
    the signs, and of each axis its lowest X, Y and Z bits, one of x, y and z in turn."""
    key = (batch << 3) | ((x >= 0).to(tl.int32) << 2) | ((y >= 0).to(tl.int32) << 1) | (z >= 0).to(tl.int32)
    for above in tl.static_range(16 - DROPPED):
        if 15 - above < X:
            key = (key << 1) | ((x >> 15 - above) & 1)
        if 15 - above < Y:
            key = (key << 1) | ((y >> 15 - above) & 1)
        if 15 - above < Z:
            key = (key << 1) | ((z >> 15 - above) & 1)
    return key


@triton.jit(do_not_specialize=["rows"])
def _pack(
    coords,
    count,
    out,
    shorts,
    rows,
    HAS_COUNT: tl.constexpr,
    SHORT: tl.constexpr,
    X: tl.constexpr,
    Y: tl.constexpr,
    Z: tl.constexpr,
    BATCH: tl.constexpr,
    DROPPED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """out [rows]: the keys of coords [rows, 4]; NO_VOXEL where they cannot be packed, NOTHING from count on. With SHORT
    also shorts [rows], 2^31 - 1 in those rows."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < rows
    used = inside
    if HAS_COUNT:
        used = inside & (row < tl.load(count))
    at = coords + 4 * row.to(tl.int64)
    batch, x = tl.load(at, mask=used, other=0), tl.load(at + 1, mask=used, other=0)
    y, z = tl.load(at + 2, mask=used, other=0), tl.load(at + 3, mask=used, other=0)
    possible = in_range(x, y, z) & (batch >= 0) & (batch < MOST_BATCHES)  # before int64 is cut to int32
    batch, x, y, z = batch.to(tl.int32), x.to(tl.int32), y.to(tl.int32), z.to(tl.int32)
    if SHORT:
        possible = possible & (x >> X == x >> 31) & (y >> Y == y >> 31) & (z >> Z == z >> 31) & (batch < 1 << BATCH)
        short = _short(batch, x, y, z, X, Y, Z, DROPPED)
        possible = possible & (short != 0x7FFFFFFF)
        tl.store(shorts + row, tl.where(used & possible, short, 0x7FFFFFFF), mask=inside)
    key = tl.where(possible, packed(batch, x, y, z), NO_VOXEL)
    tl.store(out + row, tl.where(used, key, NOTHING), mask=inside)


@triton.jit(do_not_specialize=["rows"])
def _take(keys, given, out, rows, BLOCK: tl.constexpr):
    """out [rows]: keys[given]."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < rows
    at = tl.load(given + row, mask=inside, other=0)
    tl.store(out + row, tl.load(keys + at, mask=inside, other=0), mask=inside)


@triton.jit(do_not_specialize=["rows"])
def _settle(keys, given, keys_out, given_out, rows, BITS: tl.constexpr, BLOCK: tl.constexpr):
    """Keys [rows] sorted but for their lowest BITS, and the rows that they were given in, to their places: within the
    rows that agree above those bits each goes after those that are lower, equal ones in their order."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + row, mask=row < rows, other=NOTHING)
    voxel = key < NO_VOXEL
    place = row
    going, distance = voxel, 1
    while tl.max(going.to(tl.int32), axis=0) > 0:
        other = tl.load(keys + row - distance, mask=going & (row >= distance), other=-1)
        going = going & ((other >> BITS) == (key >> BITS))
        place -= (going & (other > key)).to(tl.int32)
        distance += 1
    going, distance = voxel, 1
    while tl.max(going.to(tl.int32), axis=0) > 0:
        other = tl.load(keys + row + distance, mask=going & (row + distance < rows), other=NOTHING)
        going = going & ((other >> BITS) == (key >> BITS))
        place += (going & (other < key)).to(tl.int32)
        distance += 1
    tl.store(keys_out + place, key, mask=row < rows)
    tl.store(given_out + place, tl.load(given + row, mask=row < rows, other=0).to(tl.int32), mask=row < rows)


def pack(coords: Tensor, count: Tensor | None = None, extent: keys.Extent | None = None) -> tuple[Tensor, Tensor]:
    """The keys of coords int32 or int64 [N, 4], N >= 1.

    Returns:
        int64 [N]; `NO_VOXEL` where they cannot be packed or lie outside the extent, and `NOTHING` in rows from count
        (int32 [1] on the device) on.
        With an extent int32 [N]: what differs within it, but for the lowest bits; else the keys once more.
    """
    if not (coords.is_cuda or INTERPRETED):
        raise InputError(f"Triton's kernels need coordinates on a CUDA device, got {coords.device}: use `reference`")
    coords, rows = coords.contiguous(), len(coords)
    out = torch.empty(rows, dtype=torch.int64, device=coords.device)
    shorts = out if extent is None else torch.empty(rows, dtype=torch.int32, device=coords.device)
    x, y, z = (0, 0, 0) if extent is None else extent.bits
    _pack[(triton.cdiv(rows, BLOCK),)](
        coords,
        out if count is None else count,
        out,
        shorts,
        rows,
        HAS_COUNT=count is not None,
        SHORT=extent is not None,
        X=x,
        Y=y,
        Z=z,
        BATCH=0 if extent is None else extent.batch_bits,
        DROPPED=0 if extent is None else extent.dropped,
        BLOCK=BLOCK,
    )
    return out, shorts


def sort_keys(coords: Tensor, count: Tensor | None = None, extent: keys.Extent | None = None) -> tuple[Tensor, Tensor]:
    """The sorted keys int64 [N] of coords [N, 4], N >= 1 (`pack`), and the row that each was given in. With an extent
    four passes of a sort instead of eight."""
    full, short = pack(coords, count, extent)
    ordered, given = torch.empty_like(short), torch.empty(len(short), dtype=torch.int64, device=short.device)
    # beside nothing, but torch keeps what a sort needs by streams, and the side stream needs as much for sorting rows
    with streams.beside(0, short.device):
        torch.sort(short, stable=True, out=(ordered, given))
    streams.join(0, short.device)
    if extent is None:
        return ordered, given
    rows = len(full)
    grid = (triton.cdiv(rows, BLOCK),)
    taken, settled = torch.empty_like(full), torch.empty_like(full)
    _take[grid](full, given, taken, rows, BLOCK=BLOCK)
    if not extent.dropped:
        return taken, given
    back = torch.empty(rows, dtype=torch.int32, device=full.device)
    settle = (triton.cdiv(rows, SETTLE_BLOCK),)
    _settle[settle](taken, given, settled, back, rows, BITS=3 * extent.dropped, BLOCK=SETTLE_BLOCK, num_warps=1)
    return settled, back
