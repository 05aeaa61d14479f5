"""How far a scan's predicted classes agree with its labels, for pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.spaces.spvnas.data.labels import CLASSES, IGNORED
from coevo.spaces.spvnas.data.scan import Scan

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Agreement:
    """Of one scan.

    Attributes:
        wrong: bool [P], labelled points whose prediction is another class.
        accuracy: the share of labelled points that are right; nan where none is labelled.
        iou: of each class, [19]; nan for classes that neither labels nor predictions have.
    """

    wrong: Array
    accuracy: float
    iou: Array

    @property
    def mean_iou(self) -> float:
        """Over the classes that the scan's labels or predictions have; nan where there is none."""
        return float(np.nanmean(self.iou)) if np.isfinite(self.iou).any() else float("nan")


def agreement(scan: Scan, predicted: Array) -> Agreement:
    """Of predicted class ids int64 [P] with the scan's labels. InputError where one does not fit."""
    check_prediction(scan, predicted)
    if scan.labels is None:
        raise InputError(f"scan {scan.name} has no labels, so that nothing says which predictions are wrong")
    counted = scan.labels != IGNORED
    wrong = counted & (predicted != scan.labels)
    truth, found = scan.labels[counted], predicted[counted]
    right = np.bincount(truth[truth == found], minlength=len(CLASSES))[: len(CLASSES)]
    union = (
        np.bincount(truth, minlength=256)[: len(CLASSES)] + np.bincount(found, minlength=256)[: len(CLASSES)] - right
    )
    iou = np.where(union > 0, right / np.maximum(union, 1), np.nan)
    return Agreement(wrong, float(1 - wrong.sum() / counted.sum()) if counted.any() else float("nan"), iou)


def check_prediction(scan: Scan, predicted: Array) -> None:
    """InputError unless predictions are class ids, one a point."""
    if predicted.shape != scan.points.shape[:1] or not np.issubdtype(predicted.dtype, np.integer):
        raise InputError(
            f"scan {scan.name} has {len(scan.points)} points; predictions must be whole numbers [{len(scan.points)}], "
            f"got {predicted.dtype} {list(predicted.shape)}"
        )
    if ((predicted < 0) | ((predicted >= len(CLASSES)) & (predicted != IGNORED))).any():
        raise InputError(f"predictions for scan {scan.name} must be 0 .. {len(CLASSES) - 1} or {IGNORED}, got others")
