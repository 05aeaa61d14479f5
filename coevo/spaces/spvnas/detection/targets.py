"""Which anchor is to find which box (SECOND; its `target_ops.py`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from coevo.spaces.spvnas.detection.anchors import Anchor
from coevo.spaces.spvnas.detection.boxes import wrap_angle
from coevo.spaces.spvnas.detection.coding import encode

DIRECTION_START = math.pi / 4
"""Direction 0 is a yaw from here to half a turn further, 1 the other half."""


@dataclass(frozen=True, eq=False)
class Targets:
    """For A anchors of a scan, in the order of `make_anchors`.

    Attributes:
        labels: int64 [A], the class's number from 1 on, 0 background, -1 not to be learnt.
        residuals: float32 [A, 7], of the box to find; 0 elsewhere.
        directions: int64 [A], 0 or 1; 0 elsewhere.
    """

    labels: torch.Tensor
    residuals: torch.Tensor
    directions: torch.Tensor


def nearest_overlaps(anchors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """[A, B]: intersection over union seen from above, after every box was turned to the nearest axis."""
    low, high = _turned(anchors)
    other_low, other_high = _turned(boxes)
    sides = torch.minimum(high[:, None], other_high) - torch.maximum(low[:, None], other_low)
    shared = sides.clamp(min=0).prod(dim=-1)
    return shared / ((high - low).prod(dim=-1)[:, None] + (other_high - other_low).prod(dim=-1) - shared)


def _turned(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    apart = abs(wrap_angle(boxes[:, 6], math.pi, -math.pi / 2))
    sizes = torch.where((apart > math.pi / 4)[:, None], boxes[:, [4, 3]], boxes[:, [3, 4]])
    return boxes[:, :2] - sizes / 2, boxes[:, :2] + sizes / 2


def assign(anchors: torch.Tensor, kinds: tuple[Anchor, ...], boxes: torch.Tensor, classes: torch.Tensor) -> Targets:
    """Every class's anchors among the boxes of that class alone.

    An anchor finds the box it overlaps most where that is `matched` or more. The anchors that overlap a box more than
    any other anchor does find that box in any case (SECOND gives them the box that they overlap most themselves, which
    may be another one). Boxes that no anchor touches are found by none.

    Args:
        anchors: [X, Y, classes * 2, 7].
        kinds: of the classes, in the anchors' order.
        boxes: [B, 7].
        classes: int64 [B], indices of `kinds`.
    """
    shape = anchors.shape[:-1]
    labels = torch.zeros(shape, dtype=torch.int64, device=anchors.device)
    residuals, directions = torch.zeros_like(anchors), torch.zeros_like(labels)
    turns = shape[-1] // len(kinds)
    for number, kind in enumerate(kinds):
        own = boxes[classes == number].to(anchors.dtype)
        if not len(own):
            continue
        part = slice(number * turns, (number + 1) * turns)
        here = anchors[:, :, part].reshape(-1, 7)
        overlaps = nearest_overlaps(here, own)
        best, box = overlaps.max(dim=1)
        most = overlaps.max(dim=0).values
        forced = (overlaps == most) & (most > 0)
        must = forced.any(dim=1)
        box = torch.where(must, torch.where(forced, overlaps, -1.0).argmax(dim=1), box)
        found = must | (best >= kind.matched)
        label = torch.where(best < kind.unmatched, 0, -1).masked_fill(found, number + 1)
        target = own[box]
        some = found[:, None]
        places = (*shape[:2], turns)
        labels[:, :, part] = label.reshape(places)
        residuals[:, :, part] = torch.where(some, encode(target, here), 0.0).reshape(*places, 7)
        directions[:, :, part] = torch.where(found, direction_of(target[:, 6]), 0).reshape(places)
    return Targets(labels.reshape(-1), residuals.reshape(-1, 7), directions.reshape(-1))


def direction_of(yaw: torch.Tensor) -> torch.Tensor:
    """int64, 0 or 1: the half of the circle, from `DIRECTION_START` on, that the yaw lies in."""
    turned: torch.Tensor = wrap_angle(yaw, start=DIRECTION_START)
    return (turned >= DIRECTION_START + math.pi).to(torch.int64)


def turn_to(yaw: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """The yaw, or the opposite one, that lies in the half of the circle given, in [-pi, pi)."""
    half: torch.Tensor = wrap_angle(yaw, math.pi, DIRECTION_START)
    found: torch.Tensor = wrap_angle(half + math.pi * direction)
    return found
