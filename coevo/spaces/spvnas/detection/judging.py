"""KITTI's average precision for scans whose boxes are known all around, without a camera: generated scenes.

KITTI tells the difficulty of an object by its height in the image, its occlusion and its truncation. Here the height is
what KITTI's camera would see at the object's distance, in whatever direction, nothing is truncated, and the occlusion
is told by the points that hit the object. What is written down so is no figure of KITTI's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from coevo.errors import InputError
from coevo.spaces.spvnas.data.scan import Scan, ScanSource
from coevo.spaces.spvnas.detection.boxes import check_boxes, points_in_boxes
from coevo.spaces.spvnas.detection.grid import Grid
from coevo.spaces.spvnas.detection.inference import Detections, Filter, detect
from coevo.spaces.spvnas.detection.kitti.average_precision import MIN_OVERLAPS, Report, evaluate
from coevo.spaces.spvnas.detection.kitti.calibration import Calibration
from coevo.spaces.spvnas.detection.kitti.objects import TYPES, Object, object_of
from coevo.spaces.spvnas.detection.network import Detector

TYPES_OF_CLASSES = {
    "car": "Car",
    "truck": "Truck",
    "other-vehicle": "Van",
    "person": "Pedestrian",
    "bicyclist": "Cyclist",
    "motorcyclist": "Cyclist",
    "bicycle": "Misc",
    "motorcycle": "Misc",
}
"""KITTI's types of SemanticKITTI's classes. Vans are neither right nor wrong where cars are asked for."""
FOCAL_PX = 721.5
OCCLUSION_POINTS = (50, 15, 5)
"""At least so many points for occlusion 0, 1 and 2; with fewer it is 3, which counts at no difficulty."""
UNKNOWN = 3
_AHEAD = Calibration.ideal(FOCAL_PX)


def judge(
    detector: Detector,
    scans: ScanSource,
    keep: Filter | None = None,
    dtype: torch.dtype | None = None,
    overlaps: Mapping[str, float] | None = None,
) -> Report:
    """Average precision of the detector's classes over all scans, from above and in space.

    Args:
        keep, dtype: as `detect`.
        overlaps: the least of a match by class; KITTI's where it is None.
    """
    truths, found = compared(detector, scans, keep, dtype)
    kinds = [each.name for each in detector.kinds if each.name in MIN_OVERLAPS]
    return evaluate(truths, found, kinds, overlaps=overlaps)


def compared(
    detector: Detector, scans: ScanSource, keep: Filter | None = None, dtype: torch.dtype | None = None
) -> tuple[list[list[Object]], list[list[Object]]]:
    """What is there and what was found in each scan, as `evaluate` takes them, to be counted in several ways."""
    truths, found = [], []
    for number in range(len(scans)):
        scan = scans[number]
        truths.append(truth_of(scan, detector.grid))
        found.append(found_of(detect(detector, [scan.points], keep, dtype)[0]))
    return truths, found


def kitti_type(name: str, where: str) -> str:
    """The type of a class's name, KITTI's or SemanticKITTI's. InputError where it is neither; `where` is for it."""
    if name in TYPES:
        return name
    if name not in TYPES_OF_CLASSES:
        known = ", ".join((*TYPES_OF_CLASSES, *TYPES))
        raise InputError(f"{where} has a box of the unknown class {name!r}; known are {known}")
    return TYPES_OF_CLASSES[name]


def truth_of(scan: Scan, grid: Grid) -> list[Object]:
    """The scan's boxes as KITTI's objects. Those whose middle lies outside the grid are of unknown occlusion.

    Raises:
        InputError: the scan has no boxes, or one of an unknown class or of sizes that are not positive.
    """
    if scan.boxes is None:
        raise InputError(f"scan {scan.name} has no boxes, so that nothing can be held against it")
    check_boxes(scan.boxes, scan.box_classes, where=f"scan {scan.name}")
    found = []
    hits = points_in_boxes(scan.points, scan.boxes).sum(axis=1)
    for box, name, points in zip(scan.boxes, scan.box_classes, hits, strict=True):
        kind = kitti_type(name, f"scan {scan.name}")
        level = next((level for level, least in enumerate(OCCLUSION_POINTS) if points >= least), UNKNOWN)
        if not grid.holds(*(float(each) for each in box[:3])):
            level = UNKNOWN
        found.append(_around(box, kind, None, level))
    return found


def found_of(detections: Detections) -> list[Object]:
    """Detections as KITTI's objects, to be held against `truth_of`."""
    rows = zip(detections.boxes, detections.scores, detections.classes, strict=True)
    return [_around(box, kind, float(score), -1) for box, score, kind in rows]


def _around(box: Sequence[float] | np.ndarray, kind: str, score: float | None, occlusion: int) -> Object:
    plain = object_of([float(each) for each in box], kind, _AHEAD, score)
    height = FOCAL_PX * plain.height / max(math.hypot(float(box[0]), float(box[1])), 1.0)
    return Object(kind, 0.0, occlusion, plain.alpha, (0.0, 0.0, height, height), plain.height, plain.width,
                  plain.length, plain.location, plain.rotation_y, score)  # fmt: skip
