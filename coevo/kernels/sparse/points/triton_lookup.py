"""Points found among the voxels of a level in one launch: keys, a binary search for each corner, and weights."""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.coordinates.triton_keys import MOST_BATCHES, in_range, packed
from coevo.kernels.sparse.points.devoxelize import CORNERS, EPSILON

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
FAR = tl.constexpr(float(1 << 20))
"""In place of coordinates that are no number or beyond it: an int32 that no key holds."""
SMALL = tl.constexpr(EPSILON)
BLOCK_CORNERS, BLOCK_POINTS = 32, 256


@triton.jit
def _whole(value, stride):
    """floor(value / stride), and the part above it."""
    scaled = tl.where(tl.abs(value) < FAR, value, FAR) / stride.to(value.dtype)
    low = tl.floor(scaled)
    return low, scaled - low


@triton.jit(do_not_specialize=["points", "stride_x", "stride_y", "stride_z"])
def lookup_kernel(
    coords, count, keys, held, rows, weights, points, stride_x, stride_y, stride_z,
    HAS_COUNT: tl.constexpr, CORNER: tl.constexpr, NEAREST: tl.constexpr, BITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """rows int32 [points, CORNER]: the level's row of the voxel at each corner of each point's cell, or -1; with 8
    corners also weights [points, 8]."""
    point = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = point < points
    used = inside
    if HAS_COUNT:
        used = inside & (point < tl.load(count))
    at = coords + 4 * point.to(tl.int64)
    in_use = tl.load(held)
    batch = tl.load(at, used, 0.0)
    low_x, part_x = _whole(tl.load(at + 1, used, 0.0), stride_x)
    low_y, part_y = _whole(tl.load(at + 2, used, 0.0), stride_y)
    low_z, part_z = _whole(tl.load(at + 3, used, 0.0), stride_z)
    used &= (batch >= 0) & (batch < MOST_BATCHES)
    corner = tl.arange(0, CORNER)[None, :]
    x = (low_x.to(tl.int32)[:, None] + (corner >> 2)) * stride_x
    y = (low_y.to(tl.int32)[:, None] + (corner >> 1 & 1)) * stride_y
    z = (low_z.to(tl.int32)[:, None] + (corner & 1)) * stride_z
    wanted = used[:, None] & in_range(x, y, z)
    if NEAREST:
        wanted &= corner == 0
    key = packed(batch.to(tl.int32)[:, None], x, y, z)
    below = tl.zeros((BLOCK, CORNER), tl.int32)
    for step in tl.static_range(BITS):
        probe = below + (1 << (BITS - 1 - step))
        found = tl.load(keys + probe - 1, wanted & (probe <= in_use), 0)
        below = tl.where((probe <= in_use) & (found < key), probe, below)
    found = tl.load(keys + below, wanted & (below < in_use), -1)
    row = tl.where(wanted & (below < in_use) & (found == key), below, -1)
    place = CORNER * point.to(tl.int64)[:, None] + corner
    tl.store(rows + place, row, inside[:, None])
    if CORNER == 8:
        share = tl.where((corner & 4) != 0, part_x[:, None], 1 - part_x[:, None])
        share *= tl.where((corner & 2) != 0, part_y[:, None], 1 - part_y[:, None])
        share *= tl.where((corner & 1) != 0, part_z[:, None], 1 - part_z[:, None])
        if NEAREST:
            share = tl.full((BLOCK, CORNER), 1.0, share.dtype)
        share = tl.where(row >= 0, share, 0.0)
        share /= (tl.sum(share, axis=1) + SMALL)[:, None]
        tl.store(weights + place, share.to(weights.dtype.element_ty), inside[:, None])


def look_up(coords: Tensor, level: Level, count: Tensor | None, corners: bool, nearest: bool) -> tuple[Tensor, Tensor]:
    """(rows int32 [P, 8], weights [P, 8] in the coordinates' dtype), or without `corners` rows int32 [P] twice."""
    points = len(coords)
    coords = coords.contiguous()
    each = CORNERS if corners else 1
    rows = torch.empty((points, each), dtype=torch.int32, device=coords.device)
    weights = torch.empty((points, each), dtype=coords.dtype, device=coords.device) if corners else rows
    block = BLOCK_CORNERS if corners else BLOCK_POINTS
    if points:
        lookup_kernel[(triton.cdiv(points, block),)](
            coords, coords if count is None else count, level.keys, level.count, rows, weights, points,
            *level.stride, HAS_COUNT=count is not None, CORNER=each, NEAREST=nearest,
            BITS=max(level.capacity, 1).bit_length(), BLOCK=block,
        )  # fmt: skip
    return (rows, weights) if corners else (rows[:, 0], rows)
