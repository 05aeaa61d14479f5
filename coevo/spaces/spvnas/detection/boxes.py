"""Upright boxes in a sensor's frame: x ahead, y left, z up, metres.

A box is seven numbers: x, y, z of its centre, length along its heading, width, height, and yaw: the angle in radians
from the x axis to the heading, towards y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from coevo.errors import InputError

COLUMNS = ("x", "y", "z", "length", "width", "height", "yaw")
_SIGNS = ((1, 1), (-1, 1), (-1, -1), (1, -1))  # counter-clockwise, from ahead on the left


def check_boxes(
    boxes: Any, classes: Sequence[str], known: Sequence[str] | None = None, where: str = "the boxes"
) -> None:
    """InputError unless boxes are finite numbers [B, 7] with positive sizes and a class each, of `known` if given."""
    if boxes.ndim != 2 or boxes.shape[1] != len(COLUMNS):
        raise InputError(f"{where} must be [B, 7] ({', '.join(COLUMNS)}), got {list(boxes.shape)}")
    if len(boxes) != len(classes):
        raise InputError(f"{where}: {len(boxes)} boxes came with {len(classes)} classes; each box needs one")
    numbers = np.asarray(boxes, dtype=np.float64)
    for row, box in enumerate(numbers):
        if not np.isfinite(box).all():
            raise InputError(f"{where}: box {row} is {tuple(box.tolist())}; its numbers must be finite")
        if not (box[3:6] > 0).all():
            raise InputError(
                f"{where}: box {row} has the sizes {tuple(box[3:6].tolist())}; all must be positive metres"
            )
        if known is not None and classes[row] not in known:
            raise InputError(f"{where}: box {row} is a {classes[row]!r}; the classes are {', '.join(known)}")


def wrap_angle(angle: Any, period: float = 2 * math.pi, start: float = -math.pi) -> Any:
    """The angle in [start, start + period) that differs from it by a multiple of `period`."""
    return angle - ((angle - start) // period) * period


def corners_in_plane(boxes: torch.Tensor) -> torch.Tensor:
    """The corners [..., 4, 2] of boxes [..., 7] seen from above, counter-clockwise from ahead on the left."""
    signs = boxes.new_tensor(_SIGNS) * 0.5
    local = signs * boxes[..., None, 3:5]
    cosine, sine = torch.cos(boxes[..., 6])[..., None], torch.sin(boxes[..., 6])[..., None]
    x = local[..., 0] * cosine - local[..., 1] * sine + boxes[..., None, 0]
    y = local[..., 0] * sine + local[..., 1] * cosine + boxes[..., None, 1]
    return torch.stack([x, y], dim=-1)


def corners(boxes: torch.Tensor) -> torch.Tensor:
    """The corners [..., 8, 3] of boxes [..., 7]: the bottom's as `corners_in_plane`, then the top's."""
    flat = corners_in_plane(boxes)
    half, middle = boxes[..., 5] / 2, boxes[..., 2]
    low = (middle - half)[..., None, None].expand(*flat.shape[:-1], 1)
    high = (middle + half)[..., None, None].expand(*flat.shape[:-1], 1)
    return torch.cat([torch.cat([flat, low], dim=-1), torch.cat([flat, high], dim=-1)], dim=-2)


def points_in_boxes(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """bool [B, P]: which points [P, >= 3] lie in which boxes [B, 7], faces included."""
    inside = np.zeros((len(boxes), len(points)), dtype=bool)
    for row, (x, y, z, length, width, height, yaw) in enumerate(np.asarray(boxes, dtype=np.float64)):
        dx, dy, dz = points[:, 0] - x, points[:, 1] - y, points[:, 2] - z
        along, across = dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw)
        inside[row] = (abs(along) <= length / 2) & (abs(across) <= width / 2) & (abs(dz) <= height / 2)
    return inside
