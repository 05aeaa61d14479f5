"""Readers and writers, and the inputs they refuse."""

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.spvnas.data import files
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.data.semantickitti import (
    SPLITS,
    SemanticKitti,
    hold_out,
    read_frame,
    read_poses,
    write_frame,
    write_poses,
)
from coevo.spaces.spvnas.data.sweeps import read_sweep


def labelled(count=5, seed=0):
    rng = np.random.default_rng(seed)
    boxes = np.array([[1, 2, 3, 4, 5, 6, 0.5]], dtype=np.float32)
    return Scan(rng.random((count, 4), dtype=np.float32), rng.integers(0, 19, count), "00/000000", boxes, ("car",),
                rng.integers(0, 9, count))  # fmt: skip


def same(first, second):
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.instances, second.instances)
    assert np.allclose(first.boxes, second.boxes, atol=1e-4)
    assert first.box_classes == second.box_classes


def test_a_frame_comes_back_as_written(tmp_path):
    scan = labelled()
    path = write_frame(tmp_path, "00", 7, scan)
    assert path == tmp_path / "sequences/00/velodyne/000007.bin"
    assert np.fromfile(path, dtype="<f4").tolist() == scan.points.ravel().tolist()
    found = read_frame(path)
    same(found, scan)
    assert found.name == "00/000007"
    assert not list(tmp_path.rglob("*.part"))


def test_the_splits_are_the_benchmarks():
    assert len(SPLITS["train"]) == 10
    assert SPLITS["val"] == ("08",)
    assert len(SPLITS["test"]) == 11


def test_a_data_set_reads_its_splits_sequences_in_order(tmp_path):
    for sequence, frame in [("10", 0), ("00", 1), ("00", 0), ("08", 0)]:
        write_frame(tmp_path, sequence, frame, labelled(seed=frame))
    train = SemanticKitti(tmp_path)
    assert [train[number].name for number in range(len(train))] == ["00/000000", "00/000001", "10/000000"]
    assert train.source == "SemanticKITTI"
    assert len(SemanticKitti(tmp_path, "val")) == 1
    assert len(SemanticKitti(tmp_path, sequences=["08"])) == 1


def test_what_is_held_out_is_the_end_of_each_sequence(tmp_path):
    for sequence in ("00", "01"):
        for frame in range(4):
            write_frame(tmp_path, sequence, frame, labelled())
    rest, held = hold_out(SemanticKitti(tmp_path), 0.25)
    assert [rest[number].name[-1] for number in range(len(rest))] == ["0", "1", "2"] * 2
    assert [held[number].name for number in range(len(held))] == ["00/000003", "01/000003"]
    for share in (0.0, 1.0, 0.01):
        with pytest.raises(InputError, match=r"held out|leaves"):
            hold_out(SemanticKitti(tmp_path), share)


def test_the_learning_map_is_chosen_by_name(tmp_path):
    path = write_frame(tmp_path, "00", 0, labelled(3))
    (tmp_path / "sequences/00/labels/000000.label").write_bytes(np.array([60, 13, 10 | 5 << 16], "<u4").tobytes())
    assert read_frame(path).labels.tolist() == [8, 4, 0]
    assert read_frame(path, "legacy").labels.tolist() == [255, 255, 0]
    assert read_frame(path).instances.tolist() == [0, 0, 5]
    assert SemanticKitti(tmp_path, learning_map="legacy")[0].labels.tolist() == [255, 255, 0]


def test_poses_come_back(tmp_path):
    poses = np.stack([np.eye(4)] * 3)
    poses[1, :3, 3] = [1.5, -0.25, 0.125]
    poses[2, :2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    write_poses(tmp_path, "03", poses)
    assert np.allclose(read_poses(tmp_path, "03"), poses, atol=1e-9)
    (tmp_path / "sequences/03/poses.txt").write_text("1 2 3\n")
    with pytest.raises(InputError, match="12 numbers"):
        read_poses(tmp_path, "03")


def test_bad_files_are_refused_by_name(tmp_path):
    path = write_frame(tmp_path, "00", 0, labelled())
    labels = tmp_path / "sequences/00/labels/000000.label"
    whole = labels.read_bytes()
    for broken, says in [
        (whole[:-2], "truncated"),
        (whole[:-4], "4 labels .* 5 points"),
        (np.array([10, 10, 10, 10, 7], "<u4").tobytes(), "semantic id 7"),
        (b"", "empty"),
    ]:
        labels.write_bytes(broken)
        with pytest.raises(InputError, match=says):
            read_frame(path)
    labels.unlink()
    with pytest.raises(InputError, match="no labels"):
        SemanticKitti(tmp_path)
    labels.write_bytes(whole)
    boxes = tmp_path / "sequences/00/boxes/000000.txt"
    boxes.write_text("car 1 2 3\n")
    with pytest.raises(InputError, match="line 1"):
        read_frame(path)
    boxes.unlink()
    good = path.read_bytes()
    for broken, says in [(good[:-1], "truncated"), (b"", "empty"), (good[:-16], "5 labels and .* 4 points")]:
        path.write_bytes(broken)
        with pytest.raises(InputError, match=says):
            read_frame(path)


def test_absent_data_is_refused(tmp_path):
    with pytest.raises(InputError, match="layout"):
        SemanticKitti(tmp_path)
    with pytest.raises(InputError, match="sequence 42"):
        SemanticKitti(tmp_path, sequences=["42"])
    with pytest.raises(InputError, match="vall"):
        SemanticKitti(tmp_path, "vall")
    with pytest.raises(InputError, match="cannot be read"):
        read_sweep(tmp_path / "none.bin")
    write_frame(tmp_path, "00", 0, labelled())
    (tmp_path / "source.json").write_text("{}")
    with pytest.raises(InputError, match="what data"):
        _ = SemanticKitti(tmp_path).source


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    files.write_whole(path, b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_sweeps_of_three_formats(tmp_path):
    points = np.random.default_rng(0).random((6, 4), dtype=np.float32)
    points.tofile(tmp_path / "a.bin")
    assert np.array_equal(read_sweep(tmp_path / "a.bin").points, points)
    rows = np.array([[1, 2, 3, 255, 7]], dtype="<f4")  # 1 m right, 2 m ahead
    rows.tofile(tmp_path / "b.pcd.bin")
    assert read_sweep(tmp_path / "b.pcd.bin").points.tolist() == [[2, -1, 3, 1]]
    assert read_sweep(tmp_path / "b.pcd.bin").name == "b"
    np.savez(tmp_path / "c.npz", points=points[:, :3].astype(np.float64), labels=np.arange(6, dtype=np.uint8))
    found = read_sweep(tmp_path / "c.npz")
    assert np.allclose(found.points[:, :3], points[:, :3])
    assert found.labels.tolist() == list(range(6))


def test_sweeps_that_cannot_be_read(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match="npz"):
        read_sweep(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", xyz=np.zeros((2, 3)))
    with pytest.raises(InputError, match="xyz"):
        read_sweep(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", points=np.array([object()], dtype=object))
    with pytest.raises(InputError, match="plain arrays"):
        read_sweep(tmp_path / "c.npz")
    with pytest.raises(InputError, match="ends in"):
        read_sweep(tmp_path / "d.pcd")
    with pytest.raises(InputError, match="Did you mean 'kitti'"):
        read_sweep(tmp_path / "d.pcd", format="kiti")
