"""Intersection over union by class, and its mean, as SemanticKITTI counts them (ICCV 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.spaces.spvnas.data.labels import IGNORED


@dataclass(frozen=True, eq=False)
class Scores:
    """Of predictions on many scans.

    Attributes:
        confusion: int64 [classes, classes], points by true class (row) and predicted class (column).
    """

    confusion: npt.NDArray[np.int64]

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """[classes], 0 .. 1; NaN for a class that is neither there nor predicted."""
        right = np.diag(self.confusion).astype(float)
        union = self.confusion.sum(axis=0) + self.confusion.sum(axis=1) - right
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(union > 0, right / union, np.nan)

    @property
    def miou(self) -> float:
        """The mean over the classes that the scans have; NaN where they have none."""
        there = self.confusion.sum(axis=1) > 0
        return float(self.iou[there].mean()) if there.any() else float("nan")

    @property
    def legacy_miou(self) -> float:
        """As SPVNAS's released code has it: a class that the scans do not have counts as 1."""
        there = self.confusion.sum(axis=1) > 0
        return float(np.where(there, np.nan_to_num(self.iou), 1.0).mean())

    def miou_of(self, classes: list[int]) -> float:
        """The mean over those of `classes` that the scans have."""
        there = [each for each in classes if self.confusion[each].sum() > 0]
        return float(self.iou[there].mean()) if there else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of points whose class is right."""
        return float(np.diag(self.confusion).sum() / max(1, self.confusion.sum()))

    def to_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """mIoU in percent and IoU by class; a class that is not there has none."""
        shown = {
            name: None if np.isnan(iou) else round(100 * float(iou), 3)
            for name, iou in zip(names, self.iou, strict=True)
        }
        return {
            "miou_percent": round(100 * self.miou, 3),
            "legacy_miou_percent": round(100 * self.legacy_miou, 3),
            "accuracy_percent": round(100 * self.accuracy, 3),
            "iou_percent": shown,
        }


class Confusion:
    """Counts on a device, so that nothing waits for it between scans."""

    def __init__(self, classes: int, device: torch.device | str = "cpu") -> None:
        self.classes = classes
        self.counts = torch.zeros(classes * classes, dtype=torch.int64, device=device)

    def add(self, predicted: Tensor, labels: Tensor) -> None:
        """Classes [P] and truth [P]; points whose truth is 255 do not count. InputError where lengths differ."""
        if predicted.shape != labels.shape or predicted.dim() != 1:
            raise InputError(f"expected as many predictions [P] as labels [P], got {tuple(predicted.shape)} and "
                             f"{tuple(labels.shape)}")  # fmt: skip
        counted = labels != IGNORED
        places = torch.where(counted, labels * self.classes + predicted, self.classes**2)
        self.counts += torch.bincount(places, minlength=self.classes**2 + 1)[: self.classes**2]

    def scores(self) -> Scores:
        """Waits for the device."""
        return Scores(self.counts.cpu().numpy().reshape(self.classes, self.classes).copy())
