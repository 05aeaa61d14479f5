"""Grid, anchors, targets, coding and losses, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import ConfigError  # noqa: E402
from coevo.spaces.spvnas.detection.anchors import KITTI_ANCHORS, Anchor, make_anchors  # noqa: E402
from coevo.spaces.spvnas.detection.coding import decode, encode  # noqa: E402
from coevo.spaces.spvnas.detection.grid import AROUND_GRID, KITTI_GRID, Grid  # noqa: E402
from coevo.spaces.spvnas.detection.losses import (  # noqa: E402
    LossWeights,
    detection_loss,
    focal_loss,
    smooth_l1,
    yaw_difference,
)
from coevo.spaces.spvnas.detection.targets import (  # noqa: E402
    Targets,
    assign,
    direction_of,
    nearest_overlaps,
    turn_to,
)

SMALL = Grid(x_m=(0.0, 6.4), y_m=(-3.2, 3.2), z_m=(-2.0, 1.2), voxel_m=0.1)


def test_the_grids_cells():
    assert KITTI_GRID.voxels == (1408, 1600, 80) and KITTI_GRID.cells() == (176, 200, 10)
    assert AROUND_GRID.cells(16) == (120, 120, 7)
    across, along = SMALL.cell_centres_m()
    assert across == pytest.approx([0.4 + 0.8 * i for i in range(8)]) and along[0] == pytest.approx(-2.8)
    assert SMALL.holds(0, 0, 0) and not SMALL.holds(6.4, 0, 0) and not SMALL.holds(1, 0, 2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"voxel_m": 0.0}, "positive"),
        ({"x_m": (0.0, 70.0)}, "x_m must go up by a multiple of 16 voxels"),
        ({"z_m": (1.0, -3.0)}, "z_m must go up"),
    ],
)
def test_wrong_grids_are_told(wrong, words):
    with pytest.raises(ConfigError, match=words):
        Grid(**wrong)
    with pytest.raises(ConfigError, match="anchor of 'Car'"):
        Anchor("Car", (1.0, 0.0, 1.0), 0.0, 0.5, 0.4)
    with pytest.raises(ConfigError, match="unmatched <= matched"):
        Anchor("Car", (1.0, 1.0, 1.0), 0.0, 0.4, 0.5)


def test_anchors_stand_in_every_cell():
    found = make_anchors(SMALL)
    assert found.shape == (8, 8, 6, 7)
    torch.testing.assert_close(found[0, 7, 1], torch.tensor([0.4, 2.8, -1.0, 3.9, 1.6, 1.56, math.pi / 2]))
    torch.testing.assert_close(found[3, 0, 4], torch.tensor([2.8, -2.8, -0.6, 1.76, 0.6, 1.73, 0.0]))


def test_coding_by_hand_and_back():
    anchor = torch.tensor([1.0, 2.0, -1.0, 3.0, 4.0, 2.0, 0.0])
    box = torch.tensor([6.0, 2.0, 0.0, 3.0 * math.e, 4.0, 1.0, 0.5])
    # the diagonal is 5
    wanted = torch.tensor([1.0, 0.0, 0.5, 1.0, 0.0, -math.log(2), 0.5])
    torch.testing.assert_close(encode(box, anchor), wanted)
    boxes, anchors = torch.rand(50, 7) + 0.1, torch.rand(50, 7) + 0.1
    torch.testing.assert_close(decode(encode(boxes, anchors), anchors), boxes)


def test_nearest_overlaps_turn_to_the_axes():
    long = torch.tensor([[0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 0.0]])
    others = torch.tensor([[0.0, 0, 0, 4, 2, 1, yaw] for yaw in (0.1, math.pi / 2, math.pi - 0.2, -math.pi / 2 - 0.3)])
    torch.testing.assert_close(nearest_overlaps(long, others), torch.tensor([[1.0, 4 / 12, 1.0, 4 / 12]]))


def test_directions_are_halves_from_a_quarter_of_pi_on():
    yaws = torch.tensor([math.pi / 4 + 0.01, 3.1, -math.pi + 0.2, -math.pi / 2, 0.0, math.pi / 4 - 0.01])
    assert direction_of(yaws).tolist() == [0, 0, 0, 1, 1, 1]
    # the wrong way round, and the direction puts it right
    torch.testing.assert_close(turn_to(yaws + math.pi, direction_of(yaws)), yaws)
    torch.testing.assert_close(turn_to(yaws, direction_of(yaws)), yaws)


ONE = (Anchor("Car", (2.0, 2.0, 2.0), 0.0, 0.6, 0.45), Anchor("Pedestrian", (1.0, 1.0, 2.0), 0.0, 0.35, 0.2))


def anchors_at(*places):
    """[P, 1, 4, 7]: both classes in two directions at each x."""
    rows = [[[[x, 0.0, 0.0, *kind.size_m, yaw] for kind in ONE for yaw in (0.0, math.pi / 2)]] for x in places]
    return torch.tensor(rows)


def test_targets_by_hand():
    # cars of 2 m at x = 0; anchors at 0 (1.0), 0.4 (1.6 / 2.4 = 0.667), 0.7 (1.3 / 2.7 = 0.48), 1 (1/3), 9
    anchors = anchors_at(0.0, 0.4, 0.7, 1.0, 9.0)
    found = assign(anchors, ONE, torch.tensor([[0.0, 0.0, 0.5, 2.0, 2.0, 2.0, 0.3]]), torch.tensor([0]))
    labels = found.labels.reshape(5, 4)
    assert labels[:, 0].tolist() == [1, 1, -1, 0, 0] and labels[:, 1].tolist() == [1, 1, -1, 0, 0]
    assert labels[:, 2:].eq(0).all()
    residuals = found.residuals.reshape(5, 4, 7)
    # 0.4 m of a diagonal of 2 sqrt 2, 0.5 m of a height of 2
    wanted = [-0.4 / (2 * math.sqrt(2)), 0.0, 0.25, 0.0, 0.0, 0.0, 0.3 - math.pi / 2]
    torch.testing.assert_close(residuals[1, 1], torch.tensor(wanted))
    assert residuals[2:].eq(0).all() and found.directions.reshape(5, 4)[0].tolist() == [1, 1, 0, 0]


def test_every_box_has_its_best_anchor():
    # a pedestrian at x = 0.75: anchors at 0 and 9 share 0.25 / 1.75 = 0.143 and nothing: below both thresholds
    anchors = anchors_at(0.0, 9.0)
    boxes = torch.tensor([[0.75, 0.0, 0.0, 1.0, 1.0, 2.0, 1.0], [50.0, 0.0, 0.0, 1.0, 1.0, 2.0, 1.0]])
    labels = assign(anchors, ONE, boxes, torch.tensor([1, 1])).labels.reshape(2, 4)
    assert labels.tolist() == [[0, 0, 2, 2], [0, 0, 0, 0]]  # the second is touched by none


def test_a_forced_anchor_finds_the_box_that_forces_it():
    # the anchor at 0 shares more with the box at 0.2, which has a better anchor at 0.2; the box at -0.9 has none but it
    anchors = anchors_at(0.0, 0.2)
    boxes = torch.tensor([[0.2, 0.0, 0.0, 2.0, 2.0, 2.0, 0.0], [-0.9, 0.0, 0.0, 2.0, 2.0, 2.0, 0.0]])
    found = assign(anchors, ONE, boxes, torch.tensor([0, 0]))
    assert found.labels.reshape(2, 4)[:, 0].tolist() == [1, 1]
    torch.testing.assert_close(found.residuals.reshape(2, 4, 7)[0, 0, 0], torch.tensor(-0.9 / (2 * math.sqrt(2))))
    torch.testing.assert_close(found.residuals.reshape(2, 4, 7)[1, 0, 0], torch.tensor(0.0))


def test_no_boxes_leave_background():
    found = assign(make_anchors(SMALL), KITTI_ANCHORS, torch.zeros((0, 7)), torch.zeros(0, dtype=torch.int64))
    assert found.labels.shape == (384,) and found.labels.eq(0).all() and found.residuals.eq(0).all()


def test_focal_loss_by_hand():
    logits, truth = torch.tensor([0.0, 0.0, math.log(3.0)]), torch.tensor([1.0, 0.0, 1.0])
    # p = 1/2, 1/2, 3/4: 0.25 (1/2)^2 log 2, 0.75 (1/2)^2 log 2, 0.25 (1/4)^2 log(4/3)
    wanted = [0.0625 * math.log(2), 0.1875 * math.log(2), math.log(4 / 3) / 64]
    torch.testing.assert_close(focal_loss(logits, truth), torch.tensor(wanted))


def test_smooth_l1_bends_at_a_ninth():
    found = smooth_l1(torch.tensor([0.0, 1 / 18, -1.0]))
    torch.testing.assert_close(found, torch.tensor([0.0, 4.5 / 324, 1 - 1 / 18]))
    torch.testing.assert_close(found, torch.nn.functional.smooth_l1_loss(
        torch.tensor([0.0, 1 / 18, -1.0]), torch.zeros(3), beta=1 / 9, reduction="none"))  # fmt: skip


def test_opposite_yaws_differ_by_nothing():
    one, other = torch.zeros(2, 7), torch.zeros(2, 7)
    one[:, 6], other[:, 6], one[0, 0] = torch.tensor([math.pi, 0.5]), torch.tensor([0.0, 0.2]), 2.0
    found = yaw_difference(one, other)
    torch.testing.assert_close(found[:, 6], torch.tensor([0.0, math.sin(0.3)]), atol=1e-6, rtol=0)
    assert found[0, 0] == 2.0


def test_the_loss_by_hand():
    # one scan, three anchors: one finds class 1 of two, one is background, one is not learnt
    targets = Targets(torch.tensor([1, 0, -1]), torch.zeros(3, 7), torch.tensor([1, 0, 0]))
    residuals = torch.zeros(1, 3, 7)
    residuals[0, 0, 0], residuals[0, 2, 0] = 1.0, 50.0
    found = detection_loss(torch.zeros(1, 3, 2), residuals, torch.zeros(1, 3, 2), [targets])
    half = 0.25 * math.log(2)
    assert float(found["classes"]) == pytest.approx(half * (0.25 + 0.75) + half * 1.5)
    assert float(found["boxes"]) == pytest.approx(1 - 1 / 18)
    assert float(found["directions"]) == pytest.approx(math.log(2))
    total = 2.5 * half + 2 * (1 - 1 / 18) + 0.2 * math.log(2)
    assert float(found["total"]) == pytest.approx(total)
    # a second scan in which nothing is found: sums over one, and means over two scans
    empty = Targets(torch.tensor([0, -1, -1]), torch.zeros(3, 7), torch.zeros(3, dtype=torch.int64))
    both = detection_loss(torch.zeros(2, 3, 2), residuals.repeat(2, 1, 1), torch.zeros(2, 3, 2), [targets, empty])
    assert float(both["classes"]) == pytest.approx((2.5 * half + 1.5 * half) / 2)
    assert float(both["boxes"]) == pytest.approx((1 - 1 / 18) / 2)
    twice = detection_loss(torch.zeros(1, 3, 2), residuals, torch.zeros(1, 3, 2), [targets], LossWeights(boxes=4.0))
    assert float(twice["total"]) == pytest.approx(total + 2 * (1 - 1 / 18))
