"""Augmentations keep points, labels and boxes together."""

import math

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.spvnas.data import augment as augmenting
from coevo.spaces.spvnas.data.augment import Augmentation, augment, flipped, jittered, polar_mix, scaled, turned
from coevo.spaces.spvnas.data.scan import Scan


def boxed(seed=0):
    """A scan whose points all lie in its one box, at known places of it."""
    rng = np.random.default_rng(seed)
    box = np.array([[10, -4, 1, 4, 2, 1.5, 0.4]], dtype=np.float32)
    inside = rng.uniform(-0.5, 0.5, (200, 3)) * box[0, 3:6]
    turn = np.array([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]])
    inside[:, :2] = inside[:, :2] @ turn.T
    points = np.concatenate([inside + box[0, :3], rng.random((200, 1))], axis=1).astype(np.float32)
    return Scan(points, rng.integers(0, 19, 200), "x", box, ("car",))


def within(scan):
    box = scan.boxes[0].astype(np.float64)
    at = scan.points[:, :3] - box[:3]
    turn = np.array([[math.cos(box[6]), -math.sin(box[6])], [math.sin(box[6]), math.cos(box[6])]])
    at[:, :2] = at[:, :2] @ turn
    return (np.abs(at) <= box[3:6] / 2 + 1e-4).all()


@pytest.mark.parametrize("angle", [0.0, 1.0, -2.5, math.pi])
def test_points_stay_in_their_boxes(angle):
    scan = boxed()
    assert within(scan)
    for made in (
        turned(scan, angle),
        flipped(turned(scan, angle), 0),
        flipped(turned(scan, angle), 1),
        scaled(scan, 1.3),
    ):
        assert within(made)
        assert made.points.dtype == np.float32
        assert np.abs(made.boxes[0, 6]) <= math.pi + 1e-6
        assert np.array_equal(made.labels, scan.labels)


def test_a_turn_keeps_ranges_and_goes_from_x_to_y():
    scan = Scan(np.array([[2, 0, 1, 0.5]], dtype=np.float32), None, "x")
    assert np.allclose(turned(scan, math.pi / 2).points, [[0, 2, 1, 0.5]], atol=1e-6)


def test_jitter_is_bounded_and_leaves_the_remission():
    scan = boxed()
    moved = jittered(scan, 0.01, np.random.default_rng(0)).points - scan.points
    assert 0.005 < moved[:, :3].std() < 0.015
    assert np.abs(moved[:, :3]).max() <= 0.0301
    assert not moved[:, 3].any()


def test_the_recipe_is_a_function_of_its_generator():
    scan, how = boxed(), Augmentation(flip=True, jitter_m=0.01, polar_mix=0.5)
    first = augment(scan, how, np.random.default_rng(1), boxed(1))
    again = augment(scan, how, np.random.default_rng(1), boxed(1))
    other = augment(scan, how, np.random.default_rng(2), boxed(1))
    assert np.array_equal(first.points, again.points)
    assert not np.array_equal(first.points[:9], other.points[:9])


def ring(label, name, count=3600):
    around = np.linspace(-math.pi, math.pi, count, endpoint=False)
    points = np.stack([10 * np.cos(around), 10 * np.sin(around), 0 * around, 0 * around], axis=1)
    return Scan(points.astype(np.float32), np.full(count, label), name)


def test_polar_mix_swaps_a_half_and_pastes_rare_classes_three_times():
    sizes = set()
    for seed in range(8):
        mixed = polar_mix(ring(8, "a"), ring(5, "b"), np.random.default_rng(seed))
        people, road = int((mixed.labels == 5).sum()), int((mixed.labels == 8).sum())
        assert people in (3 * 3600, 3 * 3600 + 3600 - road)
        sizes.add(road)
        assert mixed.name == "a+b"
    assert 3600 in sizes
    assert any(abs(size - 1800) <= 2 for size in sizes)


def test_polar_mix_pastes_nothing_of_common_classes():
    mixed = polar_mix(ring(8, "a"), ring(0, "b"), np.random.default_rng(0))
    assert len(mixed.points) <= 3602
    assert 0 not in augmenting.PASTED


def test_bad_settings_are_refused():
    for wrong in ({"scale": (0.0, 1.0)}, {"scale": (1.1, 1.0)}, {"polar_mix": 1.5}, {"jitter_m": -1}):
        with pytest.raises(InputError):
            Augmentation(**wrong)
    bare = Scan(np.ones((1, 4), dtype=np.float32), None, "bare")
    with pytest.raises(InputError, match="bare"):
        polar_mix(ring(8, "a"), bare, np.random.default_rng(0))
