"""One row a scan of the batch: the largest or the mean of its voxels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coevo.errors import ConfigError, InputError

MODES = ("max", "average")


def global_pool(features: Tensor, batch: Tensor, batch_size: int, mode: str = "average") -> Tensor:
    """[batch_size, C]: 0 for a scan without voxels. Both modes give the same bytes on every call.

    The mean is one matrix product with the scans' indicator, in float32 at least; it needs batch_size * N numbers.

    Args:
        features: [N, C].
        batch: integers [N], the scan of each row, -1 for a row that is not in use.
        batch_size: scans of the batch.

    Raises:
        ConfigError: no such mode.
        InputError: features and batch have different lengths.
    """
    if mode not in MODES:
        raise ConfigError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if features.dim() != 2 or batch.shape != features.shape[:1]:
        raise InputError(
            f"global_pool needs features [N, channels] and batch [N], got {tuple(features.shape)} and "
            f"{tuple(batch.shape)}"
        )
    scans = torch.arange(batch_size, dtype=batch.dtype, device=batch.device)
    inside = scans[:, None] == batch[None, :]
    if mode == "max":
        return _GlobalMax.apply(features, batch, batch_size)  # type: ignore[no-any-return, no-untyped-call]
    wide = torch.float64 if features.dtype == torch.float64 else torch.float32
    used = torch.where((batch >= 0)[:, None], features, 0)
    with torch.autocast(features.device.type, enabled=False):
        total = inside.to(wide) @ used.to(wide)
    return (total / inside.sum(dim=1, keepdim=True).clamp(min=1)).to(features.dtype)


class _GlobalMax(torch.autograd.Function):
    """The gradient goes to the first row of those that are largest."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, batch: Tensor, batch_size: int) -> Tensor:
        rows, channels = features.shape
        lowest = torch.finfo(features.dtype).min
        where = torch.where(batch < 0, batch_size, batch).long()[:, None].expand(rows, channels)
        out = torch.full((batch_size + 1, channels), lowest, dtype=features.dtype, device=features.device)
        out = out.scatter_reduce(0, where, features, "amax")
        index = torch.arange(rows, device=features.device)[:, None].expand(rows, channels)
        largest = features == out.gather(0, where)
        first = torch.full((batch_size + 1, channels), rows, dtype=torch.int64, device=features.device)
        first = first.scatter_reduce(0, where, torch.where(largest, index, rows), "amin")[:batch_size]
        ctx.save_for_backward(first)
        ctx.rows = rows
        return torch.where(first < rows, out[:batch_size], 0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (first,) = ctx.saved_tensors
        handed_back = gradient.new_zeros((ctx.rows + 1, gradient.shape[1]))
        handed_back.scatter_(0, first, gradient)  # a row of each channel is first of one scan at most
        return handed_back[: ctx.rows], None, None
