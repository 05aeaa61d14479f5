"""The shapes of procedural scenes as distances to their edges.

A shape stands upright in the square of side `size` around its centre; y grows downwards.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "ring")
PLURALS = ("circles", "squares", "triangles", "diamonds", "crosses", "rings")

AREA = {
    "circle": math.pi / 4,
    "square": 1.0,
    "triangle": 0.5,
    "diamond": 0.5,
    "cross": 5 / 9,
    "ring": math.pi / 4 * 0.75,
}
"""Area over the square of the size."""
CENTROID_BELOW = {name: 1 / 6 if name == "triangle" else 0.0 for name in SHAPES}
"""How far the centroid lies below the centre, over the size."""


def edge_distance(shape: str, x: Tensor, y: Tensor, size: Tensor) -> Tensor:
    """Distance to the shape's edge, negative inside, in the unit of `x`, `y` (from the centre) and `size`.

    Exact on the edge and inside; outside, beyond a corner, it may be less than the distance (never more), which
    rounds corners by less than a pixel where it is used for anti-aliasing.
    """
    h = size / 2
    if shape == "circle":
        return torch.hypot(x, y) - h
    if shape == "ring":  # the hole has half the diameter
        return (torch.hypot(x, y) - 0.75 * h).abs() - 0.25 * h
    across, down = x.abs(), y.abs()
    if shape == "square":
        return torch.maximum(across, down) - h
    if shape == "diamond":
        return (across + down - h) * math.sqrt(0.5)
    if shape == "triangle":  # apex up, base along the bottom of its square
        return torch.maximum(y - h, (2 * across - y - h) / math.sqrt(5))
    if shape == "cross":  # arms of a third of the size
        return torch.maximum(torch.maximum(across, down) - h, torch.minimum(across, down) - h / 3)
    raise ValueError(f"unknown shape {shape!r}")
