"""Objects pasted from other scans."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from coevo.errors import ConfigError, InputError  # noqa: E402
from coevo.spaces.spvnas.data.scan import Scan  # noqa: E402
from coevo.spaces.spvnas.detection.boxes import points_in_boxes  # noqa: E402
from coevo.spaces.spvnas.detection.overlap import shared_areas  # noqa: E402
from coevo.spaces.spvnas.detection.pasting import ObjectBank, paste  # noqa: E402
from coevo.spaces.spvnas.detection.training import Plan, train_detector  # noqa: E402


class Some:
    source = "made up"

    def __init__(self, *scans):
        self.scans = scans

    def __len__(self):
        return len(self.scans)

    def __getitem__(self, number):
        return self.scans[number]


def cube(x, name="car", points=10, label="cubes"):
    """A cube of 2 m at x with points of remission 0.9 within, and one of 0.1 on the ground at x = 0, 10, 20."""
    within = np.tile(np.float32([[x, 0.5, 0, 0.9]]), (points, 1))
    ground = np.float32([[0, 0, 0, 0.1], [10, 0, 0, 0.1], [20, 0, 0, 0.1]])
    return Scan(np.concatenate([ground, within]), None, label, np.float32([[x, 0, 0, 2, 2, 2, 0]]), (name,))


def test_an_object_comes_with_its_points_and_what_stood_there_goes():
    bank = ObjectBank.of(Some(cube(10.0, "person")), {"Pedestrian": 1})
    found = paste(cube(0.0), bank, np.random.default_rng(0))
    assert found.box_classes == ("car", "person") and found.boxes[:, 0].tolist() == [0.0, 10.0]
    # the object has 10 points of its own and the ground's point in its box; the scan's own point there is gone
    inside = points_in_boxes(found.points, found.boxes)
    assert inside.sum(axis=1).tolist() == [11, 11] and len(found.points) == 23
    assert (found.points[:, 3] == np.float32(0.1)).sum() == 3
    assert cube(0.0).boxes.shape == (1, 7)


def test_no_object_comes_where_a_box_stands_or_enough_are_there():
    draw = np.random.default_rng(0)
    near = ObjectBank.of(Some(cube(1.9)), {"Car": 5})
    scan = cube(0.0)
    assert paste(scan, near, draw) is scan  # 0.1 m of it would be shared
    assert len(paste(scan, ObjectBank.of(Some(cube(2.1)), {"Car": 5}), draw).boxes) == 2
    far = Some(*(cube(10.0 * i) for i in range(1, 6)))
    assert len(paste(scan, ObjectBank.of(far, {"Car": 3}), draw).boxes) == 3  # the scan's own one counts
    assert paste(scan, ObjectBank.of(far, {"Car": 1}), draw) is scan
    assert paste(scan, ObjectBank.of(far, {"Cyclist": 3}), draw) is scan
    twice = ObjectBank.of(Some(cube(10.0), cube(10.5)), {"Car": 9})
    assert len(paste(scan, twice, draw).boxes) == 2  # neither do pasted ones share a place


def test_which_objects_there_are():
    few, bare = cube(10.0, points=4), Scan(cube(0.0).points, None, "bare")
    bank = ObjectBank.of(Some(cube(30.0, points=4), cube(40.0), bare), {"Car": 2, "Cyclist": 1})
    assert bank.told() == {"Car": [1, 2], "Cyclist": [0, 1]}
    assert ObjectBank.of(Some(few), least_points=6).told()["Car"] == [0, 15]
    assert paste(bare, bank, np.random.default_rng(0)).box_classes == ("car",)
    with pytest.raises(InputError, match="unknown class 'tank'"):
        ObjectBank.of(Some(cube(0.0, "tank")))
    with pytest.raises(ConfigError, match=">= 0"):
        ObjectBank.of(Some(few), {"Car": -1})


@pytest.mark.parametrize("seed", range(3))
def test_random_scans_stay_whole(scenes, seed):
    source = scenes(6, classes=("car", "person", "bicyclist", "car"))
    bank = ObjectBank.of(source)
    scan = source[seed]
    found = paste(scan, bank, np.random.default_rng(seed))
    again = paste(scan, bank, np.random.default_rng(seed))
    assert len(found.boxes) > len(scan.boxes) and np.array_equal(found.points, again.points)
    own = len(scan.boxes)
    assert np.array_equal(found.boxes[:own], scan.boxes)
    shared = shared_areas(torch.from_numpy(found.boxes).double(), torch.from_numpy(found.boxes).double())
    assert float(shared.fill_diagonal_(0)[own:].max()) == 0.0
    assert points_in_boxes(found.points, found.boxes[own:]).any(axis=1).all()


def test_trainings_with_and_without_are_told_apart(tiny_detector, scenes, tmp_path):
    source = scenes(2, ground=100)
    bank = ObjectBank.of(source)
    plain = train_detector(tiny_detector(), source, Plan(1, 1), 0)
    pasted = train_detector(tiny_detector(), source, Plan(1, 1), 0, tmp_path, bank=bank)
    assert plain != pasted
    assert train_detector(tiny_detector(), source, Plan(1, 1), 0, tmp_path, bank=bank) == pasted
    with pytest.raises(InputError, match="another training"):
        train_detector(tiny_detector(), source, Plan(1, 1), 0, tmp_path)
