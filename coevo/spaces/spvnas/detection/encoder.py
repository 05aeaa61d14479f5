"""The way down of a U-Net over voxels, as a detector's encoder."""

from __future__ import annotations

import copy

from torch import nn

from coevo.errors import InputError
from coevo.kernels.sparse.modules.blocks import run_fused
from coevo.kernels.sparse.modules.minkunet import MinkUNet, check_input, prepare
from coevo.kernels.sparse.modules.spvcnn import SPVCNN, PointBranch, voxelize_points
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor

_STAGES = 4


class Encoder(nn.Module):
    """The stem and the stages down of a MinkUNet or SPVCNN, with its weights, copied; of an SPVCNN also the first
    passage through the points, which ends at stride 16.

    Attributes:
        channels: after the stem and each stage down, of strides 1, 2, 4, 8 and 16.
        points: None for a MinkUNet; else as `SPVCNN.points`.
    """

    def __init__(self, net: MinkUNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        for stage in range(1, _STAGES + 1):
            delattr(self.net, f"up{stage}")
        del self.net.classifier
        self.points: str | None = None
        if isinstance(self.net, SPVCNN):
            self.points = self.net.points
            del self.net.point_transforms[1:]
        self.channels = tuple(net.channels[: _STAGES + 1])

    @property
    def takes_points(self) -> bool:
        """Whether `forward` takes the points of the scan, and not its voxels."""
        return self.points == "raw"

    def forward(self, x: SparseTensor | PointTensor) -> list[SparseTensor]:
        """Features at the voxels of strides 1, 2, 4, 8 and 16.

        Raises:
            InputError: points where voxels are wanted, or the reverse, or other channels.
        """
        wanted = PointTensor if self.takes_points else SparseTensor
        if not isinstance(x, wanted):
            raise InputError(f"this encoder takes a {wanted.__name__}, got a {type(x).__name__}")
        net = self.net
        if not isinstance(net, SPVCNN):
            assert isinstance(x, SparseTensor)
            check_input("the encoder", net.in_channels, x)
            prepare(x)
            return net.encode(x)
        if isinstance(x, SparseTensor):
            voxels, branch = x, PointBranch(x.coords.float(), x.count, exact=True)
        else:
            voxels, branch = voxelize_points(x)
        check_input("the encoder", net.in_channels, voxels)
        prepare(voxels)
        stem = run_fused(net.stem, voxels)
        at_points = branch.from_voxels(stem)
        levels = net.descend(branch.to_voxels(stem, at_points))
        at_points = branch.from_voxels(levels[-1], net.transform(0, at_points, branch.count))
        return [*levels[:-1], branch.to_voxels(levels[-1], at_points)]
