"""How a network is trained: SPVNAS's recipe for SemanticKITTI (released code; arXiv 2007.16100, section 5)."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field

from coevo.errors import ConfigError
from coevo.spaces.spvnas.data.augment import Augmentation

PRECISIONS = ("float16", "bfloat16", "float32")


@dataclass(frozen=True, slots=True)
class Recipe:
    """SGD with Nesterov's momentum, a linear warm-up and a cosine to zero.

    Attributes:
        steps: updates.
        batch: scans of an update and a process.
        learning_rate_per_scan: the highest rate is this times all scans of an update: 0.24 for SPVNAS's 16.
        warmup_steps: updates over which the rate rises.
        voxel_m: edge of a voxel in metres.
        most_voxels: of a scan in training; a random part of more.
        precision: of the features: "float16" (with a scaled loss), "bfloat16" or "float32".
        clip: most length of the gradient; None for any.
        reproducible: refuse every operator of torch whose results may differ from run to run.
        seed: of batches, augmentations and dropout.

    Raises:
        ConfigError: a number out of its range, or another precision.
    """

    steps: int
    batch: int = 2
    learning_rate_per_scan: float = 0.015
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup_steps: int = 0
    voxel_m: float = 0.05
    most_voxels: int = 80_000
    precision: str = "bfloat16"
    clip: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    reproducible: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        whole = min(self.steps, self.batch, self.most_voxels) >= 1 and 0 <= self.warmup_steps <= self.steps
        real = min(self.learning_rate_per_scan, self.voxel_m) > 0 and 0 <= self.momentum < 1 and self.weight_decay >= 0
        if not whole or not real or (self.clip is not None and self.clip <= 0):
            raise ConfigError(f"a recipe has positive sizes and rates, and a warm-up within its steps, got {self}")

    def rate(self, step: int, scans: int) -> float:
        """The learning rate of update `step`, 0 .. steps - 1, of `scans` scans (all processes')."""
        highest = self.learning_rate_per_scan * scans
        if step < self.warmup_steps:
            return highest * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return highest * 0.5 * (1.0 + math.cos(math.pi * done))

    @property
    def digest(self) -> str:
        """Stands for everything that changes the weights."""
        return hashlib.blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=8).hexdigest()
