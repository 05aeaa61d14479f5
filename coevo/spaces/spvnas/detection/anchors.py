"""Anchors: boxes of a class's usual size at every cell of the output's grid, in two directions (SECOND)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from coevo.errors import ConfigError
from coevo.spaces.spvnas.detection.grid import Grid

YAWS = (0.0, math.pi / 2)


@dataclass(frozen=True)
class Anchor:
    """A class's anchor.

    Attributes:
        name: of the class, as KITTI writes it.
        size_m: length, width and height.
        z_m: of the centre, in the sensor's frame.
        matched: an anchor that overlaps a box at least so much, seen from above, is to find it.
        unmatched: one that overlaps all boxes less is background; those between are neither.
    """

    name: str
    size_m: tuple[float, float, float]
    z_m: float
    matched: float
    unmatched: float

    def __post_init__(self) -> None:
        if min(self.size_m) <= 0 or not 0 <= self.unmatched <= self.matched <= 1:
            raise ConfigError(
                f"the anchor of {self.name!r} needs positive sizes and thresholds 0 <= unmatched <= matched <= 1, got "
                f"{self.size_m}, {self.unmatched} and {self.matched}"
            )


KITTI_ANCHORS = (
    Anchor("Car", (3.9, 1.6, 1.56), -1.0, 0.6, 0.45),
    Anchor("Pedestrian", (0.8, 0.6, 1.73), -0.6, 0.35, 0.2),
    Anchor("Cyclist", (1.76, 0.6, 1.73), -0.6, 0.35, 0.2),
)
"""Of SECOND's released configuration for all classes (`all.fhd.config`)."""


def make_anchors(grid: Grid, anchors: tuple[Anchor, ...] = KITTI_ANCHORS) -> torch.Tensor:
    """float32 [X, Y, classes * 2, 7]: at every cell, each class's anchor with its length along x and along y."""
    x, y = (torch.tensor(each, dtype=torch.float32) for each in grid.cell_centres_m())
    found = torch.empty((len(x), len(y), len(anchors) * len(YAWS), 7))
    found[..., 0], found[..., 1] = x[:, None, None], y[None, :, None]
    for number, anchor in enumerate(anchors):
        for turn, yaw in enumerate(YAWS):
            found[:, :, number * len(YAWS) + turn, 2:] = torch.tensor((anchor.z_m, *anchor.size_m, yaw))
    return found
