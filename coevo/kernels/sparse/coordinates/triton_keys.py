"""Keys on a CUDA device (`keys.pack` and `keys.unpack`), and the functions that other kernels make keys with."""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates import keys

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether the kernels run in Triton's interpreter on the CPU (TRITON_INTERPRET=1 when this module is imported)."""
BLOCK = 256
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


@triton.jit(do_not_specialize=["rows"])
def _pack(coords, count, out, rows, HAS_COUNT: tl.constexpr, BLOCK: tl.constexpr):
    """out [rows]: the keys of coords [rows, 4]; NO_VOXEL where they cannot be packed, NOTHING from count on."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < rows
    used = inside
    if HAS_COUNT:
        used = inside & (row < tl.load(count))
    at = coords + 4 * row.to(tl.int64)
    batch = tl.load(at, mask=used, other=0).to(tl.int32)
    x = tl.load(at + 1, mask=used, other=0).to(tl.int32)
    y = tl.load(at + 2, mask=used, other=0).to(tl.int32)
    z = tl.load(at + 3, mask=used, other=0).to(tl.int32)
    possible = in_range(x, y, z) & (batch >= 0) & (batch < MOST_BATCHES)
    key = tl.where(possible, packed(batch, x, y, z), NO_VOXEL)
    tl.store(out + row, tl.where(used, key, NOTHING), mask=inside)


def pack(coords: Tensor, count: Tensor | None = None) -> Tensor:
    """int64 [N]: the keys of coords int32 [N, 4]; `NO_VOXEL` where they cannot be packed, and `NOTHING` in rows from
    count (int32 [1] on the device) on."""
    rows = len(coords)
    out = torch.empty(rows, dtype=torch.int64, device=coords.device)
    if rows:
        _pack[(triton.cdiv(rows, BLOCK),)](
            coords, out if count is None else count, out, rows, HAS_COUNT=count is not None, BLOCK=BLOCK
        )
    return out
