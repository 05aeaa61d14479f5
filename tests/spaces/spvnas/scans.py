"""Small scans in which height and distance say the class."""

from __future__ import annotations

import numpy as np

from coevo.spaces.spvnas.data.labels import IGNORED
from coevo.spaces.spvnas.data.scan import Scan


class Slopes:
    """`count` scans of about `points` points within a few metres."""

    source = "slopes made for tests"

    def __init__(self, count: int = 6, points: int = 300, seed: int = 0) -> None:
        self.count, self.points, self.seed = count, points, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Scan:
        rng = np.random.default_rng([self.seed, number])
        points = np.concatenate([rng.uniform(-2, 2, (self.points, 2)), rng.uniform(0, 1.5, (self.points, 1))], axis=1)
        labels = np.where(points[:, 2] > 0.75, 14, 8) + (np.abs(points[:, 0]) > 1)
        labels[rng.random(self.points) < 0.05] = IGNORED
        rows = np.concatenate([points, rng.random((self.points, 1))], axis=1).astype(np.float32)
        return Scan(rows, labels.astype(np.int64), f"slope {number}")
