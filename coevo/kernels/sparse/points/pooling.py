"""Pooling over the voxels of a kernel map: only voxels that exist take part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coevo.errors import ConfigError, InputError
from coevo.kernels.backend import resolve_backend
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.points import reference

MODES = ("max", "average")


def pool(features: Tensor, kernel_map: KernelMap, mode: str = "max", backend: str | None = None) -> Tensor:
    """[capacity_out, C]: the largest of the voxels in each window, channel by channel, or their mean.

    A mean is over the voxels that are present. Of equal values the first offset's gets the gradient of the largest.
    Rows that are not in use are not to be read.

    Raises:
        ConfigError: no such mode.
        InputError: features have other rows than the map's input.
    """
    if mode not in MODES:
        raise ConfigError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if features.dim() != 2 or features.shape[0] != kernel_map.capacity_in:
        raise InputError(f"pool needs features [{kernel_map.capacity_in}, channels], got {tuple(features.shape)}")
    if resolve_backend(backend, features) == "triton":
        return _Pool.apply(features, kernel_map, mode == "max")  # type: ignore[no-any-return, no-untyped-call]
    if mode == "max":
        return reference.neighbour_max(features, kernel_map.neighbours)
    return reference.neighbour_mean(features, kernel_map.neighbours)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, kernel_map: KernelMap, largest: bool) -> Tensor:
        from coevo.kernels.sparse.points import launch

        out, chosen = launch.pool(features, kernel_map.neighbours, kernel_map.count_out, largest)
        ctx.kernel_map, ctx.largest = kernel_map, largest
        ctx.save_for_backward(chosen)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        from coevo.kernels.sparse.points import launch

        inverse = ctx.kernel_map.inverse()
        (chosen,) = ctx.saved_tensors
        handed_back = launch.pool_gradient(gradient, inverse.neighbours, inverse.count_out, chosen, ctx.largest)
        return handed_back, None, None
