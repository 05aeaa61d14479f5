"""Points to voxels: the mean of the points inside each voxel (`point_to_voxel` of SPVCNN, arXiv 2007.16100, sec. 3.2).

A point outside every voxel is left out; the released code of SPVNAS adds such points to voxel 0 instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.kernels.backend import resolve_backend
from coevo.kernels.sparse.points import reference
from coevo.kernels.sparse.points.segments import Segments, group


@dataclass(frozen=True, eq=False)
class Membership:
    """The voxel each point lies in."""

    index: Tensor
    """int32 [P]: the row of the point's voxel, -1 where it lies in none (or the row is not in use)."""
    num_voxels: int
    is_sorted: bool = False
    """Whether the index rises, with all -1 at its end."""

    @cached_property
    def segments(self) -> Segments:
        """The points of each voxel; made once for all features that are averaged over these points."""
        return group(self.index, self.num_voxels, self.is_sorted)


def scatter_mean(features: Tensor, membership: Membership, backend: str | None = None) -> Tensor:
    """[num_voxels, C]: the mean of the features [P, C] of each voxel's points; 0 for a voxel without points.

    The gradient of a point is its voxel's over the number of its points. Both are the same bytes on every call.

    Raises:
        InputError: features and index have different lengths or devices.
    """
    if features.dim() != 2 or features.shape[0] != membership.index.shape[0]:
        raise InputError(
            f"scatter_mean needs features [{membership.index.shape[0]}, channels], one row a point, "
            f"got {tuple(features.shape)}"
        )
    if resolve_backend(backend, features) == "triton":
        return _ScatterMean.apply(features, membership)  # type: ignore[no-any-return, no-untyped-call]
    total = reference.segment_sum(features, membership.index, None, membership.num_voxels, each=1)
    return total / membership.segments.lengths.clamp(min=1)[:, None].to(features.dtype)


class _ScatterMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, membership: Membership) -> Tensor:
        from coevo.kernels.sparse.points import launch

        ctx.membership = membership
        return launch.segment_sum(features, membership.segments, None, each=1, mean=True)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        from coevo.kernels.sparse.points import launch

        membership: Membership = ctx.membership
        return launch.gather_mean_gradient(gradient, membership.index, membership.segments), None
