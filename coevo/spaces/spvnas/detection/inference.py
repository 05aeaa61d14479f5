"""From a detector's outputs to boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from coevo.errors import ConfigError
from coevo.spaces.spvnas.detection.coding import decode
from coevo.spaces.spvnas.detection.network import Detector, Outputs
from coevo.spaces.spvnas.detection.suppression import suppress
from coevo.spaces.spvnas.detection.targets import turn_to


@dataclass(frozen=True)
class Filter:
    """What is kept of a scan's anchors.

    Attributes:
        score: the least. overlap: of two boxes of a class that share more, seen from above, the better one stays.
        before, after: the most boxes of a class before and after that.
    """

    score: float = 0.1
    overlap: float = 0.1
    before: int = 1000
    after: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1 or not 0 <= self.overlap <= 1 or min(self.before, self.after) < 1:
            raise ConfigError(f"scores and overlaps lie in 0 .. 1 and numbers of boxes are >= 1, got {self}")


@dataclass(frozen=True, eq=False)
class Detections:
    """Of a scan: boxes float32 [D, 7] in the sensor's frame, scores float32 [D] in 0 .. 1, the class of each."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: tuple[str, ...]


def detect(
    detector: Detector, clouds: Sequence[np.ndarray], keep: Filter | None = None, dtype: torch.dtype | None = None
) -> list[Detections]:
    """Boxes in each cloud float32 [P, 4], by falling scores within a class.

    Args:
        keep: which boxes.
        dtype: of autocast on a CUDA device (torch.bfloat16, torch.float16); None for float32.
    """
    training = detector.training
    detector.eval()
    try:
        device = detector.anchors.device.type
        with torch.inference_mode(), torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            outputs = detector(clouds)
    finally:
        detector.train(training)
    return [pick(detector, outputs, number, keep or Filter()) for number in range(len(clouds))]


def pick(detector: Detector, outputs: Outputs, scan: int, keep: Filter) -> Detections:
    """The boxes of one scan of a batch's outputs."""
    scores, kinds = torch.sigmoid(outputs.logits[scan].float()).max(dim=1)
    anchors = detector.anchors.reshape(-1, 7)
    boxes, found_scores, names = [], [], []
    for number, kind in enumerate(detector.kinds):
        rows = ((kinds == number) & (scores >= keep.score)).nonzero()[:, 0]
        rows = rows[torch.argsort(scores[rows], descending=True, stable=True)[: keep.before]]
        found = decode(outputs.residuals[scan][rows].float(), anchors[rows])
        found[:, 6] = turn_to(found[:, 6], outputs.directions[scan][rows].argmax(dim=1))
        solid = torch.isfinite(found).all(dim=1)  # a network may say any logarithm of a size
        rows, found = rows[solid], found[solid]
        left = suppress(found, scores[rows], keep.overlap, keep.after)
        boxes.append(found[left].cpu().numpy())
        found_scores.append(scores[rows][left].cpu().numpy())
        names += [kind.name] * len(left)
    return Detections(np.concatenate(boxes), np.concatenate(found_scores), tuple(names))
