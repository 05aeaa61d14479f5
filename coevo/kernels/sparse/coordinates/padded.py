"""Levels of any stride with padded capacity, in torch on any device: nothing waits for the host, a graph can hold it.

The capacity is always enough: as many rows as there are inputs where coordinates are floored, and for each input as
many as windows can hold it where all that windows reach is put out.
"""

from __future__ import annotations

from math import prod
from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates.keys import NOTHING, in_range, pack, unpack
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.maps.offsets import Triple, offsets

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any


def parents(level: Level, factor: Triple) -> Level:
    """`reference.parents` of a padded level."""
    stride = _times(level.stride, factor)
    keys = torch.full((level.capacity,), NOTHING, dtype=torch.int64, device=level.keys.device)
    floored = [level.coords[:, 0].to(torch.int64)]
    for axis, size in enumerate(stride):
        floored.append(torch.div(level.coords[:, axis + 1], size, rounding_mode="floor").to(torch.int64) * size)
    used = torch.arange(level.capacity, device=keys.device) < level.count
    coords = torch.stack(floored, dim=-1)
    keys = torch.where(used, pack(torch.where(used[:, None], coords, 0)), keys)
    return _distinct(keys, level.capacity, stride)


def reached(level: Level, kernel_size: Triple, factor: Triple, dilation: Triple) -> Level:
    """`reference.reached` of a padded level; windows that cannot be packed are left out."""
    stride, device = _times(level.stride, factor), level.keys.device
    used = torch.arange(level.capacity, device=device) < level.count
    batch = level.coords[:, 0].to(torch.int64)
    rows = []
    for step in offsets(kernel_size):
        axes, possible = [batch], used
        for axis in range(3):
            start = level.coords[:, axis + 1].to(torch.int64) - step[axis] * dilation[axis] * level.stride[axis]
            possible = possible & (start % stride[axis] == 0)
            axes.append(start)
        window = torch.stack(axes, dim=-1)
        possible = possible & in_range(window)
        rows.append(torch.where(possible, pack(torch.where(possible[:, None], window, 0)), NOTHING))
    most = level.capacity * prod(min(size, -(-size // by)) for size, by in zip(kernel_size, factor, strict=True))
    if any(each != 1 for each in dilation):
        most = level.capacity * len(rows)
    return _distinct(torch.cat(rows), most, stride)


def _distinct(keys: Tensor, capacity: int, stride: Triple) -> Level:
    """The level of the distinct keys but `NOTHING`, at most `capacity` of them."""
    keys = torch.sort(keys).values
    begins = keys != NOTHING
    begins[1:] &= keys[1:] != keys[:-1]
    place = torch.cumsum(begins, dim=0)
    out = torch.full((capacity + 1,), NOTHING, dtype=torch.int64, device=keys.device)
    out.scatter_(0, torch.where(begins, place - 1, capacity), torch.where(begins, keys, NOTHING))
    count = begins.sum(dtype=torch.int32).reshape(1)
    out = out[:-1]
    coords = unpack(torch.where(out == NOTHING, 0, out))
    return Level(coords, out, count, stride, exact=False)


def _times(stride: Triple, factor: Triple) -> Triple:
    return (stride[0] * factor[0], stride[1] * factor[1], stride[2] * factor[2])
