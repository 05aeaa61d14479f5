"""A one-stage detector: a searched encoder, the view from above, a region proposal network, anchors.

As SECOND (Sensors 18(10), 2018, fig. 1), with two differences that the encoder brings: voxels are cubes, and its
stride-16 features join the proposal network's second half, which works at that stride.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from coevo.errors import ConfigError, InputError
from coevo.kernels.sparse.dense import to_dense
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.quantize import quantize
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor
from coevo.spaces.spvnas.detection.anchors import KITTI_ANCHORS, Anchor, make_anchors
from coevo.spaces.spvnas.detection.encoder import Encoder
from coevo.spaces.spvnas.detection.grid import COARSEST, KITTI_GRID, STRIDE, Grid

_PRIOR = 0.01  # chance of a class at every anchor before training (arXiv 1708.02002, sec. 3.3)


@dataclass(frozen=True)
class Proposals:
    """Sizes of the proposal network.

    Attributes:
        layers: 3x3 convolutions of its halves, at strides 8 and 16, behind the first of each.
        filters: channels of the halves.
        joined: channels that each half gives to the heads.
    """

    layers: tuple[int, int] = (5, 5)
    filters: tuple[int, int] = (128, 256)
    joined: int = 256

    def __post_init__(self) -> None:
        if min(self.layers) < 0 or min(*self.filters, self.joined) < 1:
            raise ConfigError(f"layers must be >= 0 and channels >= 1, got {self}")


@dataclass(frozen=True, eq=False)
class Outputs:
    """For A anchors of each scan, in the order of `make_anchors`: logits [scans, A, classes], residuals [scans, A, 7],
    logits of the two directions [scans, A, 2]."""

    logits: torch.Tensor
    residuals: torch.Tensor
    directions: torch.Tensor


class Detector(nn.Module):
    """Boxes of classes from points.

    Args:
        net: a MinkUNet or SPVCNN of any shape (`build_network` of a design), of which the way down is taken, with its
            weights; its inputs are x, y, z in metres and the remission.
        grid: where to look.
        kinds: classes and their anchors.
        proposals: sizes of the proposal network.
    """

    anchors: torch.Tensor

    def __init__(
        self,
        net: MinkUNet,
        grid: Grid = KITTI_GRID,
        kinds: tuple[Anchor, ...] = KITTI_ANCHORS,
        proposals: Proposals | None = None,
    ) -> None:
        super().__init__()
        if not kinds or len({each.name for each in kinds}) != len(kinds):
            raise ConfigError(
                f"a detector needs one anchor each of distinct classes, got {[each.name for each in kinds]}"
            )
        sizes = proposals or Proposals()
        self.grid, self.kinds, self.proposals, self.encoder = grid, kinds, sizes, Encoder(net)
        first, second = sizes.filters
        self.flat_fine = _block(self.encoder.channels[3] * grid.cells(STRIDE)[2], first, 1)
        self.flat_coarse = _block(self.encoder.channels[4] * grid.cells(COARSEST)[2], second, 1)
        self.fine = nn.Sequential(*(_block(first, first, 3) for _ in range(sizes.layers[0] + 1)))
        self.coarser = _block(first, second, 3, stride=2)
        self.coarse = nn.Sequential(*(_block(second, second, 3) for _ in range(sizes.layers[1])))
        self.widen_fine = _block(first, sizes.joined, 1)
        self.widen_coarse = nn.Sequential(
            nn.ConvTranspose2d(second, sizes.joined, 2, 2, bias=False), *_norm(sizes.joined)
        )
        self.register_buffer("anchors", make_anchors(grid, kinds), persistent=False)
        per_cell = self.anchors.shape[2]
        self.classes = nn.Conv2d(2 * sizes.joined, per_cell * len(kinds), 1)
        self.boxes = nn.Conv2d(2 * sizes.joined, per_cell * 7, 1)
        self.directions = nn.Conv2d(2 * sizes.joined, per_cell * 2, 1)
        nn.init.constant_(self.classes.bias, -math.log((1 - _PRIOR) / _PRIOR))  # type: ignore[arg-type]
        nn.init.normal_(self.boxes.weight, 0, 0.001)

    def forward(self, clouds: Sequence[np.ndarray]) -> Outputs:
        """Of clouds float32 [P_i, 4] (x, y, z, remission), one a scan. Waits for the device.

        Raises:
            InputError: no point of any cloud lies within the grid, or a cloud is of another shape.
        """
        levels = self.encoder(self.inputs(clouds))
        fine = self.fine(self.flat_fine(self._from_above(levels[3], STRIDE, len(clouds))))
        coarse = self.coarser(fine) + self.flat_coarse(self._from_above(levels[4], COARSEST, len(clouds)))
        joined = torch.cat([self.widen_fine(fine), self.widen_coarse(self.coarse(coarse))], dim=1)
        heads = (self.classes(joined), self.boxes(joined), self.directions(joined))
        widths = (len(self.kinds), 7, 2)
        return Outputs(*(
            each.permute(0, 2, 3, 1).reshape(len(clouds), -1, width) for each, width in zip(heads, widths, strict=True)
        ))  # fmt: skip

    def inputs(self, clouds: Sequence[np.ndarray]) -> SparseTensor | PointTensor:
        """What the encoder takes: mean features of the voxels within the grid, or the points there themselves."""
        return self.points(clouds) if self.encoder.takes_points else self.voxels(clouds)

    def points(self, clouds: Sequence[np.ndarray]) -> PointTensor:
        """The points within the grid, their places in voxels from its corner on."""
        device = self.anchors.device
        kept = [self._within(number, cloud) for number, cloud in enumerate(clouds)]
        features = torch.from_numpy(np.concatenate([each[0] for each in kept])).to(device)
        places = torch.from_numpy(np.concatenate([each[1] for each in kept])).to(device)
        if not len(features):
            raise InputError(
                f"none of the {sum(map(len, clouds))} points lies within x {self.grid.x_m}, y {self.grid.y_m}, "
                f"z {self.grid.z_m} metres; give scans in the sensor's frame, or another grid"
            )
        sizes = torch.tensor([len(each[0]) for each in kept], device=device)
        batch = torch.repeat_interleave(torch.arange(len(clouds), device=device), sizes)
        return PointTensor(features, torch.cat([batch[:, None].to(places.dtype), places], dim=1))

    def voxels(self, clouds: Sequence[np.ndarray]) -> SparseTensor:
        """The voxels within the grid, with the means of their points' features."""
        points = self.points(clouds)
        found = quantize(points.coords[:, 1:], 1.0, batch=points.coords[:, 0].to(torch.int64))
        return SparseTensor.of(found.mean(points.feats), found.coords)

    def _within(self, number: int, cloud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The points within the grid, and their places from its corner on, in voxels, float32."""
        if cloud.ndim != 2 or cloud.shape[1] != 4:
            raise InputError(f"cloud {number} must be [P, 4] (x, y, z, remission), got {list(cloud.shape)}")
        if not np.isfinite(cloud).all():
            raise InputError(f"cloud {number} holds NaN or an infinity; leave such points out")
        low = np.array([self.grid.x_m[0], self.grid.y_m[0], self.grid.z_m[0]])
        places = ((cloud[:, :3] - low) / self.grid.voxel_m).astype(np.float32)
        inside = ((places >= 0) & (np.floor(places) < self.grid.voxels)).all(axis=1)
        return np.ascontiguousarray(cloud[inside], dtype=np.float32), places[inside]

    def _from_above(self, x: SparseTensor, stride: int, scans: int) -> torch.Tensor:
        """[scans, C * Z, X, Y]: the cells of a column side by side."""
        grid: torch.Tensor = to_dense(x, self.grid.cells(stride), batches=scans)
        return grid.permute(0, 1, 4, 2, 3).flatten(1, 2)


def _norm(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01), nn.ReLU()


def _block(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), *_norm(outputs))
