"""Levels in plain torch, on any device: the reference of the kernels. It waits for the device, and allocates
by counts."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.coordinates.keys import check_range, in_range, pack, unpack
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.maps.offsets import Triple, offsets

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any


def check_coordinates(coords: Tensor) -> None:
    """InputError unless coords are whole numbers [N, 4]."""
    if coords.ndim != 2 or coords.shape[1] != 4 or coords.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"coordinates must be int32 [N, 4] (batch, x, y, z), got {coords.dtype} {list(coords.shape)}. "
            "Points with real coordinates are quantised first (`quantize.quantize`)"
        )


def sorted_level(coords: Tensor, stride: Triple = (1, 1, 1)) -> tuple[Level, Tensor, Tensor]:
    """The level of coords [N, 4], in any order, and the two ways between orders.

    Returns:
        level: its capacity is N.
        order: int64 [N], the given row at each place of the level.
        inverse: int64 [N], the place of each given row.

    InputError where two rows are equal, cannot be packed or are no multiples of the stride.
    """
    check_coordinates(coords)
    check_range(coords)
    uneven = (coords[:, 1:] % torch.tensor(stride, device=coords.device)).any(dim=1)
    if bool(uneven.any()):
        row = int(uneven.to(torch.uint8).argmax())
        raise InputError(
            f"the coordinates of a tensor of stride {stride} must be multiples of it (units of stride-1 voxels), "
            f"but row {row} is {tuple(coords[row].tolist())}"
        )
    keys, order = torch.sort(pack(coords), stable=True)
    same = keys[1:] == keys[:-1]
    if bool(same.any()):
        place = int(same.to(torch.uint8).argmax())
        raise InputError(
            f"rows {int(order[place])} and {int(order[place + 1])} have the same coordinates "
            f"{tuple(coords[order[place]].tolist())}: a voxel may stand once. Quantise the points first "
            "(`quantize.quantize`), which averages what falls into one voxel"
        )
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    return _level(keys, stride), order, inverse


def parents(level: Level, factor: Triple) -> Level:
    """The voxels of stride level.stride * factor that hold at least one of the level's (the coordinates floored)."""
    stride = tuple(a * b for a, b in zip(level.stride, factor, strict=True))
    coords = level.coords[: int(level.count)].to(torch.int64)
    sizes = torch.tensor((1, *stride), device=coords.device)
    floored = torch.div(coords, sizes, rounding_mode="floor") * sizes
    return _level(torch.unique(pack(floored), sorted=True), (stride[0], stride[1], stride[2]))


def reached(level: Level, kernel_size: Triple, factor: Triple, dilation: Triple) -> Level:
    """The voxels of stride level.stride * factor whose window holds at least one of the level's: what a strided
    convolution can make nonzero (as spconv has it). InputError where one of them cannot be packed."""
    stride = tuple(a * b for a, b in zip(level.stride, factor, strict=True))
    coords = level.coords[: int(level.count)].to(torch.int64)
    device = coords.device
    steps = torch.tensor(offsets(kernel_size), device=device) * torch.tensor(dilation, device=device)
    steps = steps * torch.tensor(level.stride, device=device)
    starts = coords[:, None, 1:] - steps  # the window's place if the voxel stands at this offset of it
    on_lattice = (starts % torch.tensor(stride, device=device) == 0).all(dim=-1)
    batch = coords[:, None, :1].expand(-1, len(steps), -1)
    windows = torch.cat([batch, starts], dim=-1)[on_lattice]
    check_range(windows)
    return _level(torch.unique(pack(windows), sorted=True), (stride[0], stride[1], stride[2]))


def rows_at(level: Level, coords: Tensor) -> Tensor:
    """int64 [...]: the level's row with each of coords [..., 4], or -1."""
    keys = level.keys[: int(level.count)]
    if not len(keys):
        return torch.full(coords.shape[:-1], -1, dtype=torch.int64, device=coords.device)
    possible = in_range(coords)
    wanted = pack(torch.where(possible[..., None], coords, 0))
    place = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    return torch.where(possible & (keys[place] == wanted), place, -1)


def _level(keys: Tensor, stride: Triple) -> Level:
    count = torch.tensor([len(keys)], dtype=torch.int32, device=keys.device)
    return Level(unpack(keys), keys, count, stride)
