"""The accuracy stage: a design's network judged by the supernet's weights, on validation images."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from coevo.search.canonical import canonical, text
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.images import Images, read_images
from coevo.spaces.naas.network.scale import Scale

CALIBRATION_IMAGES = 256


def network_key(design: NetworkDesign) -> str:
    """Equal for networks that are the same."""
    blocks = [[type(block).__name__, *[getattr(block, name) for name in block.__slots__]] for block in design.blocks]
    return text(canonical([design.family, design.input_size, blocks]))


class SupernetAccuracy(Evaluator):
    """Share of validation images classified right; batch norm's statistics from the first training images."""

    id, version = "naas-accuracy", "1"

    def __init__(self, name: str, scale: Scale, data: str, data_seed: int, validation_images: int | None):
        self.metrics = {"accuracy": "share", "network_macs": "MACs"}
        self.name, self.scale, self.data, self.data_seed = name, scale, data, data_seed
        self.validation_images = validation_images

    def setup(self, context: Context) -> None:
        import torch

        from coevo.spaces.naas.network.training import load_supernet

        images = images_of(self.data, max(self.scale.input_sizes), self.data_seed)
        self.network: Any = load_supernet(context.artifact("supernet"), self.name, self.scale)
        most = self.validation_images
        self.calibration = torch.from_numpy(images.train[:CALIBRATION_IMAGES])
        self.validation = torch.from_numpy(images.validation[:most])
        self.labels = torch.from_numpy(images.validation_labels[:most])

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [self.judge(candidate.value.network, context) for candidate in candidates]

    def judge(self, design: NetworkDesign, context: Context) -> Outcome:
        def compute(_: int) -> float:
            found: float = self.network.accuracy(design, self.calibration, self.validation, self.labels)
            return found

        accuracy = context.memo(network_key(design), compute)
        return Outcome({"accuracy": accuracy, "network_macs": float(design.macs)})


@functools.lru_cache(maxsize=2)
def images_of(data: str, size: int, seed: int) -> Images:
    """Read once a process."""
    return read_images(data, size, seed)
