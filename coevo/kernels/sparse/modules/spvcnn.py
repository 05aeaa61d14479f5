"""SPVCNN: a MinkUNet with a branch of points (arXiv 2007.16100, sec. 3; released code of SPVNAS)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from coevo.errors import ConfigError, InputError
from coevo.kernels.sparse.modules.batch_norm import normalize_rows
from coevo.kernels.sparse.modules.blocks import run_fused
from coevo.kernels.sparse.modules.minkunet import MinkUNet, check_input, prepare
from coevo.kernels.sparse.points.devoxelize import Corners, devoxelize
from coevo.kernels.sparse.points.lookup import find_corners, find_voxels
from coevo.kernels.sparse.points.scatter_mean import Membership, scatter_mean
from coevo.kernels.sparse.points.voxelize import voxelize
from coevo.kernels.sparse.shape import STAGES, UNetShape
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor

POINTS = ("voxels", "raw")
DROPOUT = 0.3


class SPVCNN(MinkUNet):
    """MinkUNet whose features pass through points at strides 1, 16, 4 and 1, where perceptrons add to them.

    Arguments as `MinkUNet`, and

    Args:
        points: "voxels", as released: the points are the voxels themselves, at their integer coordinates, so that the
            passages at stride 1 change nothing; `forward` takes a SparseTensor. "raw": the points of the scan at their
            own coordinates; `forward` takes the points, and their voxels are the means of their features.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 4,
        width: float = 1.0,
        channels: Sequence[int] | None = None,
        points: str = "voxels",
        shape: UNetShape | None = None,
    ) -> None:
        super().__init__(num_classes, in_channels, width, channels, shape)
        if points not in POINTS:
            raise ConfigError(f"points must be one of {', '.join(POINTS)}, got {points!r}")
        self.points = points
        cs = self.channels
        self.point_transforms = nn.ModuleList(
            nn.Sequential(nn.Linear(cs[a], cs[b]), nn.BatchNorm1d(cs[b]), nn.ReLU())
            for a, b in ((0, 4), (4, 6), (6, 8))
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: SparseTensor | PointTensor) -> Tensor:
        """Logits [N, num_classes], one row a voxel, or with raw points [P, num_classes], one row a point.

        Raises:
            InputError: the input is not of the kind that `points` names, or does not fit the network.
        """
        wanted = SparseTensor if self.points == "voxels" else PointTensor
        if not isinstance(x, wanted):
            raise InputError(
                f"SPVCNN with points={self.points!r} takes a {wanted.__name__}, got a {type(x).__name__}; "
                "the option `points` says which"
            )
        if isinstance(x, SparseTensor):
            voxels, branch = x, PointBranch(x.coords.to(torch.float32), x.count, exact=True)
        else:
            voxels, branch = voxelize_points(x)
        check_input(type(self).__name__, self.in_channels, voxels)
        prepare(voxels)
        return self.run(voxels, branch)

    def run(self, voxels: SparseTensor, points: PointBranch) -> Tensor:
        """The network between `voxels` of stride 1 and the points of the same scan."""
        stem = run_fused(self.stem, voxels)
        at_points = points.from_voxels(stem)
        levels = self.descend(points.to_voxels(stem, at_points))
        y = levels[STAGES]
        skips = [stem, *levels[1:]]  # SPVNAS joins the stem's features, not those that went through the points
        for number, stage in enumerate((1, 3)):
            at_points = points.from_voxels(y, self.transform(number, at_points, points.count))
            y = points.to_voxels(y, at_points)
            y = y.with_feats(self.dropout(y.feats))
            for each in (stage, stage + 1):
                y = self.ascend(y, skips[STAGES - each], each)
        at_points = points.from_voxels(y, self.transform(2, at_points, points.count))
        logits: Tensor = self.classifier(at_points)
        return logits

    def transform(self, number: int, features: Tensor, count: Tensor) -> Tensor:
        """The perceptron `number` (0 .. 2) of the point branch: [P, C]."""
        layers = self.point_transforms[number]
        assert isinstance(layers, nn.Sequential)
        linear, norm = layers[0], layers[1]
        assert isinstance(norm, nn.BatchNorm1d)
        return normalize_rows(linear(features), count, norm, relu=True)


class PointBranch:
    """Points of a scan and where they lie among its voxels, found once a stride.

    Args:
        coords: float [P, 4] (batch, x, y, z), in units of stride-1 voxels.
        count: int32 [1] on the device, points in use.
        exact: point i is voxel i of stride 1: passages at that stride copy.
    """

    def __init__(self, coords: Tensor, count: Tensor, exact: bool = False) -> None:
        self.coords, self.count, self.exact = coords, count, exact
        self._corners: dict[tuple[int, int, int], Corners] = {}
        self._membership: dict[tuple[int, int, int], Membership] = {}

    def from_voxels(self, x: SparseTensor, added: Tensor | None = None) -> Tensor:
        """[P, C]: x interpolated at the points, plus `added`."""
        if self.exact and x.stride == (1, 1, 1):
            found: Tensor = x.feats if added is None else x.feats + added
            return found
        if x.stride not in self._corners:
            self._corners[x.stride] = find_corners(self.coords, x.level, self.count)
        return devoxelize(x.feats, self._corners[x.stride], added)

    def to_voxels(self, x: SparseTensor, features: Tensor) -> SparseTensor:
        """The means of the features [P, C] over the points of each of x's voxels."""
        if self.exact and x.stride == (1, 1, 1):
            return x.with_feats(features)
        return x.with_feats(scatter_mean(features, self.membership(x)))

    def keep(self, stride: tuple[int, int, int], membership: Membership) -> None:
        """Takes what is known already of a stride."""
        self._membership[stride] = membership

    def membership(self, x: SparseTensor) -> Membership:
        """The voxel of x each point lies in."""
        if x.stride not in self._membership:
            found = find_voxels(self.coords, x.level, self.count)
            self._membership[x.stride] = replace(found, is_sorted=self.exact)  # voxels keep the order of their parents
        return self._membership[x.stride]


def voxelize_points(x: PointTensor) -> tuple[SparseTensor, PointBranch]:
    """The voxels of stride 1 that hold a point, with the means of their features."""
    level, membership = voxelize(x.coords)
    x.caches.levels[level.stride] = level
    branch = PointBranch(x.coords, torch.full((1,), len(x.coords), dtype=torch.int32, device=x.coords.device))
    branch.keep(level.stride, membership)
    return SparseTensor(scatter_mean(x.feats, membership), level.coords, level.stride, x.caches), branch
