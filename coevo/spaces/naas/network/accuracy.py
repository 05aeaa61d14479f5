"""A network judged by the supernet's weights, on validation images."""

from __future__ import annotations

from pathlib import Path

import torch

from coevo.search.evaluator import Context
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.images import Images
from coevo.spaces.naas.network.keys import network_key
from coevo.spaces.naas.network.scale import Scale
from coevo.spaces.naas.network.training import load_supernet

CALIBRATION_IMAGES = 256


class SupernetAccuracy:
    """Share of validation images classified right; batch norm's statistics from the first training images. A network is
    judged once a study."""

    def __init__(self, weights: Path, name: str, scale: Scale, images: Images, validation_images: int | None):
        self.network = load_supernet(weights, name, scale)
        self.calibration = torch.from_numpy(images.train[:CALIBRATION_IMAGES])
        self.validation = torch.from_numpy(images.validation[:validation_images])
        self.labels = torch.from_numpy(images.validation_labels[:validation_images])

    def of(self, design: NetworkDesign, context: Context) -> float:
        def compute(_: int) -> float:
            return self.network.accuracy(design, self.calibration, self.validation, self.labels)

        found: float = context.memo(["accuracy", network_key(design)], compute)
        return found
