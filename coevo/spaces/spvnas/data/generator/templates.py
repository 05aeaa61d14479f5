"""Things as unions of primitives: a template gives its parts in fractions of the thing's length, width and height.

A part is a box, an ellipsoid or a vertical cylinder. A box may taper: its sides lean inwards up to the share of its
half-length (or half-width) that is gone at the top, so that 1 makes a roof's ridge. A part with `porosity_m` > 0 lets a
ray in for an exponentially distributed length of that mean; others stop it at their surface.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from coevo.spaces.spvnas.data.labels import CLASS_IDS, IGNORED

Array = np.ndarray[Any, Any]
BOX, ELLIPSOID, CYLINDER = 0, 1, 2


@dataclass(frozen=True)
class Part:
    """A primitive of a template.

    Attributes:
        centre: in fractions of length and width from the thing's middle, and of its height from the ground.
        half: half-sizes, in fractions of length, width and height.
        kind: BOX, ELLIPSOID or CYLINDER.
        taper: the shares of half-length and half-width that are gone at the top.
        porosity_m: mean length that a ray goes within.
        albedo: factor of the thing's.
        lost: share of its returns that is missing, as of glass.
        label: another class than the thing's.
    """

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    kind: int = BOX
    taper: tuple[float, float] = (0.0, 0.0)
    porosity_m: float = 0.0
    albedo: float = 1.0
    lost: float = 0.0
    label: str | None = None


@dataclass(frozen=True)
class Template:
    """A kind of thing.

    Attributes:
        label: its class; "" for things that stay unlabelled.
        parts: its primitives.
        boxed: the class of its 3D box; None where detection does not want it.
        albedo: smallest and largest.
    """

    label: str
    parts: tuple[Part, ...]
    boxed: str | None = None
    albedo: tuple[float, float] = (0.2, 0.5)


def _wheels(at: tuple[float, ...], radius: float, across: float = 0.44, thick: float = 0.07) -> tuple[Part, ...]:
    """Pairs of wheels at places along the length; radius in heights is made round by the caller's proportions."""
    return tuple(
        Part((x, side * across, radius), (radius * 0.36, thick, radius), ELLIPSOID, albedo=0.3)
        for x in at
        for side in (-1, 1)
    )


def _person(
    lean: float = 0.0, low: float = 0.0, walking: float = 0.18, along: float = 1.0, broad: float = 1.0
) -> tuple[Part, ...]:
    """Legs, trunk, arms and head of somebody whose feet are at the share `low` of the height, and who takes the shares
    `along` and `broad` of length and width."""

    def up(z: float) -> float:
        return low + (1.0 - low) * z

    tall = 1.0 - low
    parts = (
        Part((walking, -0.2, up(0.23)), (0.16, 0.17, 0.24 * tall), CYLINDER),
        Part((-walking, 0.2, up(0.23)), (0.16, 0.17, 0.24 * tall), CYLINDER),
        Part((lean * 0.5, 0.0, up(0.64)), (0.30, 0.42, 0.22 * tall), ELLIPSOID),
        Part((lean * 0.7 - walking, -0.42, up(0.60)), (0.12, 0.09, 0.18 * tall), CYLINDER),
        Part((lean * 0.7 + walking, 0.42, up(0.60)), (0.12, 0.09, 0.18 * tall), CYLINDER),
        Part((lean, 0.0, up(0.925)), (0.22, 0.24, 0.085 * tall), ELLIPSOID, albedo=1.2),
    )
    return tuple(
        replace(
            part,
            centre=(part.centre[0] * along, part.centre[1] * broad, part.centre[2]),
            half=(part.half[0] * along, part.half[1] * broad, part.half[2]),
        )
        for part in parts
    )


def _bicycle(tall: float = 1.0) -> tuple[Part, ...]:
    """Two wheels, a frame, a saddle and a handlebar, up to the share `tall` of the height."""
    return (
        Part((-0.31, 0.0, 0.31 * tall), (0.19, 0.05, 0.31 * tall), ELLIPSOID, porosity_m=0.12),
        Part((0.31, 0.0, 0.31 * tall), (0.19, 0.05, 0.31 * tall), ELLIPSOID, porosity_m=0.12),
        Part((0.0, 0.0, 0.52 * tall), (0.28, 0.05, 0.16 * tall), porosity_m=0.15),
        Part((-0.12, 0.0, 0.88 * tall), (0.07, 0.12, 0.04 * tall)),
        Part((0.22, 0.0, 0.95 * tall), (0.03, 0.45, 0.04 * tall)),
    )


def _motorcycle(tall: float = 1.0) -> tuple[Part, ...]:
    return (
        Part((-0.33, 0.0, 0.28 * tall), (0.15, 0.12, 0.28 * tall), ELLIPSOID, albedo=0.4),
        Part((0.33, 0.0, 0.28 * tall), (0.15, 0.12, 0.28 * tall), ELLIPSOID, albedo=0.4),
        Part((0.0, 0.0, 0.45 * tall), (0.24, 0.28, 0.2 * tall), ELLIPSOID),
        Part((-0.18, 0.0, 0.70 * tall), (0.17, 0.18, 0.06 * tall)),
        Part((0.27, 0.0, 0.82 * tall), (0.05, 0.48, 0.14 * tall), taper=(0.6, 0.2)),
    )


_CAR_WHEELS = _wheels((-0.31, 0.31), 0.21)
_TREE = (
    Part((0.0, 0.0, 0.17), (0.045, 0.045, 0.25), CYLINDER, label="trunk"),
    Part((0.0, 0.0, 0.62), (0.5, 0.5, 0.37), ELLIPSOID, porosity_m=2.0),
    Part((0.22, 0.12, 0.45), (0.30, 0.34, 0.20), ELLIPSOID, porosity_m=2.0),
)

TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        "sedan": Template(
            "car",
            (
                Part((0.0, 0.0, 0.38), (0.5, 0.5, 0.22), taper=(0.04, 0.06)),
                Part((-0.04, 0.0, 0.80), (0.31, 0.46, 0.20), taper=(0.36, 0.22), albedo=0.8, lost=0.3),
                *_CAR_WHEELS,
            ),
            "car",
        ),
        "hatchback": Template(
            "car",
            (
                Part((0.0, 0.0, 0.38), (0.5, 0.5, 0.22), taper=(0.04, 0.06)),
                Part((-0.13, 0.0, 0.80), (0.36, 0.46, 0.20), taper=(0.22, 0.2), albedo=0.8, lost=0.3),
                *_CAR_WHEELS,
            ),
            "car",
        ),
        "van": Template(
            "car",
            (
                Part((-0.06, 0.0, 0.55), (0.44, 0.5, 0.43), taper=(0.05, 0.08)),
                Part((0.36, 0.0, 0.32), (0.14, 0.48, 0.20), taper=(0.3, 0.05)),
                *_wheels((-0.31, 0.31), 0.16),
            ),
            "car",
        ),
        "lorry": Template(
            "truck",
            (
                Part((-0.13, 0.0, 0.60), (0.37, 0.5, 0.40)),
                Part((0.39, 0.0, 0.45), (0.11, 0.48, 0.34), taper=(0.15, 0.0)),
                Part((0.0, 0.0, 0.19), (0.46, 0.3, 0.05), albedo=0.5),
                *_wheels((-0.36, -0.24, 0.36), 0.14),
            ),
            "truck",
        ),
        "flatbed": Template(
            "truck",
            (
                Part((-0.12, 0.0, 0.36), (0.38, 0.5, 0.10)),
                Part((-0.2, 0.0, 0.58), (0.2, 0.42, 0.14), albedo=0.6),
                Part((0.38, 0.0, 0.60), (0.12, 0.48, 0.38), taper=(0.2, 0.05)),
                *_wheels((-0.34, 0.36), 0.16),
            ),
            "truck",
        ),
        "bus": Template(
            "other-vehicle",
            (
                Part((0.0, 0.0, 0.36), (0.5, 0.5, 0.22)),
                Part((0.0, 0.0, 0.79), (0.49, 0.49, 0.21), albedo=0.7, lost=0.25, taper=(0.01, 0.05)),
                *_wheels((-0.32, 0.34), 0.16, thick=0.06),
            ),
            "other-vehicle",
        ),
        "trailer": Template(
            "other-vehicle",
            (
                Part((-0.06, 0.0, 0.55), (0.42, 0.5, 0.40), taper=(0.06, 0.06)),
                Part((0.43, 0.0, 0.2), (0.07, 0.06, 0.04)),
                *_wheels((-0.05,), 0.16),
            ),
            "other-vehicle",
        ),
        "bicycle": Template("bicycle", _bicycle(), None, (0.15, 0.4)),
        "motorcycle": Template("motorcycle", _motorcycle(), None, (0.15, 0.4)),
        "walker": Template("person", _person(), "person", (0.15, 0.5)),
        "stander": Template("person", _person(walking=0.05), "person", (0.15, 0.5)),
        "cyclist": Template(
            "bicyclist", (*_bicycle(0.56), *_person(0.3, 0.28, 0.1, 0.35, 0.9)), "bicyclist", (0.15, 0.5)
        ),
        "rider": Template(
            "motorcyclist", (*_motorcycle(0.68), *_person(0.2, 0.3, 0.1, 0.3, 0.8)), "motorcyclist", (0.15, 0.5)
        ),
        "house": Template(
            "building",
            (
                Part((0.0, 0.0, 0.20), (0.5, 0.5, 0.45)),
                Part((0.0, 0.0, 0.82), (0.53, 0.55, 0.18), taper=(0.05, 1.0), albedo=0.6),
                Part((0.18, 0.0, 0.15), (0.12, 0.56, 0.32)),
                Part((-0.25, 0.0, 0.33), (0.1, 0.55, 0.05), albedo=0.8),
            ),
        ),
        "block": Template(
            "building",
            (
                Part((0.0, 0.0, 0.40), (0.5, 0.5, 0.60)),
                Part((-0.28, 0.0, 0.30), (0.06, 0.54, 0.36)),
                Part((0.25, 0.0, 0.22), (0.08, 0.58, 0.03)),
                Part((0.25, 0.0, 0.45), (0.08, 0.58, 0.03)),
            ),
        ),
        "fence": Template("fence", (Part((0.0, 0.0, 0.5), (0.5, 0.5, 0.5), porosity_m=0.05),), None, (0.2, 0.5)),
        "wall": Template("fence", (Part((0.0, 0.0, 0.35), (0.5, 0.5, 0.65)),), None, (0.25, 0.5)),
        "rail": Template(
            "fence",
            (Part((0.0, 0.0, 0.75), (0.5, 0.5, 0.22)), Part((0.0, 0.0, 0.3), (0.02, 0.5, 0.5))),
            None,
            (0.4, 0.7),
        ),
        "tree": Template("vegetation", _TREE, None, (0.25, 0.5)),
        "bush": Template(
            "vegetation",
            (
                Part((0.0, 0.0, 0.35), (0.5, 0.5, 0.65), ELLIPSOID, porosity_m=1.0),
                Part((0.25, -0.2, 0.3), (0.35, 0.38, 0.5), ELLIPSOID, porosity_m=1.0),
            ),
            None,
            (0.25, 0.5),
        ),
        "thicket": Template(
            "vegetation", (Part((0.0, 0.0, 0.45), (0.5, 0.5, 0.55), ELLIPSOID, porosity_m=3.0),), None, (0.25, 0.5)
        ),
        "hedge": Template("vegetation", (Part((0.0, 0.0, 0.4), (0.5, 0.5, 0.6), porosity_m=0.25),), None, (0.25, 0.5)),
        "lamp": Template(
            "pole",
            (Part((0.0, 0.0, 0.45), (0.5, 0.5, 0.52), CYLINDER), Part((3.0, 0.0, 0.97), (3.5, 0.5, 0.012))),
            None,
            (0.3, 0.6),
        ),
        "post": Template("pole", (Part((0.0, 0.0, 0.45), (0.5, 0.5, 0.55), CYLINDER),), None, (0.3, 0.6)),
        "sign": Template(
            "pole",
            (
                Part((0.0, 0.0, 0.45), (0.06, 0.06, 0.55), CYLINDER),
                Part((0.06, 0.0, 0.84), (0.03, 0.5, 0.15), albedo=3.0, label="traffic-sign"),
            ),
            None,
            (0.3, 0.4),
        ),
        "bin": Template("", (Part((0.0, 0.0, 0.5), (0.5, 0.5, 0.5), taper=(-0.1, -0.1)),), None, (0.1, 0.6)),
        "cabinet": Template("", (Part((0.0, 0.0, 0.5), (0.5, 0.5, 0.5)),), None, (0.2, 0.6)),
    }
)

NAMES = tuple(TEMPLATES)
"""A template's number is its place here."""


@dataclass(frozen=True, eq=False)
class PartTable:
    """All templates' parts as rows: those of template t are `start[t] : start[t] + count[t]`.

    Attributes:
        start, count: int64 [templates].
        numbers: float32 [parts, 14]: centre 3, half-sizes 3, kind, tapers 2, porosity, albedo, lost and two flags that
            spare a division: whether it is a box, and whether an ellipsoid.
        labels: int64 [parts], class ids or IGNORED.
        boxed: class ids of templates' 3D boxes, int64 [templates], -1 for none.
    """

    start: Array
    count: Array
    numbers: Array
    labels: Array
    boxed: Array


def part_table() -> PartTable:
    """The rows of `TEMPLATES`."""
    rows, labels = [], []
    for template in TEMPLATES.values():
        for part in template.parts:
            name = template.label if part.label is None else part.label
            labels.append(CLASS_IDS[name] if name else IGNORED)
            flags = float(part.kind == BOX), float(part.kind == ELLIPSOID)
            shape = (*part.centre, *part.half, float(part.kind), *part.taper)
            rows.append((*shape, part.porosity_m, part.albedo, part.lost, *flags))
    count = np.array([len(template.parts) for template in TEMPLATES.values()])
    boxed = [-1 if template.boxed is None else CLASS_IDS[template.boxed] for template in TEMPLATES.values()]
    return PartTable(
        np.concatenate([[0], np.cumsum(count)[:-1]]),
        count,
        np.array(rows, dtype=np.float32),
        np.array(labels),
        np.array(boxed),
    )
