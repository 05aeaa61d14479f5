"""Voxels to points: trilinear interpolation (`voxel_to_point` of SPVCNN, arXiv 2007.16100, sec. 3.2)."""

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

CORNERS = 8
EPSILON = 1e-8
"""Added to the sum of the weights before they are divided by it, as TorchSparse has it."""


@dataclass(frozen=True, eq=False)
class Corners:
    """The voxels at the eight corners of the cell around each point: x outermost, z fastest."""

    rows: Tensor
    """int32 [P, 8]: rows of the voxels, -1 for one that is absent."""
    weights: Tensor
    """float32 (or float64) [P, 8]: they sum to 1 over the corners that are present, or are all 0."""
    num_voxels: int
    count: Tensor | None = None
    """int32 [1] on the device: points in use; None for all."""

    @cached_property
    def segments(self) -> Segments:
        """The (point, corner) pairs of each voxel: the gradient's sums; made once for all features."""
        return group(self.rows.reshape(-1), self.num_voxels)


def trilinear_weights(coords: Tensor, rows: Tensor, nearest: bool = False) -> Tensor:
    """[P, 8] weights of the corners of floor(coords), renormalised over those that are present.

    Args:
        coords: float [P, 3], in units of the voxels whose corners are asked for.
        rows: int32 [P, 8], -1 for an absent corner.
        nearest: the whole weight for corner 0, the voxel that the point lies in.
    """
    fraction = coords - coords.floor()
    low, high = 1 - fraction, fraction
    parts = [
        (high if corner & 4 else low)[:, 0] * (high if corner & 2 else low)[:, 1] * (high if corner & 1 else low)[:, 2]
        for corner in range(CORNERS)
    ]
    if nearest:
        parts = [torch.ones_like(parts[0])] + [torch.zeros_like(parts[0])] * (CORNERS - 1)
    weights = torch.where(rows >= 0, torch.stack(parts, dim=1), 0)
    return weights / (weights.sum(dim=1, keepdim=True) + EPSILON)


def devoxelize(features: Tensor, corners: Corners, added: Tensor | None = None, backend: str | None = None) -> Tensor:
    """[P, C]: the features [N, C] of the voxels, interpolated at the points, plus `added` [P, C].

    A point without any corner gets `added`, or 0. The gradient is summed in a fixed order.

    Raises:
        InputError: features or added have the wrong shape or device.
    """
    if features.dim() != 2 or features.shape[0] != corners.num_voxels:
        raise InputError(
            f"devoxelize needs features [{corners.num_voxels}, channels], one row a voxel, got {tuple(features.shape)}"
        )
    wanted = (corners.rows.shape[0], features.shape[1])
    if added is not None and tuple(added.shape) != wanted:
        raise InputError(f"devoxelize needs added features {list(wanted)}, got {list(added.shape)}")
    if resolve_backend(backend, features) == "triton":
        return _Devoxelize.apply(features, corners, added)  # type: ignore[no-any-return, no-untyped-call]
    found = reference.weighted_gather(features, corners.rows, corners.weights)
    return found if added is None else found + added


class _Devoxelize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, corners: Corners, added: Tensor | None) -> Tensor:
        from coevo.kernels.sparse.points import launch

        ctx.corners, ctx.has_added = corners, added is not None
        return launch.weighted_gather(features, corners.rows, corners.weights, added, corners.count)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        from coevo.kernels.sparse.points import launch

        corners: Corners = ctx.corners
        handed_back = None
        if ctx.needs_input_grad[0]:
            weights = corners.weights.reshape(-1)
            handed_back = launch.segment_sum(gradient, corners.segments, weights, each=CORNERS)
        return handed_back, None, gradient if ctx.has_added else None
