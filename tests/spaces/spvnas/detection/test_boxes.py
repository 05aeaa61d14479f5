"""Boxes, their overlaps by integration and by clipping, suppression."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.spaces.spvnas.detection.boxes import (  # noqa: E402
    check_boxes,
    corners,
    corners_in_plane,
    points_in_boxes,
    wrap_angle,
)
from coevo.spaces.spvnas.detection.overlap import (  # noqa: E402
    bev_overlaps,
    box_overlaps,
    plain_bev_overlap,
    plain_box_overlap,
    polygon_area,
    polygon_intersection,
    rectangle,
)
from coevo.spaces.spvnas.detection.suppression import suppress  # noqa: E402


def box(x=0.0, y=0.0, z=0.0, length=2.0, width=2.0, height=2.0, yaw=0.0):
    return [x, y, z, length, width, height, yaw]


def overlap(first, second, measure=bev_overlaps, of="union"):
    one, other = (torch.tensor([each], dtype=torch.float64) for each in (first, second))
    return float(measure(one, other, of))


BY_HAND = [
    (box(), box(), 1.0),
    (box(), box(x=1.0), 2 / 6),  # 1 x 2 of 4 + 4 - 2
    (box(), box(x=2.0), 0.0),  # they touch along an edge
    (box(), box(x=2.0, y=2.0), 0.0),  # at a corner
    (box(), box(x=9.0), 0.0),
    (box(), box(length=1.0, width=1.0, yaw=0.3), 0.25),  # one within the other
    (box(), box(yaw=math.pi / 2), 1.0),
    (box(length=4.0, width=2.0), box(length=4.0, width=2.0, yaw=math.pi / 2), 4 / 12),  # a cross
    # a square on its corner leaves an octagon: 8 (sqrt 2 - 1) of 8 - that
    (box(), box(yaw=math.pi / 4), 8 * (math.sqrt(2) - 1) / (8 - 8 * (math.sqrt(2) - 1))),
    (box(length=4.0), box(length=4.0, yaw=math.pi), 1.0),
    (box(x=50.0, y=-30.0, yaw=1.0), box(x=50.0, y=-30.0, yaw=1.0), 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "expected"), BY_HAND)
def test_overlaps_by_hand(first, second, expected):
    assert overlap(first, second) == pytest.approx(expected, abs=1e-12)
    assert overlap(second, first) == pytest.approx(expected, abs=1e-12)
    assert plain_bev_overlap(first, second) == pytest.approx(expected, abs=1e-12)


def test_overlaps_in_space_by_hand():
    assert overlap(box(), box(z=1.0), box_overlaps) == pytest.approx(4 / 12)  # 2 x 2 x 1 of 8 + 8 - 4
    assert overlap(box(), box(z=2.0), box_overlaps) == 0.0
    assert overlap(box(), box(z=5.0), box_overlaps) == 0.0
    assert overlap(box(), box(x=1.0, z=1.0, height=4.0), box_overlaps) == pytest.approx(4 / (8 + 16 - 4))
    small = box(length=1.0, width=1.0, height=1.0)
    assert overlap(small, box(), box_overlaps, "first") == pytest.approx(1.0)
    assert overlap(box(), small, box_overlaps, "first") == pytest.approx(1 / 8)
    assert overlap(box(), box(x=1.0), bev_overlaps, "first") == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(4))
def test_integration_equals_clipping(seed):
    rng = random.Random(seed)
    yaws = [0.0, math.pi / 2, -math.pi / 4, 1e-9, math.pi]

    def draw():
        yaw = rng.choice(yaws) if rng.random() < 0.4 else rng.uniform(-4, 4)
        place = [rng.choice([0.0, 0.5, 1.0]) if rng.random() < 0.3 else rng.uniform(-2, 2) for _ in range(3)]
        return [*place, *(rng.choice([1.0, 2.0, rng.uniform(0.1, 4)]) for _ in range(3)), yaw]

    first, second = [draw() for _ in range(40)], [draw() for _ in range(40)]
    flat = bev_overlaps(torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64))
    solid = box_overlaps(torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64))
    single = bev_overlaps(torch.tensor(first), torch.tensor(second))
    plain = torch.tensor([[plain_bev_overlap(a, b) for b in second] for a in first], dtype=torch.float64)
    plain_solid = torch.tensor([[plain_box_overlap(a, b) for b in second] for a in first], dtype=torch.float64)
    assert float(plain.max()) > 0.5 and float((plain == 0).double().mean()) > 0.05
    torch.testing.assert_close(flat, plain, atol=1e-9, rtol=0)
    torch.testing.assert_close(solid, plain_solid, atol=1e-9, rtol=0)
    torch.testing.assert_close(single.double(), plain, atol=2e-5, rtol=0)


def test_clipping_leaves_a_triangle():
    triangle = [(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)]
    assert polygon_area(triangle) == 8.0
    assert polygon_area(polygon_intersection(triangle, rectangle(box(x=1.0, y=1.0)))) == pytest.approx(4.0)
    assert polygon_area(polygon_intersection(triangle, rectangle(box(x=3.0, y=3.0)))) == pytest.approx(0.0)
    assert polygon_area(polygon_intersection(triangle, rectangle(box(x=2.0, y=2.0)))) == pytest.approx(2.0)


def test_no_boxes_overlap_nothing():
    none, one = torch.zeros((0, 7)), torch.tensor([box()])
    assert bev_overlaps(none, one).shape == (0, 1) and box_overlaps(one, none).shape == (1, 0)


def test_corners_turn_about_the_centre():
    found = corners(torch.tensor(box(x=10.0, z=1.0, length=4.0, yaw=math.pi / 2), dtype=torch.float64))
    wanted = [[9, 2, 0], [9, -2, 0], [11, -2, 0], [11, 2, 0], [9, 2, 2], [9, -2, 2], [11, -2, 2], [11, 2, 2]]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))
    many = torch.randn(5, 3, 7)
    assert corners(many).shape == (5, 3, 8, 3)
    torch.testing.assert_close(corners(many)[..., :4, :2], corners_in_plane(many))


def test_points_in_boxes():
    boxes = np.array([box(), box(x=5.0, length=4.0, width=1.0, yaw=math.pi / 2)])
    points = np.array([[0, 0, 0], [1, 1, 1], [1.01, 0, 0], [5, 1.9, 0], [6, 0, 0], [5, 0, 1.01]], dtype=np.float32)
    wanted = [[True, True, False, False, False, False], [False, False, False, True, False, False]]
    assert points_in_boxes(points, boxes).tolist() == wanted
    assert points_in_boxes(points, np.zeros((0, 7))).shape == (0, 6)


def test_angles_are_wrapped():
    assert wrap_angle(3 * math.pi / 2) == pytest.approx(-math.pi / 2)
    assert wrap_angle(-math.pi) == -math.pi and wrap_angle(math.pi) == -math.pi
    assert wrap_angle(0.1 - math.pi, math.pi, -math.pi / 2) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("boxes", "classes", "words"),
    [
        (np.zeros((1, 6)), ("Car",), r"\[B, 7\].*got \[1, 6\]"),
        (np.ones((2, 7)), ("Car",), "2 boxes came with 1 classes"),
        (np.array([box(length=0.0)]), ("Car",), r"box 0 has the sizes \(0.0, 2.0, 2.0\).*positive"),
        (np.array([box(), box(height=-1.0)]), ("Car", "Car"), "box 1 has the sizes"),
        (np.array([box(x=math.nan)]), ("Car",), "finite"),
        (np.array([box()]), ("Tank",), "box 0 is a 'Tank'; the classes are Car"),
    ],
)
def test_wrong_boxes_are_told(boxes, classes, words):
    with pytest.raises(InputError, match=f"scan 7.*{words}"):
        check_boxes(boxes, classes, ("Car",), "scan 7")


def test_the_better_of_boxes_that_overlap_stays():
    boxes = torch.tensor([box(), box(x=0.5), box(x=1.5), box(x=9.0), box(x=9.0, yaw=math.pi / 2)])
    scores = torch.tensor([0.5, 0.9, 0.7, 0.2, 0.2])
    # 1 beats 0 (0.6) and 2 (1/3); 3 and 4 are one square, and the first of equals stays
    assert suppress(boxes, scores, 0.1).tolist() == [1, 3]
    # with 0.4, 2 stays: it shares 1/3 with 1; 0 shares 0.6 with 1
    assert suppress(boxes, scores, 0.4).tolist() == [1, 2, 3]
    assert suppress(boxes, scores, 0.4, most=2).tolist() == [1, 2]
    assert suppress(boxes[:0], scores[:0], 0.4).tolist() == []


def test_a_box_that_went_takes_none_with_it():
    boxes = torch.tensor([box(), box(x=1.0), box(x=2.0)])  # neighbours share 1/3, the outer ones nothing
    assert suppress(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]
