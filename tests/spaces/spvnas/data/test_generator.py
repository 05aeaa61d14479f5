"""Generated sweeps: seeds, labels, boxes, drives, files."""

import json
import math

import numpy as np
import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.spvnas.data.generator.archetypes import ARCHETYPES, HIGHWAY, URBAN
from coevo.spaces.spvnas.data.generator.scenes import archetype_of, make_scene
from coevo.spaces.spvnas.data.generator.sensor import HDL_64E, Sensor
from coevo.spaces.spvnas.data.generator.source import SPLITS, GeneratedScans, seed_of
from coevo.spaces.spvnas.data.generator.sweep import LEAST_POINTS, Sweeper
from coevo.spaces.spvnas.data.generator.writing import write_sequences
from coevo.spaces.spvnas.data.labels import CLASS_IDS
from coevo.spaces.spvnas.data.semantickitti import SemanticKitti, read_poses

SMALL = Sensor(HDL_64E.elevations_deg[::8], azimuth_steps=270)


def same(first, second):
    return np.array_equal(first.points, second.points) and np.array_equal(first.labels, second.labels)


def test_a_seed_is_a_scan_and_two_are_two():
    scan = Sweeper(make_scene(5), SMALL).scan()
    assert same(scan, Sweeper(make_scene(5), SMALL).scan())
    assert not same(scan, Sweeper(make_scene(6), SMALL).scan())
    assert not same(scan, Sweeper(make_scene(5), SMALL).scan(1))


def test_splits_share_no_seed():
    seen = {
        (split, seed, scene): seed_of(split, seed, scene)
        for split in SPLITS
        for seed in (0, 1, 7)
        for scene in range(50)
    }
    assert len(set(seen.values())) == len(seen)
    train, val = GeneratedScans(3, "train", sensor=SMALL), GeneratedScans(3, "val", sensor=SMALL)
    assert not any(same(train[first], val[second]) for first in range(3) for second in range(3))
    for wrong in (("valid", 0, 0), ("train", -1, 0), ("train", 0, 1_000_000)):
        with pytest.raises(InputError):
            seed_of(*wrong)


def test_any_run_of_seeds_has_the_kinds_shares():
    for start, step in ((0, 1), (1000, 3), (12_345, 3)):
        names = [archetype_of(start + step * number).name for number in range(40)]
        for kind in ARCHETYPES:
            assert abs(names.count(kind.name) / 40 - kind.weight) < 0.08


def test_a_whole_sweep_is_labelled_and_bounded():
    scan = Sweeper(make_scene(3)).scan()
    ranges = np.linalg.norm(scan.points[:, :3], axis=1)
    assert 80_000 < len(scan.points) <= 64 * 2170
    assert ranges.min() > HDL_64E.nearest_m - 0.2
    assert ranges.max() < HDL_64E.farthest_m + 0.2
    assert scan.points[:, 3].min() >= 0 and scan.points[:, 3].max() < 1
    elevation = np.degrees(np.arcsin(scan.points[:, 2] / ranges))
    assert np.abs(elevation[:, None] - np.array(HDL_64E.elevations_deg)).min(axis=1).max() < 0.01
    assert (np.diff(elevation) < 0.01).all()  # ring after ring from the highest
    assert {8, 10, 14} <= set(scan.labels.tolist())
    flat = np.isin(scan.labels, [8]) & (ranges < 15)
    assert np.abs(scan.points[flat, 2] + 1.73).max() < 0.6


@pytest.mark.parametrize("seed", [3, 6])
def test_boxes_hold_their_things_returns(seed):
    scan = Sweeper(make_scene(seed, rare=3.0)).scan()
    assert len(scan.boxes) == len(scan.box_classes) > 3
    tight = 0
    for box, name in zip(scan.boxes.astype(np.float64), scan.box_classes, strict=True):
        at = scan.points[:, :3] - box[:3]
        c, s = math.cos(box[6]), math.sin(box[6])
        own = np.stack([c * at[:, 0] + s * at[:, 1], c * at[:, 1] - s * at[:, 0], at[:, 2]], axis=1)
        within = (np.abs(own) <= box[3:6] / 2 + 0.12).all(axis=1) & (scan.labels == CLASS_IDS[name])
        assert within.sum() >= LEAST_POINTS, name
        numbers, counts = np.unique(scan.instances[within], return_counts=True)
        instance = numbers[counts.argmax()]
        assert instance > 0
        mine = scan.instances == instance
        assert (within & mine).sum() >= 0.95 * mine.sum()
        assert set(scan.labels[mine].tolist()) == {CLASS_IDS[name]}
        tight += np.abs(own[mine]).max(axis=0)[0] > 0.35 * box[3]
    assert tight > len(scan.boxes) / 2  # the returns reach the boxes' ends
    assert (scan.instances[scan.labels >= 8] == 0).all()


def test_more_of_what_is_rare():
    def people(rare):
        names = [
            NAMES[each] for seed in range(4) for each in make_scene(seed, archetype=URBAN, rare=rare).things.template
        ]
        return sum(name in ("walker", "stander", "cyclist", "rider") for name in names)

    from coevo.spaces.spvnas.data.generator.templates import NAMES

    assert people(0.0) == 0
    assert people(4.0) > 2 * people(1.0) > 0


def test_standing_things_stay_and_the_sensor_moves_along_the_road():
    sweeper = Sweeper(make_scene(2, way_s=1.0, archetype=HIGHWAY), SMALL)
    poses = [sweeper.pose(frame).matrix() for frame in (0, 5, 10)]
    way = np.linalg.norm(poses[2][:3, 3] - poses[0][:3, 3])
    assert way == pytest.approx(sweeper.scene.speed_m_s, rel=0.05)
    still = np.flatnonzero(sweeper.scene.things.speed == 0)
    at = []
    for frame, pose in zip((0, 10), (poses[0], poses[2]), strict=True):
        places, _ = sweeper.stage.things_at(sweeper.pose(frame), frame / 10)
        local = np.concatenate([places.double().numpy()[still], np.ones((len(still), 1))], axis=1)
        at.append(local @ pose[:3].T)
    near = np.linalg.norm(at[0][:, :2], axis=1) < 40
    assert near.any()
    assert np.abs(at[0] - at[1])[near].max() < 0.5  # the slope is sheared, not turned: exact to its square
    moving = sweeper.scene.things.speed != 0
    assert moving.any()


def test_written_scenes_are_read_as_the_data_set(tmp_path):
    scans = GeneratedScans(3, "train", frames_per_scene=2, sensor=SMALL)
    seen = []
    assert write_sequences(tmp_path, scans, on_frame=lambda *each: seen.append(each)) == ("00", "01", "02")
    assert seen[-1] == (6, 6)
    write_sequences(tmp_path, GeneratedScans(1, "val", sensor=SMALL))
    found = SemanticKitti(tmp_path)
    assert found.source == "generated HDL-64E scenes"
    assert len(found) == 6
    for number in range(6):
        assert same(found[number], scans[number])
        assert np.allclose(found[number].boxes, scans[number].boxes, atol=1e-3)
        assert found[number].box_classes == scans[number].box_classes
    assert len(SemanticKitti(tmp_path, "val")) == 1
    assert np.allclose(read_poses(tmp_path, "01")[1], scans.sweeper(1).pose(1).matrix(), atol=1e-6)
    assert set(json.loads((tmp_path / "source.json").read_text())["splits"]) == {"train", "val"}


def test_a_write_that_was_cut_off_goes_on_and_other_settings_are_refused(tmp_path):
    scans = GeneratedScans(2, "val", sensor=SMALL)
    write_sequences(tmp_path, scans)
    first, second = sorted(tmp_path.rglob("*.bin"))
    stamp, whole = first.stat().st_mtime_ns, second.read_bytes()
    second.unlink()
    write_sequences(tmp_path, scans)
    assert second.read_bytes() == whole
    assert first.stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="another folder"):
        write_sequences(tmp_path, GeneratedScans(2, "val", seed=1, sensor=SMALL))
    real = tmp_path / "real"
    (real / "sequences").mkdir(parents=True)
    with pytest.raises(InputError, match="other data"):
        write_sequences(real, scans)
    assert not list(real.rglob("*.json"))


def test_senseless_sources_are_refused():
    for given in ((0,), (1, "trial"), (1, "train", -1)):
        with pytest.raises(InputError):
            GeneratedScans(*given)
    with pytest.raises(InputError):
        GeneratedScans(1, frames_per_scene=0)
    with pytest.raises(IndexError):
        GeneratedScans(1)[1]


@pytest.mark.gpu
def test_a_gpu_casts_the_same_sweep():
    scene = make_scene(4)
    ours, theirs = Sweeper(scene).scan(), Sweeper(scene, device="cuda").scan()
    assert abs(len(ours.points) - len(theirs.points)) < 0.002 * len(ours.points)
    torch.cuda.synchronize()
    shares = [np.bincount(scan.labels, minlength=256) / len(scan.labels) for scan in (ours, theirs)]
    assert np.abs(shares[0] - shares[1]).max() < 0.002
