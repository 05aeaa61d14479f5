"""Points of float coordinates found among the voxels of a level."""

from __future__ import annotations

import torch
from torch import Tensor

from coevo.kernels.backend import resolve_backend
from coevo.kernels.sparse.coordinates import keys
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.points.devoxelize import CORNERS, Corners, trilinear_weights
from coevo.kernels.sparse.points.scatter_mean import Membership

_FAR = float(1 << 20)
"""In place of coordinates that are no number or beyond it: an int32 that no key holds."""


def find_rows(coords: Tensor, level: Level) -> Tensor:
    """int32 [...]: the rows of the voxels at coords int32 [..., 4] (batch, x, y, z), -1 where there is none."""
    wanted = torch.where(keys.in_range(coords), keys.pack(coords), keys.NOTHING - 1)  # a key that no voxel has
    if not level.capacity:
        return torch.full(wanted.shape, -1, dtype=torch.int32, device=wanted.device)
    in_use = torch.arange(level.capacity, device=wanted.device) < level.count
    held = torch.where(in_use, level.keys, keys.NOTHING)
    row = torch.searchsorted(held, wanted, out_int32=True).clamp(max=level.capacity - 1)
    return torch.where(held[row.long()] == wanted, row, -1)


def _cell(coords: Tensor, level: Level) -> tuple[Tensor, Tensor]:
    """float [P, 3] in units of the level's voxels and int32 [P, 4], the voxel each point lies in."""
    stride = torch.tensor(level.stride, device=coords.device)
    axes = coords[:, 1:]
    scaled = torch.where(axes.abs() < _FAR, axes, _FAR) / stride.to(coords.dtype)
    corner = scaled.floor().to(torch.int32) * stride.to(torch.int32)
    return scaled, torch.cat([coords[:, :1].to(torch.int32), corner], dim=1)


def _in_use(points: int, count: Tensor | None, like: Tensor) -> Tensor | None:
    return None if count is None else torch.arange(points, device=like.device) < count


def find_voxels(coords: Tensor, level: Level, count: Tensor | None = None, backend: str | None = None) -> Membership:
    """The voxel that each point lies in.

    Args:
        coords: float [P, 4] (batch, x, y, z), in units of stride-1 voxels.
        count: int32 [1] on the device, points in use; None for all.
    """
    if resolve_backend(backend, coords) == "triton":
        from coevo.kernels.sparse.points.triton_lookup import look_up

        return Membership(look_up(coords, level, count, corners=False, nearest=False)[0], level.capacity)
    index = find_rows(_cell(coords, level)[1], level)
    used = _in_use(coords.shape[0], count, coords)
    return Membership(index if used is None else torch.where(used, index, -1), level.capacity)


def find_corners(
    coords: Tensor, level: Level, count: Tensor | None = None, nearest: bool = False, backend: str | None = None
) -> Corners:
    """The eight voxels around each point, of those whose lowest corners are at multiples of the stride, and their
    trilinear weights. Arguments as `find_voxels`; `nearest` keeps the voxel that the point lies in alone."""
    if resolve_backend(backend, coords) == "triton":
        from coevo.kernels.sparse.points.triton_lookup import look_up

        return Corners(*look_up(coords, level, count, corners=True, nearest=nearest), level.capacity, count)
    scaled, lowest = _cell(coords, level)
    steps = torch.tensor(
        [[0, corner >> 2 & 1, corner >> 1 & 1, corner & 1] for corner in range(CORNERS)],
        dtype=torch.int32,
        device=coords.device,
    )
    steps = steps * torch.tensor((1, *level.stride), dtype=torch.int32, device=coords.device)
    rows = find_rows(lowest[:, None, :] + steps, level)
    if nearest:
        rows = torch.where(torch.arange(CORNERS, device=rows.device) == 0, rows, -1)
    used = _in_use(coords.shape[0], count, coords)
    if used is not None:
        rows = torch.where(used[:, None], rows, -1)
    return Corners(rows, trilinear_weights(scaled, rows, nearest), level.capacity, count)
