"""KITTI's files: calibration, labels, results, the folder. The numbers are made up, the formats are KITTI's."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.spaces.spvnas.detection.inference import Detections  # noqa: E402
from coevo.spaces.spvnas.detection.kitti.calibration import Calibration, read_calibration  # noqa: E402
from coevo.spaces.spvnas.detection.kitti.folder import KittiFolder, results_of, seen, write_results  # noqa: E402
from coevo.spaces.spvnas.detection.kitti.objects import (  # noqa: E402
    boxes_of,
    object_of,
    parse_objects,
    read_objects,
    write_objects,
)

_spec = importlib.util.spec_from_file_location("kitti_files", Path(__file__).with_name("kitti_files.py"))
kitti_files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kitti_files)
CALIBRATION, LABELS, folder_of = kitti_files.CALIBRATION, kitti_files.LABELS, kitti_files.folder_of


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "calib.txt"
    path.write_text(CALIBRATION)
    return read_calibration(path)


def test_the_ideal_camera_looks_ahead():
    camera = Calibration.ideal()
    ahead = camera.to_camera(np.array([[10.0, 2.0, 1.0]]))
    assert ahead.tolist() == [[-2.0, -1.0, 10.0]]  # to the left and up
    assert camera.to_image(ahead) == pytest.approx(np.array([[621 - 144.3, 187.5 - 72.15]]))
    assert camera.yaw(0.0) == pytest.approx(-math.pi / 2)  # along the camera's x: to the right
    assert camera.yaw(-math.pi / 2) == pytest.approx(0.0, abs=1e-12)  # away from the camera: ahead


def test_frames_there_and_back(calibration):
    rng = np.random.default_rng(0)
    points = rng.uniform(-50, 50, (100, 3))
    np.testing.assert_allclose(calibration.to_sensor(calibration.to_camera(points)), points, atol=1e-9)
    for turn in rng.uniform(-math.pi, math.pi, 50):
        assert calibration.rotation_y(calibration.yaw(turn)) == pytest.approx(turn, abs=1e-9)
        # SECOND's rule holds to within the tilt of the camera, here half a degree and less
        apart = (calibration.yaw(turn) + turn + math.pi / 2 + math.pi) % (2 * math.pi) - math.pi
        assert abs(apart) < 0.02


def test_labels_are_read():
    car, walker, region = parse_objects(LABELS, "000001.txt", scored=False)
    assert (car.type, car.truncation, car.occlusion, car.alpha) == ("Car", 0.0, 0, 1.85)
    assert car.image_box == (387.63, 181.54, 423.81, 203.12)
    assert (car.height, car.width, car.length) == (1.67, 1.87, 3.69)
    assert car.location == (-16.53, 2.39, 58.49) and car.rotation_y == 1.57 and car.score is None
    assert walker.occlusion == 2 and region.type == "DontCare" and region.length == -1


def test_boxes_in_the_sensors_frame_by_hand():
    car = parse_objects(LABELS, "000001.txt")[0]
    boxes, kinds = boxes_of(parse_objects(LABELS, "000001.txt"), Calibration.ideal())
    assert kinds == ("Car", "Pedestrian")
    # ahead by the camera's z, left by -x, up by the bottom's -y and half the height
    wanted = [58.49, 16.53, -2.39 + 1.67 / 2, 3.69, 1.87, 1.67, -1.57 - math.pi / 2]
    np.testing.assert_allclose(boxes[0], wanted, atol=1e-5)
    assert car.upright == pytest.approx((-16.53, 58.49, 1.67 / 2 - 2.39, 3.69, 1.87, 1.67, -1.57))


def test_boxes_to_objects_and_back(calibration):
    rng = np.random.default_rng(1)
    boxes = np.concatenate(
        [rng.uniform(8, 60, (30, 1)), rng.uniform(-4, 4, (30, 1)), rng.uniform(-2, 0, (30, 1)),
         rng.uniform(0.5, 4, (30, 3)), rng.uniform(-3.1, 3.1, (30, 1))], axis=1)  # fmt: skip
    objects = [object_of(each, "Car", calibration, 0.5) for each in boxes.tolist()]
    back, kinds = boxes_of(objects, calibration)
    np.testing.assert_allclose(back, boxes, atol=1e-5)
    assert set(kinds) == {"Car"} and all(each.score == 0.5 for each in objects)


def test_the_image_box_by_hand():
    # a cube of 2 m, its near face at z = 9: the face fills 2 * 721.5 / 9 px, cut to the image below
    found = object_of((10, 0, 0, 2, 2, 2, 0.0), "Car", Calibration.ideal(), 0.5)
    half = 721.5 / 9
    assert found.image_box == pytest.approx((621 - half, 187.5 - half, 621 + half, 187.5 + half))
    assert found.alpha == pytest.approx(-math.pi / 2)
    left = object_of((10, 10, 0, 2, 2, 2, 0.0), "Car", Calibration.ideal(), 0.5)
    assert left.alpha == pytest.approx(-math.pi / 2 + math.pi / 4)  # seen from 45 degrees
    assert left.image_box[0] == 0.0
    assert object_of((-10, 0, 0, 2, 2, 2, 0.0), "Car", Calibration.ideal()).image_box == (-1, -1, -1, -1)


def test_result_files_there_and_back(tmp_path, calibration):
    found = Detections(
        np.array([[20, 1, -1, 3.9, 1.6, 1.5, 0.3], [-20, 0, -1, 4, 2, 1.5, 0], [20, 90, -1, 1, 1, 2, 0]], np.float32),
        np.array([0.875, 0.75, 0.5], np.float32),
        ("Car", "Car", "Cyclist"),
    )
    objects = results_of(found, calibration)
    assert len(objects) == 1  # one lies behind, one beside the image
    path = write_results(tmp_path, "000007", objects)
    assert path.read_text().split()[0] == "Car" and len(path.read_text().split()) == 16
    (back,) = read_objects(path, scored=True)
    assert back.score == 0.875 and back.location == pytest.approx(objects[0].location, abs=1e-6)
    np.testing.assert_allclose(boxes_of([back], calibration)[0][0], found.boxes[0], atol=1e-4)
    assert write_results(tmp_path, "000008", []).read_text() == ""
    assert read_objects(tmp_path / "000008.txt", scored=True) == []
    assert sorted(each.name for each in tmp_path.glob("0*")) == ["000007.txt", "000008.txt"]


def test_label_files_keep_their_numbers(tmp_path):
    objects = parse_objects(LABELS, "000001.txt")
    write_objects(tmp_path / "again.txt", objects)
    assert read_objects(tmp_path / "again.txt") == objects


def test_the_folder_is_read(tmp_path):
    folder = KittiFolder(folder_of(tmp_path))
    assert folder.names() == ["000001", "000003"] and folder.names("train") == ["000003", "000001"]
    frame = folder.read("000003")
    assert frame.scan.points.tolist() == [[20, 0, 0, 0.5]]  # neither what lies behind nor beside the image
    assert frame.scan.box_classes == ("Car", "Pedestrian") and frame.scan.boxes.shape == (2, 7)
    assert frame.objects is not None and len(frame.objects) == 3 and frame.scan.name == "000003"
    assert len(KittiFolder(tmp_path, in_view=False).read("000003").scan.points) == 3


def test_points_at_the_images_edge():
    camera = Calibration.ideal(100.0, 200, 100)
    points = np.array([[10, 9.9, 0], [10, 10.1, 0], [10, 0, 4.9], [10, 0, 5.1], [-10, 0, 0]])
    assert seen(points, camera, (200, 100)).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("P2: 721.5 0", "P2: 721.5", "line 3: P2 must be 12 finite numbers.*got 11"),
        ("P2: 721.5", "P2: wide", "line 3: P2 must be numbers"),
        ("P2: 721.5", "P2: nan", "line 3: P2 must be 12 finite"),
        ("P2:", "P2", "line 3: expected 'name: numbers'"),
        ("P2:", "P9:", "no line for P2"),
        ("0.9999239", "0.5", "line 5: the left 3 x 3 part of R0_rect is no rotation"),
    ],
)
def test_wrong_calibrations_are_told(tmp_path, old, new, words):
    path = tmp_path / "calib.txt"
    path.write_text(CALIBRATION.replace(old, new, 1))
    with pytest.raises(InputError, match=f"calib.txt.*{words}"):
        read_calibration(path)
    with pytest.raises(InputError, match="no such calibration"):
        read_calibration(tmp_path / "other.txt")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Car 0.00 0", "Car 0.00", "line 1: expected 15 columns, got 14"),
        ("1.57\n", "1.57 0.5\n", "line 1: expected 15 columns, got 16"),
        ("Car", "Tank", "line 1: unknown type 'Tank'; KITTI has Car, Van"),
        ("-0.20", "left", "line 2: the columns after the type must be numbers"),
        ("-0.20", "nan", "line 2: numbers must be finite"),
        ("0.50 2", "0.50 1.5", "line 2: .*occlusion whole"),
        ("1.89 0.48", "1.89 0", "line 2: height, width and length of a Pedestrian must be positive"),
        ("1.67", "-1.67", "line 1: height, width and length"),
    ],
)
def test_wrong_labels_are_told(tmp_path, old, new, words):
    base = folder_of(tmp_path)
    path = base / "training" / "label_2" / "000001.txt"
    path.write_text(LABELS.replace(old, new, 1))
    with pytest.raises(InputError, match=f"000001.txt, {words}"):
        KittiFolder(base).read("000001")


def test_wrong_folders_are_told(tmp_path):
    with pytest.raises(InputError, match="testing/velodyne: no such folder"):
        KittiFolder(folder_of(tmp_path), "testing")
    folder = KittiFolder(tmp_path)
    with pytest.raises(InputError, match=r"val\.txt: no such list of frames"):
        folder.names("val")
    (tmp_path / "ImageSets" / "val.txt").write_text("000001\n12\n")
    with pytest.raises(InputError, match=r"val.txt, line 2: expected a six-figure number, got '12'"):
        folder.names("val")
    sweep = tmp_path / "training" / "velodyne" / "000001.bin"
    sweep.write_bytes(sweep.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"000001\.bin"):
        folder.read("000001")
    sweep.write_bytes(b"")
    with pytest.raises(InputError, match=r"000001\.bin is empty"):
        folder.read("000001")
    np.array([[-20, 0, 0, 0.5]], dtype="<f4").tofile(sweep)  # nothing in view
    with pytest.raises(InputError, match="scan 000001 is empty"):
        folder.read("000001")
    (tmp_path / "training" / "label_2" / "000003.txt").unlink()
    with pytest.raises(InputError, match=r"000003\.txt: no such file"):
        folder.read("000003")


def test_frames_to_be_tested_have_no_boxes(tmp_path):
    (folder_of(tmp_path) / "training").rename(tmp_path / "testing")
    frame = KittiFolder(tmp_path, "testing").read("000001")
    assert frame.objects is None and frame.scan.boxes is None and len(frame.scan.points) == 1


def test_the_images_own_size_counts(tmp_path):
    folder = KittiFolder(folder_of(tmp_path))
    points = np.array([[10, 8.0, 0, 0], [10, 0, 0, 0]], dtype="<f4")  # the first one 577 px to the left of the middle
    points.tofile(tmp_path / "training" / "velodyne" / "000001.bin")
    assert len(folder.read("000001").scan.points) == 2 and folder.read("000001").image_size == (1242, 375)
    image = tmp_path / "training" / "image_2" / "000001.png"
    image.parent.mkdir()
    head = b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x0dIHDR"
    image.write_bytes(head + (300).to_bytes(4, "big") + (375).to_bytes(4, "big"))
    points.tofile(tmp_path / "training" / "velodyne" / "000001.bin")
    frame = folder.read("000001")
    assert frame.image_size == (300, 375) and len(frame.scan.points) == 1
    image.write_bytes(b"JFIF")
    with pytest.raises(InputError, match=r"000001\.png is no PNG"):
        folder.read("000001")
