"""One sweep of a LiDAR with its labels and boxes, and what gives such sweeps by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from coevo.errors import InputError
from coevo.spaces.spvnas.data.labels import CLASSES, IGNORED

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Scan:
    """A sweep in the sensor's frame: x forward, y left, z up.

    Attributes:
        points: float32 [P, 4]: x, y, z in metres, remission 0..1; at least one point, all finite.
        labels: int64 [P], class ids 0..18 or IGNORED; None where the sweep has none.
        name: what errors and pictures call it.
        boxes: float32 [B, 7]: centre x, y, z, length, width, height in metres, yaw in radians about z from x to y; None
            where nobody knows them.
        box_classes: the class's name of each box.
        instances: int64 [P], the object of each point and 0 for none; None where nobody knows them.

    Raises:
        InputError: anything else came.
    """

    points: Array
    labels: Array | None
    name: str
    boxes: Array | None = None
    box_classes: tuple[str, ...] = ()
    instances: Array | None = None

    def __post_init__(self) -> None:
        points = self.points
        if points.dtype != np.float32 or points.ndim != 2 or points.shape[1] != 4:
            raise InputError(
                f"scan {self.name}: points must be float32 [P, 4] (x, y, z, remission), got {points.dtype} "
                f"{list(points.shape)}"
            )
        if not len(points):
            raise InputError(f"scan {self.name} is empty: a scan has at least one point")
        if not np.isfinite(points).all():
            row = int(np.argmin(np.isfinite(points).all(axis=1)))
            raise InputError(f"scan {self.name}: point {row} is {points[row].tolist()}; numbers must be finite")
        for what, given in (("labels", self.labels), ("instances", self.instances)):
            if given is not None and (given.dtype != np.int64 or given.shape != points.shape[:1]):
                raise InputError(
                    f"scan {self.name} has {len(points)} points; its {what} must be int64 [{len(points)}], got "
                    f"{given.dtype} {list(given.shape)}"
                )
        if self.labels is not None:
            wrong = (self.labels != IGNORED) & ((self.labels < 0) | (self.labels >= len(CLASSES)))
            if wrong.any():
                row = int(np.argmax(wrong))
                raise InputError(
                    f"scan {self.name}: point {row} has the class id {int(self.labels[row])}; expected "
                    f"0 .. {len(CLASSES) - 1}, or {IGNORED} for none"
                )
        count = 0 if self.boxes is None else len(self.boxes)
        if self.boxes is not None and (self.boxes.dtype != np.float32 or self.boxes.shape != (count, 7)):
            raise InputError(
                f"scan {self.name}: boxes must be float32 [B, 7] (centre, length, width, height, yaw), got "
                f"{self.boxes.dtype} {list(self.boxes.shape)}"
            )
        if len(self.box_classes) != count:
            raise InputError(f"scan {self.name} has {count} boxes and {len(self.box_classes)} classes of boxes")


class ScanSource(Protocol):
    """Scans by number. `source` says in words what data they are, as results repeat it."""

    @property
    def source(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Scan: ...
