"""Augmentations of scans. Each takes its randomness from a NumPy generator and gives a new scan.

`augment` is the recipe of SPVNAS (a turn by any angle, a scale of 0.95..1.05); flips, jitter and PolarMix (NeurIPS
2022, arXiv 2208.00223) are added by options.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.spaces.spvnas.data.labels import CLASS_IDS
from coevo.spaces.spvnas.data.scan import Scan

Array = np.ndarray[Any, Any]

PASTED = tuple(
    CLASS_IDS[name]
    for name in (
        "bicycle",
        "motorcycle",
        "truck",
        "other-vehicle",
        "person",
        "bicyclist",
        "motorcyclist",
        "fence",
        "trunk",
        "pole",
        "traffic-sign",
    )
)
"""The classes whose points PolarMix turns and pastes: those that are rare (arXiv 2208.00223, sec. 4.1, with fences,
poles and signs)."""


@dataclass(frozen=True)
class Augmentation:
    """What training does to a scan.

    Attributes:
        turn_rad: the largest turn about z, either way.
        scale: the smallest and the largest factor of all coordinates.
        flip: whether x and y change their signs, each by a half chance.
        jitter_m: standard deviation of noise on every coordinate.
        polar_mix: the chance that a scan is mixed with another one.
    """

    turn_rad: float = math.pi
    scale: tuple[float, float] = (0.95, 1.05)
    flip: bool = False
    jitter_m: float = 0.0
    polar_mix: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale must be a smallest and a largest positive factor, got {self.scale}")
        if min(self.turn_rad, self.jitter_m) < 0 or not 0 <= self.polar_mix <= 1:
            raise InputError(
                f"turn_rad and jitter_m must not be negative and polar_mix is a chance, got {self.turn_rad}, "
                f"{self.jitter_m} and {self.polar_mix}"
            )


def augment(scan: Scan, how: Augmentation, rng: np.random.Generator, other: Scan | None = None) -> Scan:
    """The scan, augmented; mixed with `other` by the chance of `how.polar_mix` where one is given."""
    if other is not None and rng.random() < how.polar_mix:
        scan = polar_mix(scan, other, rng)
    if how.flip:
        for axis in (0, 1):
            if rng.random() < 0.5:
                scan = flipped(scan, axis)
    scan = turned(scan, rng.uniform(-how.turn_rad, how.turn_rad))
    scan = scaled(scan, rng.uniform(*how.scale))
    return jittered(scan, how.jitter_m, rng) if how.jitter_m else scan


def turned(scan: Scan, angle_rad: float) -> Scan:
    """Turned about z, from x to y, with its boxes."""
    points = scan.points.copy()
    points[:, :2] = _turn(points[:, :2], angle_rad)
    if scan.boxes is None:
        return replace(scan, points=points)
    boxes = scan.boxes.copy()
    boxes[:, :2] = _turn(boxes[:, :2], angle_rad)
    boxes[:, 6] = _wrapped(boxes[:, 6] + angle_rad)
    return replace(scan, points=points, boxes=boxes)


def flipped(scan: Scan, axis: int) -> Scan:
    """Mirrored: x (axis 0) or y (axis 1) changes its sign."""
    points = scan.points.copy()
    points[:, axis] *= -1
    if scan.boxes is None:
        return replace(scan, points=points)
    boxes = scan.boxes.copy()
    boxes[:, axis] *= -1
    boxes[:, 6] = _wrapped(math.pi - boxes[:, 6] if axis == 0 else -boxes[:, 6])
    return replace(scan, points=points, boxes=boxes)


def scaled(scan: Scan, factor: float) -> Scan:
    """All lengths times a factor."""
    points = scan.points.copy()
    points[:, :3] *= factor
    if scan.boxes is None:
        return replace(scan, points=points)
    boxes = scan.boxes.copy()
    boxes[:, :6] *= factor
    return replace(scan, points=points, boxes=boxes)


def jittered(scan: Scan, sigma_m: float, rng: np.random.Generator) -> Scan:
    """Normal noise on every coordinate, cut at three standard deviations."""
    noise = np.clip(rng.standard_normal((len(scan.points), 3)), -3, 3) * sigma_m
    points = scan.points.copy()
    points[:, :3] += noise.astype(np.float32)
    return replace(scan, points=points)


def polar_mix(scan: Scan, other: Scan, rng: np.random.Generator, sector_rad: float = math.pi) -> Scan:
    """PolarMix: by a half chance a sector of the azimuth is taken from the other scan; then the other's points of rare
    classes (`PASTED`) are added three times, turned by 0, about 120 and about 240 degrees.

    Boxes and instances do not survive: a sector cuts through objects. InputError where a scan has no labels.
    """
    if scan.labels is None or other.labels is None:
        raise InputError(f"PolarMix needs labels, and scan {scan.name if scan.labels is None else other.name} has none")
    points, labels = [scan.points], [scan.labels]
    if rng.random() < 0.5:
        start = rng.uniform(-math.pi, math.pi)
        ours = ~_in_sector(scan.points, start, sector_rad)
        theirs = _in_sector(other.points, start, sector_rad)
        points = [scan.points[ours], other.points[theirs]]
        labels = [scan.labels[ours], other.labels[theirs]]
    rare = np.isin(other.labels, PASTED)
    third = 2 * math.pi / 3
    for angle in (0.0, rng.uniform(0.5, 1.5) * third, rng.uniform(1.5, 2.5) * third):
        copied = other.points[rare].copy()
        copied[:, :2] = _turn(copied[:, :2], angle)
        points.append(copied)
        labels.append(other.labels[rare])
    mixed = np.concatenate(points), np.concatenate(labels)
    if not len(mixed[0]):  # nothing of either lay in its sector
        return scan
    return Scan(mixed[0], mixed[1], f"{scan.name}+{other.name}")


def _turn(xy: Array, angle_rad: float) -> Array:
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    return np.stack([xy[:, 0] * cosine - xy[:, 1] * sine, xy[:, 0] * sine + xy[:, 1] * cosine], axis=1)


def _wrapped(angle_rad: Array) -> Array:
    return (angle_rad + math.pi) % (2 * math.pi) - math.pi


def _in_sector(points: Array, start_rad: float, width_rad: float) -> Array:
    found: Array = (np.arctan2(points[:, 1], points[:, 0]) - start_rad) % (2 * math.pi) < width_rad
    return found
