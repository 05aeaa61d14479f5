"""Intersection over union of upright boxes, seen from above and in space.

`bev_overlaps` integrates: over the x at which the second rectangle stands, the height of the first one's boundary, cut
to the second's. Every edge gives a term of its own, so that touching and coincident edges need no cases. It stands
beside `polygon_intersection`, the clipping of Sutherland and Hodgman (1974) in plain float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from coevo.spaces.spvnas.detection.boxes import corners_in_plane

Point = tuple[float, float]


def bev_overlaps(first: torch.Tensor, second: torch.Tensor, of: str = "union") -> torch.Tensor:
    """[N, M]: the area that boxes [N, 7] and [M, 7] share seen from above, over that of their union or the `first`."""
    shared = shared_areas(first, second)
    area = (first[:, 3] * first[:, 4])[:, None]
    return shared / (area if of == "first" else area + second[:, 3] * second[:, 4] - shared)


def box_overlaps(first: torch.Tensor, second: torch.Tensor, of: str = "union") -> torch.Tensor:
    """[N, M]: the shared volume of boxes [N, 7] and [M, 7], over that of their union, or of the `first`."""
    top = torch.minimum((first[:, 2] + first[:, 5] / 2)[:, None], second[:, 2] + second[:, 5] / 2)
    bottom = torch.maximum((first[:, 2] - first[:, 5] / 2)[:, None], second[:, 2] - second[:, 5] / 2)
    shared = shared_areas(first, second) * (top - bottom).clamp(min=0)
    volume = first[:, 3:6].prod(dim=1)[:, None]
    return shared / (volume if of == "first" else volume + second[:, 3:6].prod(dim=1) - shared)


def shared_areas(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """[N, M], square metres that boxes [N, 7] and [M, 7] share, seen from above."""
    found = first.new_zeros((len(first), len(second)))
    if not found.numel():
        return found
    reach = torch.hypot(first[:, 3], first[:, 4])[:, None] + torch.hypot(second[:, 3], second[:, 4])
    near = torch.hypot(first[:, None, 0] - second[:, 0], first[:, None, 1] - second[:, 1]) * 2 <= reach
    one, other = near.nonzero(as_tuple=True)  # most pairs are too far apart to share anything
    found[one, other] = _shared(first[one], second[other])
    return found


def _shared(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """[P], for boxes [P, 7] side by side."""
    cosine, sine = torch.cos(second[:, 6]), torch.sin(second[:, 6])
    dx, dy = first[:, 0] - second[:, 0], first[:, 1] - second[:, 1]
    moved = first.clone()
    moved[:, 0], moved[:, 1] = dx * cosine + dy * sine, dy * cosine - dx * sine
    moved[:, 6] = first[:, 6] - second[:, 6]
    begin = corners_in_plane(moved)  # in the frame of the second, where that is |x| <= a, |y| <= b
    end = begin.roll(-1, dims=1)
    a, b = second[:, 3, None] / 2, second[:, 4, None] / 2
    x0, x1 = begin[..., 0], end[..., 0]
    left, right = x0.clamp(-a, a), x1.clamp(-a, a)
    run = torch.where(x0 == x1, 1, x1 - x0)
    rise = end[..., 1] - begin[..., 1]
    y0 = begin[..., 1] + rise * ((left - x0) / run)
    y1 = begin[..., 1] + rise * ((right - x0) / run)
    steep = torch.where(y0 == y1, 1, y1 - y0)
    one, other = ((-b - y0) / steep).clamp(0, 1), ((b - y0) / steep).clamp(0, 1)  # where the edge meets |y| = b
    ends = torch.stack([torch.zeros_like(one), torch.minimum(one, other), torch.maximum(one, other),
                        torch.ones_like(one)])  # fmt: skip
    heights = (y0 + (y1 - y0) * ends).clamp(-b, b)
    mean = ((ends[1:] - ends[:-1]) * (heights[1:] + heights[:-1]) / 2).sum(dim=0)
    return (-(right - left) * mean).sum(dim=1).clamp(min=0)


def plain_bev_overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """`bev_overlaps` of two boxes, by clipping."""
    shared = polygon_area(polygon_intersection(rectangle(first), rectangle(second)))
    return shared / (first[3] * first[4] + second[3] * second[4] - shared)


def plain_box_overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """`box_overlaps` of two boxes, by clipping."""
    shared = polygon_area(polygon_intersection(rectangle(first), rectangle(second)))
    high = min(first[2] + first[5] / 2, second[2] + second[5] / 2)
    low = max(first[2] - first[5] / 2, second[2] - second[5] / 2)
    volume = shared * max(high - low, 0.0)
    return volume / (math.prod(first[3:6]) + math.prod(second[3:6]) - volume)


def rectangle(box: Sequence[float]) -> list[Point]:
    """The corners of a box seen from above, counter-clockwise."""
    x, y, _, length, width, _, yaw = box
    cosine, sine = math.cos(yaw), math.sin(yaw)
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    local = [(along * length / 2, across * width / 2) for along, across in signs]
    return [(x + along * cosine - across * sine, y + along * sine + across * cosine) for along, across in local]


def polygon_intersection(subject: list[Point], clip: list[Point]) -> list[Point]:
    """The part of a polygon within a convex counter-clockwise one."""
    found = subject
    for (ax, ay), (bx, by) in zip(clip, clip[1:] + clip[:1], strict=True):
        given, found = found, []

        def side(point: Point, ax: float = ax, ay: float = ay, bx: float = bx, by: float = by) -> float:
            return (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)

        for one, other in zip(given, given[1:] + given[:1], strict=True):
            here, there = side(one), side(other)
            if here >= 0:
                found.append(one)
            if (here > 0 > there) or (here < 0 < there):
                at = here / (here - there)
                found.append((one[0] + (other[0] - one[0]) * at, one[1] + (other[1] - one[1]) * at))
    return found


def polygon_area(polygon: list[Point]) -> float:
    """Of a counter-clockwise polygon; 0 for fewer than three corners."""
    if len(polygon) < 3:
        return 0.0
    pairs = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return max(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs) / 2, 0.0)
