"""Objects of other scans pasted into a scan: SECOND's answer to scans with few of them (Sensors 18(10), 2018).

An object comes with its points to the place where it stood in its own scan, unless another box is there, and what
points stood there go. It knows nothing of the ground or of what would hide it, as in SECOND.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from coevo.errors import ConfigError
from coevo.spaces.spvnas.data.scan import Scan, ScanSource
from coevo.spaces.spvnas.detection.boxes import check_boxes, points_in_boxes
from coevo.spaces.spvnas.detection.judging import kitti_type
from coevo.spaces.spvnas.detection.overlap import shared_areas

COUNTS = {"Car": 15, "Pedestrian": 10, "Cyclist": 10}
LEAST_POINTS = 5


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object: its box [7], its name as the scan had it, and the points float32 [P, 4] within the box."""

    box: np.ndarray
    name: str
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class ObjectBank:
    """Objects to paste, by KITTI's types; a scan is filled up to `counts` of each.

    Raises:
        ConfigError: a count is negative.
    """

    objects: Mapping[str, list[Cutout]]
    counts: Mapping[str, int] = field(default_factory=lambda: dict(COUNTS))

    def __post_init__(self) -> None:
        if any(each < 0 for each in self.counts.values()):
            raise ConfigError(f"numbers of objects to paste must be >= 0, got {dict(self.counts)}")

    @classmethod
    def of(
        cls, scans: ScanSource, counts: Mapping[str, int] | None = None, least_points: int = LEAST_POINTS
    ) -> ObjectBank:
        """The objects of all scans that at least so many points hit. InputError where a scan's boxes are wrong."""
        wanted = dict(COUNTS if counts is None else counts)
        found: dict[str, list[Cutout]] = {kind: [] for kind in wanted}
        for number in range(len(scans)):
            scan = scans[number]
            if scan.boxes is None:
                continue
            check_boxes(scan.boxes, scan.box_classes, where=f"scan {scan.name}")
            inside = points_in_boxes(scan.points, scan.boxes)
            for box, name, hits in zip(scan.boxes, scan.box_classes, inside, strict=True):
                kind = kitti_type(name, f"scan {scan.name}")
                if kind in found and hits.sum() >= least_points:
                    found[kind].append(Cutout(box.copy(), name, scan.points[hits].copy()))
        return cls(found, wanted)

    def told(self) -> dict[str, list[int]]:
        """How many there are and how many a scan is filled up to, by type."""
        return {kind: [len(self.objects.get(kind, ())), count] for kind, count in self.counts.items()}


def paste(scan: Scan, bank: ObjectBank, draw: np.random.Generator) -> Scan:
    """The scan, with objects that `draw` chooses; without labels and instances where any was pasted, since the objects'
    are not kept."""
    boxes = np.zeros((0, 7), np.float32) if scan.boxes is None else scan.boxes
    types = [kitti_type(name, f"scan {scan.name}") for name in scan.box_classes]
    added: list[Cutout] = []
    for kind, count in bank.counts.items():
        offered = bank.objects.get(kind, [])
        wanted = min(max(0, count - types.count(kind)), len(offered))
        for number in draw.permutation(len(offered))[:wanted]:
            cutout = offered[number]
            here = torch.from_numpy(cutout.box[None]).double()
            if not len(boxes) or float(shared_areas(here, torch.from_numpy(boxes).double()).max()) == 0.0:
                boxes = np.concatenate([boxes, cutout.box[None]])
                added.append(cutout)
    if not added:
        return scan
    gone = points_in_boxes(scan.points, np.stack([each.box for each in added])).any(axis=0)
    points = np.concatenate([scan.points[~gone], *(each.points for each in added)])
    names = (*scan.box_classes, *(each.name for each in added))
    return replace(scan, points=points, labels=None, instances=None, boxes=boxes, box_classes=names)
