"""Points to the voxels they fall in."""

from __future__ import annotations

import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.kernels.sparse.coordinates import keys
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.points.scatter_mean import Membership


def voxelize(coords: Tensor, count: Tensor | None = None, trim: bool = True) -> tuple[Level, Membership]:
    """The voxels of stride 1 that hold a point, in the order of their keys, and the voxel of each point.

    Args:
        coords: float [P, 4] (batch, x, y, z), in units of voxels.
        count: int32 [1] on the device, points in use; None for all.
        trim: allocate as many rows as there are voxels, which waits for the device, and check the coordinates' range;
            otherwise P rows, and points that cannot be packed are left out.

    Raises:
        InputError: with `trim`, a coordinate is NaN, or out of the range of keys.
    """
    points, device = coords.shape[0], coords.device
    floored = coords.floor()
    inside = keys.in_range(floored)  # NaN is not
    if count is not None:
        used = torch.arange(points, device=device) < count
    else:
        used = torch.ones(points, dtype=torch.bool, device=device)
    if trim and bool((used & ~inside).any()):
        row = int((used & ~inside).to(torch.uint8).argmax())
        raise InputError(
            f"point {row} lies at (batch, x, y, z) = {tuple(coords[row].tolist())}: coordinates must be numbers in "
            f"{keys.LOWEST} .. {keys.HIGHEST}, and the batch index at least 0 and below {keys.MOST_BATCHES}"
        )
    whole = torch.where(inside[:, None], floored, 0).to(torch.int32)
    wanted = torch.where(used & inside, keys.pack(whole), keys.NOTHING)
    found, order = torch.sort(wanted, stable=True)
    starts = torch.ones(points, dtype=torch.bool, device=device)
    starts[1:] = found[1:] != found[:-1]
    starts &= found != keys.NOTHING
    rank = torch.cumsum(starts, 0, dtype=torch.int32) - 1
    voxels = rank[-1:] + 1 if points else torch.zeros(1, dtype=torch.int32, device=device)
    capacity = int(voxels) if trim else points
    held = torch.full((capacity + 1,), keys.NOTHING, dtype=torch.int64, device=device)
    held.scatter_(0, torch.where(starts, rank, capacity).long(), torch.where(starts, found, keys.NOTHING))
    held = held[:capacity]
    index = torch.empty(points, dtype=torch.int32, device=device)
    index[order] = torch.where(found == keys.NOTHING, -1, rank)
    return Level(keys.unpack(held), held, voxels, (1, 1, 1)), Membership(index, capacity)
