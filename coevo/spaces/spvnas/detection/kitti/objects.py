"""Objects as lines of KITTI's label and result files (readme of the object development kit)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from coevo.errors import InputError
from coevo.spaces.spvnas.data.files import write_whole
from coevo.spaces.spvnas.detection.boxes import corners, wrap_angle
from coevo.spaces.spvnas.detection.kitti.calibration import Calibration

TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare")
DONT_CARE = "DontCare"
_FIELDS = 15
_NEAR_M = 0.1


@dataclass(frozen=True)
class Object:
    """One line, in the rectified camera's frame (x right, y down, z ahead).

    Attributes:
        type: one of `TYPES`.
        truncation: 0 .. 1, the part outside the image; -1 in results.
        occlusion: 0 visible, 1 partly, 2 largely occluded, 3 unknown; -1 in results.
        alpha: angle at which the camera sees it, radians.
        image_box: left, top, right, bottom, pixels.
        height, width, length: metres; -1 for `DontCare`.
        location: middle of the bottom, metres.
        rotation_y: heading about the camera's y, radians; 0 is along x.
        score: of a detection; None for truth.
    """

    type: str
    truncation: float
    occlusion: int
    alpha: float
    image_box: tuple[float, float, float, float]
    height: float
    width: float
    length: float
    location: tuple[float, float, float]
    rotation_y: float
    score: float | None = None

    @property
    def upright(self) -> tuple[float, ...]:
        """The box's seven numbers in a frame of x right, y ahead, z up in the camera's place: overlaps are the same."""
        x, y, z = self.location
        return (x, z, self.height / 2 - y, self.length, self.width, self.height, -self.rotation_y)

    def line(self) -> str:
        """As files have it. Numbers keep the digits that tell them apart as float32."""
        sides = (self.height, self.width, self.length, *self.location, self.rotation_y)
        numbers = [self.alpha, *self.image_box, *sides, *(() if self.score is None else (self.score,))]
        return " ".join(
            [self.type, f"{self.truncation:.9g}", str(self.occlusion), *(f"{each:.9g}" for each in numbers)]
        )


def parse_objects(text: str, where: str, scored: bool | None = None) -> list[Object]:
    """Objects of a file's text.

    Args:
        where: the file, for errors.
        scored: whether every line must have a score (results) or none may (labels); None takes either.

    Raises:
        InputError: a line has another number of columns, an unknown type, something that is no finite number, or,
            unless it is a DontCare, a size that is not positive; names file and line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words, place = line.split(), f"{where}, line {number}"
        if not words:
            continue
        wanted = (_FIELDS, _FIELDS + 1) if scored is None else (_FIELDS + int(scored),)
        if len(words) not in wanted:
            raise InputError(f"{place}: expected {' or '.join(map(str, wanted))} columns, got {len(words)}")
        known = {each.lower(): each for each in TYPES}
        if words[0].lower() not in known:
            raise InputError(f"{place}: unknown type {words[0]!r}; KITTI has {', '.join(TYPES)}")
        try:
            values = [float(each) for each in words[1:]]
        except ValueError:
            given = " ".join(words[1:])
            raise InputError(f"{place}: the columns after the type must be numbers, got {given!r}") from None
        if not all(math.isfinite(each) for each in values) or values[1] != int(values[1]):
            raise InputError(f"{place}: numbers must be finite and the occlusion whole, got {' '.join(words[1:])!r}")
        kind = known[words[0].lower()]
        truncation, occlusion, alpha, left, top, right, bottom, height, width, length, x, y, z, turn = values[:14]
        if kind != DONT_CARE and min(height, width, length) <= 0:
            sides = (height, width, length)
            raise InputError(f"{place}: height, width and length of a {kind} must be positive metres, got {sides}")
        score = values[14] if len(words) > _FIELDS else None
        image_box, location = (left, top, right, bottom), (x, y, z)
        sizes = (height, width, length)
        found.append(Object(kind, truncation, int(occlusion), alpha, image_box, *sizes, location, turn, score))
    return found


def read_objects(path: str | Path, scored: bool | None = None) -> list[Object]:
    """Objects of a file; an empty one has none. Errors as `parse_objects`, and where the file is missing."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file of objects")
    return parse_objects(path.read_text(encoding="utf-8", errors="replace"), str(path), scored)


def write_objects(path: str | Path, objects: Sequence[Object]) -> None:
    """Writes a file of labels or results, whole or not at all."""
    write_whole(Path(path), "".join(each.line() + "\n" for each in objects).encode())


def boxes_of(objects: Sequence[Object], calibration: Calibration) -> tuple[np.ndarray, tuple[str, ...]]:
    """Boxes float32 [B, 7] in the sensor's frame and their types, of all objects but DontCares."""
    kept = [each for each in objects if each.type != DONT_CARE]
    found = np.zeros((len(kept), 7), dtype=np.float32)
    for row, each in enumerate(kept):
        x, y, z = each.location
        found[row, :3] = calibration.to_sensor(np.array([[x, y - each.height / 2, z]]))[0]
        found[row, 3:] = (each.length, each.width, each.height, calibration.yaw(each.rotation_y))
    return found, tuple(each.type for each in kept)


def object_of(
    box: Sequence[float],
    kind: str,
    calibration: Calibration,
    score: float | None = None,
    image_size: tuple[int, int] | None = (1242, 375),
) -> Object:
    """A box in the sensor's frame as KITTI writes it; truncation and occlusion are -1.

    Its image box holds the eight corners, cut to `image_size` (width, height in pixels; None cuts nothing). A box that
    does not lie ahead of the camera has the image box (-1, -1, -1, -1).
    """
    x, y, z, length, width, height, yaw = (float(each) for each in box)
    cx, cy, cz = calibration.to_camera(np.array([[x, y, z]]))[0]
    turn = calibration.rotation_y(yaw)
    upright = torch.tensor([cx, cz, -cy, length, width, height, -turn], dtype=torch.float64)
    places = corners(upright).numpy()[:, [0, 2, 1]] * (1, -1, 1)
    sides = (-1.0, -1.0, -1.0, -1.0)
    if places[:, 2].min() > _NEAR_M:
        pixels = calibration.to_image(places)
        if image_size is not None:
            pixels = pixels.clip(0, np.array(image_size) - 1)
        left, top, right, bottom = (float(each) for each in (*pixels.min(axis=0), *pixels.max(axis=0)))
        sides = (left, top, right, bottom)
    return Object(kind, -1.0, -1, float(wrap_angle(turn - math.atan2(cx, cz))), sides, height, width, length,
                  (float(cx), float(cy + height / 2), float(cz)), turn, score)  # fmt: skip
