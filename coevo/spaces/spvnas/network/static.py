"""The network of a design with weights of its own."""

from __future__ import annotations

from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.spvcnn import SPVCNN
from coevo.spaces.spvnas.design import Backbone


def build_network(design: Backbone, num_classes: int = 19, in_channels: int = 4) -> MinkUNet:
    """A MinkUNet where the design has no points, else an SPVCNN; weights are drawn from torch's generator.

    `forward` takes a SparseTensor of stride 1 (a PointTensor where `points` is "raw") and gives logits
    [rows, num_classes]. `compile_for_inference` takes every design, `TrainingStep` all but those of raw points.
    """
    if design.points == "none":
        return MinkUNet(num_classes, in_channels, shape=design)
    return SPVCNN(num_classes, in_channels, points=design.points, shape=design)
