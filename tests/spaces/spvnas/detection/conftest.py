"""Small scenes whose boxes are known: a flat ground, and cars and people whose sides are points."""

from __future__ import annotations

import numpy as np
import pytest

SIZES = {"car": (3.9, 1.6, 1.5), "person": (0.8, 0.6, 1.75), "bicyclist": (1.76, 0.6, 1.7)}
GROUND_M = -1.7


def scene(seed, classes=("car", "car"), reach_m=8.0, ground=600):
    """A Scan with a box of each class, at drawn places and yaws, 120 points on each."""
    from coevo.spaces.spvnas.data.scan import Scan

    rng = np.random.default_rng(seed)
    points = [np.stack([rng.uniform(-reach_m, reach_m, ground), rng.uniform(-reach_m, reach_m, ground),
                        np.full(ground, GROUND_M), np.full(ground, 0.2)], axis=1)]  # fmt: skip
    boxes = []
    for name in classes:
        length, width, height = SIZES[name]
        x, y, yaw = rng.uniform(-0.7, 0.7) * reach_m, rng.uniform(-0.7, 0.7) * reach_m, rng.uniform(-3, 3)
        sides = rng.uniform(-0.5, 0.5, (120, 3))
        face = rng.integers(0, 2, 120)
        sides[np.arange(120), face] = np.sign(sides[np.arange(120), face]) * 0.5
        local = sides * (length, width, height)
        turned = np.stack([local[:, 0] * np.cos(yaw) - local[:, 1] * np.sin(yaw) + x,
                           local[:, 0] * np.sin(yaw) + local[:, 1] * np.cos(yaw) + y,
                           local[:, 2] + GROUND_M + height / 2, np.full(120, 0.8)], axis=1)  # fmt: skip
        points.append(turned)
        boxes.append([x, y, GROUND_M + height / 2, length, width, height, yaw])
    return Scan(np.concatenate(points).astype(np.float32), None, f"scene {seed}",
                np.array(boxes, dtype=np.float32).reshape(-1, 7), tuple(classes))  # fmt: skip


class Scenes:
    """A ScanSource of `scene`s."""

    source = "small scenes of the tests"

    def __init__(self, count, **more):
        self.scans = [scene(seed, **more) for seed in range(count)]

    def __len__(self):
        return len(self.scans)

    def __getitem__(self, number):
        return self.scans[number]


@pytest.fixture
def scenes():
    return Scenes


@pytest.fixture
def tiny_detector():
    """A function of (seed, points) to a detector of a few channels over 19.2 m x 19.2 m at 0.2 m."""

    def made(seed=0, points="none"):
        import torch

        from coevo.spaces.spvnas.design import Backbone
        from coevo.spaces.spvnas.detection.grid import Grid
        from coevo.spaces.spvnas.detection.network import Detector, Proposals
        from coevo.spaces.spvnas.network.static import build_network

        torch.manual_seed(seed)
        widths, middles = (4, 4, 8, 8, 8, 4, 4, 4, 4), ((4,),) * 8
        net = build_network(Backbone(widths, (1,) * 8, middles, (4,) * 8, points), num_classes=1)
        grid = Grid((-9.6, 9.6), (-9.6, 9.6), (-2.4, 0.8), 0.2)
        return Detector(net, grid, proposals=Proposals((1, 1), (8, 8), 8))

    return made
