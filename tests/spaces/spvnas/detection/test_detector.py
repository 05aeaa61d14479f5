"""The network, its training and what it finds."""

from __future__ import annotations

import importlib.util
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from coevo.errors import ConfigError, CorruptRun, InputError  # noqa: E402
from coevo.kernels.sparse.modules import SPVCNN, MinkUNet  # noqa: E402
from coevo.kernels.sparse.tensors import SparseTensor  # noqa: E402
from coevo.spaces.spvnas.data.augment import Augmentation  # noqa: E402
from coevo.spaces.spvnas.data.labels import CLASS_IDS  # noqa: E402
from coevo.spaces.spvnas.data.scan import Scan  # noqa: E402
from coevo.spaces.spvnas.detection.anchors import KITTI_ANCHORS, make_anchors  # noqa: E402
from coevo.spaces.spvnas.detection.boxes import points_in_boxes  # noqa: E402
from coevo.spaces.spvnas.detection.encoder import Encoder  # noqa: E402
from coevo.spaces.spvnas.detection.grid import AROUND_GRID  # noqa: E402
from coevo.spaces.spvnas.detection.inference import Detections, Filter, detect, pick  # noqa: E402
from coevo.spaces.spvnas.detection.judging import found_of, judge, truth_of  # noqa: E402
from coevo.spaces.spvnas.detection.kitti.average_precision import evaluate  # noqa: E402
from coevo.spaces.spvnas.detection.network import Detector, Outputs, Proposals  # noqa: E402
from coevo.spaces.spvnas.detection.targets import assign  # noqa: E402
from coevo.spaces.spvnas.detection.training import CHECKPOINT, Plan, one_cycle, targets_of, train_detector  # noqa: E402

_spec = importlib.util.spec_from_file_location("kitti_files", Path(__file__).with_name("kitti_files.py"))
kitti_files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kitti_files)
STILL = Augmentation(turn_rad=0.0, scale=(1.0, 1.0))


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_outputs_have_a_row_an_anchor(tiny_detector, scenes, points):
    detector = tiny_detector(points=points)
    source = scenes(2)
    outputs = detector([scan.points for scan in source])
    assert outputs.logits.shape == (2, 12 * 12 * 6, 3) and outputs.residuals.shape == (2, 864, 7)
    assert outputs.directions.shape == (2, 864, 2)
    # before training every class is thought to be rare (sec. 3.3 of the focal loss)
    assert abs(float(torch.sigmoid(outputs.logits.detach()).mean()) - 0.01) < 0.005
    outputs.logits.sum().backward()
    missing = [name for name, each in detector.named_parameters() if each.grad is None]
    assert all(name.startswith(("boxes", "directions")) for name in missing), missing


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_scans_of_a_batch_do_not_mix(tiny_detector, scenes, points):
    detector = tiny_detector(points=points).eval()
    first, second = (scan.points for scan in scenes(2))
    with torch.inference_mode():
        both = detector([first, second])
        torch.testing.assert_close(detector([first]).logits[0], both.logits[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(detector([second]).residuals[0], both.residuals[1], atol=1e-5, rtol=1e-4)
        shuffled = detector([first[np.random.default_rng(0).permutation(len(first))], second])
        torch.testing.assert_close(shuffled.logits, both.logits, atol=1e-5, rtol=1e-4)


def test_the_encoder_is_the_networks_way_down(scenes):
    torch.manual_seed(0)
    net = MinkUNet(5, channels=(4, 4, 6, 8, 10, 4, 4, 4, 4)).eval()
    encoder = Encoder(net).eval()
    coords = torch.cat([torch.zeros(200, 1), torch.randint(0, 40, (200, 3))], dim=1).unique(dim=0).to(torch.int32)
    x = SparseTensor.of(torch.randn(len(coords), 4), coords)
    for found, wanted in zip(encoder(x), net.encode(x), strict=True):
        assert found.stride == wanted.stride and torch.equal(found.feats, wanted.feats)
    assert encoder.channels == (4, 4, 6, 8, 10)
    assert not [name for name, _ in encoder.named_parameters() if "up" in name or "classifier" in name]
    with torch.no_grad():  # a copy: what the detector learns is not the network's
        next(encoder.parameters()).zero_()
    assert next(net.parameters()).abs().sum() > 0


def test_the_point_branch_takes_part():
    torch.manual_seed(0)
    net = SPVCNN(5, channels=(4, 4, 6, 8, 10, 4, 4, 4, 4)).eval()
    encoder = Encoder(net).eval()
    coords = torch.cat([torch.zeros(200, 1), torch.randint(0, 40, (200, 3))], dim=1).unique(dim=0).to(torch.int32)
    x = SparseTensor.of(torch.randn(len(coords), 4), coords)
    plain, found = net.encode(x), encoder(x)
    assert torch.equal(found[3].feats, plain[3].feats) and not torch.allclose(found[4].feats, plain[4].feats)
    seen = {}

    def look(_, inputs):
        seen.setdefault("coarsest", inputs[0])

    net.dropout.register_forward_pre_hook(look)
    net(x)  # the first dropout stands behind the passage at stride 16
    torch.testing.assert_close(found[4].feats, seen["coarsest"])
    with pytest.raises(InputError, match="takes a PointTensor, got a SparseTensor"):
        Encoder(SPVCNN(5, channels=(4,) * 9, points="raw"))(x)


def test_columns_keep_their_heights_and_places(tiny_detector):
    detector = tiny_detector()
    corner = detector.inputs([np.array([[-9.5, 9.5, -2.3, 1.0], [-9.5, -9.5, 0.7, 1.0]], np.float32)])
    levels = detector.encoder(corner)
    marked = levels[3].with_feats(torch.arange(1.0, 17.0).reshape(2, 8))
    above = detector._from_above(marked, 8, 1)
    assert above.shape == (1, 8 * 2, 12, 12)
    # rows are in the order of keys; each voxel fills one cell of one height
    cells = above.reshape(8, 2, 12, 12)
    places = {tuple(each[1:].tolist()) for each in cells.nonzero()}
    assert places == {(0, 0, 11), (1, 0, 0)} and float(above.sum()) == 136.0


def test_points_outside_the_grid_are_left_out(tiny_detector):
    detector = tiny_detector()
    inside = np.array([[-9.59, 0, 0, 1], [9.59, 0, 0, 1]], np.float32)
    outside = np.array([[-9.61, 0, 0, 1], [9.6, 0, 0, 1], [0, 0, 0.8, 1]], np.float32)
    x = detector.inputs([np.concatenate([outside, inside])])
    assert x.coords.tolist() == [[0, 0, 48, 12], [0, 95, 48, 12]]
    # a scan without points within is no obstacle beside others
    assert detector([outside, inside]).logits.shape[0] == 2
    with pytest.raises(InputError, match="none of the 3 points lies within"):
        detector([outside])
    with pytest.raises(InputError, match=r"cloud 1 must be \[P, 4\]"):
        detector([inside, inside[:, :3]])
    with pytest.raises(InputError, match="cloud 0 holds NaN"):
        detector([inside * np.nan])


def test_voxels_have_the_means_of_their_points(tiny_detector):
    points = np.array([[0.05, 0.05, 0.05, 0.2], [0.15, 0.15, 0.15, 0.4]], np.float32)
    x = tiny_detector().inputs([points])
    torch.testing.assert_close(x.feats, torch.tensor([[0.1, 0.1, 0.1, 0.3]]))
    raw = tiny_detector(points="raw").inputs([points])
    torch.testing.assert_close(raw.coords, torch.tensor([[0, 48.25, 48.25, 12.25], [0, 48.75, 48.75, 12.75]]))


def test_boxes_come_of_anchors_residuals_and_directions(tiny_detector):
    detector = tiny_detector()
    count = detector.anchors.reshape(-1, 7).shape[0]
    logits = torch.full((1, count, 3), -9.0)
    residuals, directions = torch.zeros(1, count, 7), torch.zeros(1, count, 2)
    at = (6 * 12 + 3) * 6  # cell (6, 3), the car along x
    logits[0, at, 0], logits[0, at + 6, 0] = 2.0, 1.0  # its neighbour in y overlaps it
    residuals[0, at, 6], residuals[0, at + 6, 1] = 3.0, -0.2
    directions[0, at, 1] = 1.0
    walker = (2 * 12 + 2) * 6 + 2
    logits[0, walker, 1] = 0.0
    found = pick(detector, Outputs(logits, residuals, directions), 0, Filter())
    assert found.classes == ("Car", "Pedestrian")
    assert found.scores == pytest.approx([1 / (1 + math.exp(-2)), 0.5])
    # yaw 3 lies in direction 0; direction 1 turns it round
    assert found.boxes[0] == pytest.approx([0.8, -4.0, -1.0, 3.9, 1.6, 1.56, 3.0 - math.pi], abs=1e-5)
    # yaw 0 does not lie in direction 0, from pi / 4 on, so it is turned
    assert found.boxes[1][6] == pytest.approx(-math.pi)
    assert len(pick(detector, Outputs(logits, residuals, directions), 0, Filter(overlap=1.0)).classes) == 3
    assert pick(detector, Outputs(logits - 9, residuals, directions), 0, Filter()).boxes.shape == (0, 7)
    residuals[0, at, 3] = 1e4  # a size beyond all numbers
    assert pick(detector, Outputs(logits, residuals, directions), 0, Filter()).classes == ("Car", "Pedestrian")


def test_targets_take_the_grids_boxes_of_known_classes(tiny_detector, scenes):
    detector = tiny_detector()
    scan = scenes(1, classes=("car", "person"))[0]
    labels = targets_of(detector, scan).labels
    assert {1, 2} <= set(labels.tolist()) and 3 not in labels.tolist()
    far = Scan(scan.points, None, "far", scan.boxes + np.float32([50, 0, 0, 0, 0, 0, 0]), scan.box_classes)
    assert targets_of(detector, far).labels.eq(0).all()
    truck = Scan(scan.points, None, "truck", scan.boxes, ("truck", "person"))
    assert 1 not in targets_of(detector, truck).labels.tolist()


def test_training_learns_scenes_by_heart(tiny_detector, scenes):
    detector, source = tiny_detector(), scenes(1, ground=100)
    losses = train_detector(detector, source, Plan(25, 1, 0.03, augmentation=STILL), seed=1)
    assert len(losses) == 25 and np.mean(losses[-5:]) < 0.25 * np.mean(losses[:5])
    # batch norms have seen few batches: let them learn the scenes' statistics
    for layer in detector.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        detector([scan.points for scan in source])
    found = detect(detector, [scan.points for scan in source], Filter(score=0.05))
    assert detector.training
    truths = [truth_of(scan, detector.grid) for scan in source]
    result = evaluate(truths, [found_of(each) for each in found], ("Car",), ("bev",), {"Car": 0.5})
    easy = result["Car"]["bev"]["easy"]
    assert easy.truths == 2 and easy.precisions[1] > 50


def test_a_stopped_training_ends_with_the_same_weights(tiny_detector, scenes, tmp_path):
    source, plan = scenes(3, ground=100), Plan(4, 2, checkpoint_steps=2)
    whole = tiny_detector()
    straight = train_detector(whole, source, plan, seed=5)

    class Stopped(Exception):
        pass

    def stop(step, *_):
        if step == 3:
            raise Stopped

    with pytest.raises(Stopped):
        train_detector(tiny_detector(), source, plan, 5, tmp_path, progress=stop)
    resumed, steps = tiny_detector(seed=9), []
    losses = train_detector(resumed, source, plan, 5, tmp_path, progress=lambda step, *_: steps.append(step))
    assert steps == [3, 4]  # the third step was after the checkpoint
    assert losses == straight
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert train_detector(tiny_detector(), source, plan, 5, tmp_path) == straight  # nothing left to do
    with pytest.raises(InputError, match="another training"):
        train_detector(tiny_detector(), source, plan, 6, tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptRun, match="no whole checkpoint"):
        train_detector(tiny_detector(), source, plan, 5, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [CHECKPOINT]


def test_one_cycle_goes_up_and_down():
    rates = [one_cycle(step, 100, 1.0) for step in range(100)]
    assert rates[0] == pytest.approx((0.1, 0.95)) and rates[40] == pytest.approx((1.0, 0.85))
    assert rates[99][0] < 0.01 and rates[99][1] == pytest.approx(0.95, abs=1e-3)
    assert all(a < b for (a, _), (b, _) in itertools.pairwise(rates[:41]))


def test_wrong_trainings_are_told(tiny_detector, scenes):
    detector, source = tiny_detector(), scenes(1)
    with pytest.raises(InputError, match="a batch of 2 scans is more than the 1"):
        train_detector(detector, source, Plan(1), 0)
    good = source[0]
    for scan, words in (
        (Scan(good.points, None, "bare"), "scan bare has no boxes"),
        (Scan(good.points, None, "odd", good.boxes, ("car", "tank")), "scan odd .*unknown class 'tank'"),
        (Scan(good.points, None, "flat", good.boxes * np.float32([1, 1, 1, 1, 0, 1, 1]), good.box_classes),
         "scan flat: box 0 has the sizes .*positive"),
    ):  # fmt: skip
        source.scans = [scan]
        with pytest.raises(InputError, match=words):
            train_detector(detector, source, Plan(1, 1), 0)
    for wrong in ({"steps": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"augmentation": Augmentation(polar_mix=0.5)}):
        with pytest.raises(ConfigError):
            Plan(**({"steps": 1} | wrong))
    with pytest.raises(ConfigError, match="numbers of boxes"):
        Filter(after=0)
    with pytest.raises(ConfigError, match="channels >= 1"):
        Proposals(filters=(0, 1))
    with pytest.raises(ConfigError, match="distinct classes"):
        Detector(MinkUNet(1, width=0.125), kinds=(KITTI_ANCHORS[0], KITTI_ANCHORS[0]))


def test_what_truth_counts_around_the_sensor(tiny_detector):
    grid = tiny_detector().grid
    boxes = np.array([[-5, 0, 0, 4, 2, 1.5, 0], [0, 5, 0, 4, 2, 1.5, 0], [50, 0, 0, 4, 2, 1.5, 0]], np.float32)
    rng = np.random.default_rng(0)
    counts = (60, 10, 60)
    hits = [rng.uniform(-0.4, 0.4, (n, 3)) * (4, 2, 1.5) + box[:3] for n, box in zip(counts, boxes, strict=True)]
    points = np.concatenate([np.concatenate(hits), np.zeros((130, 1))], axis=1).astype(np.float32)
    scan = Scan(points, None, "three", boxes, ("car", "Van", "bicyclist"))
    found = truth_of(scan, grid)
    assert [each.type for each in found] == ["Car", "Van", "Cyclist"]
    assert [each.occlusion for each in found] == [0, 2, 3]  # 60 points, 10 points, outside the grid
    # behind the sensor too, the height is that of KITTI's camera at 5 m
    assert found[0].image_box[3] - found[0].image_box[1] == pytest.approx(721.5 * 1.5 / 5)
    (alike,) = found_of(Detections(boxes[:1], np.float32([0.5]), ("Car",)))
    assert alike.location == found[0].location and alike.score == 0.5
    with pytest.raises(InputError, match="scan bare has no boxes"):
        truth_of(Scan(points, None, "bare"), grid)


def test_judging_scans_and_frames(tiny_detector, scenes, tmp_path):
    from coevo.spaces.spvnas.detection.kitti.folder import KittiFolder, KittiScans
    from coevo.spaces.spvnas.detection.kitti.judging import judge_frames

    detector = tiny_detector()
    report = judge(detector, scenes(1, classes=("car", "person")), Filter(score=0.0, after=20))
    assert set(report) == {"Car", "Pedestrian", "Cyclist"} and set(report["Car"]) == {"bev", "3d"}
    assert report["Car"]["bev"]["easy"].truths == 1 and math.isnan(report["Cyclist"]["3d"]["hard"].ap_40)
    folder = KittiFolder(kitti_files.folder_of(tmp_path))
    points = np.random.default_rng(0).uniform((2, -2, -2, 0), (9, 2, 0, 1), (300, 4)).astype("<f4")
    for name in folder.names():
        points.tofile(tmp_path / "training" / "velodyne" / f"{name}.bin")
    frames = judge_frames(
        detector, folder, folder.names("train"), Filter(score=0.0, after=5), results=tmp_path / "data"
    )
    assert set(frames["Car"]) == {"image", "bev", "3d"} and frames["Pedestrian"]["bev"]["hard"].truths == 2
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == ["000001.txt", "000003.txt"]
    source = KittiScans(folder, "train")
    assert len(source) == 2 and source[0].name == "000003" and source.source.endswith("train")
    losses = train_detector(detector, source, Plan(1, 2), 0)
    assert len(losses) == 1 and math.isfinite(losses[0])


def test_truth_that_cannot_be_is_told(tiny_detector, scenes):
    good = scenes(1)[0]
    flat = Scan(good.points, None, "flat", good.boxes * np.float32([1, 1, 1, 1, 1, 0, 1]), good.box_classes)
    with pytest.raises(InputError, match="scan flat: box 0 has the sizes"):
        truth_of(flat, tiny_detector().grid)
    with pytest.raises(InputError, match="scan odd has a box of the unknown class 'tank'"):
        truth_of(Scan(good.points, None, "odd", good.boxes, ("car", "tank")), tiny_detector().grid)


def test_generated_scenes_have_boxes_to_learn_from(tiny_detector):
    from coevo.spaces.spvnas.data.generator.source import GeneratedScans

    detector, source = tiny_detector(), GeneratedScans(1, "train", rare=3.0)
    scan = source[0]
    truths = truth_of(scan, AROUND_GRID)
    assert {each.type for each in truths if each.occlusion < 3} >= {"Car", "Pedestrian", "Cyclist"}
    # what carries a thing's class lies in the boxes of that class, but for the noise at their faces
    for name in ("car", "person"):
        boxes = scan.boxes[[each == name for each in scan.box_classes]] + np.float32([0, 0, 0, 0.3, 0.3, 0.3, 0])
        points = scan.points[scan.labels == CLASS_IDS[name]]
        assert len(points) > 50 and points_in_boxes(points, boxes).any(axis=0).mean() > 0.9
    labels = assign_all(scan)
    assert {1, 2, 3} <= set(labels.tolist())
    losses = train_detector(detector, source, Plan(1, 1), 0)
    assert len(losses) == 1 and math.isfinite(losses[0])


def assign_all(scan):
    names = ("car", "person", "bicyclist")
    rows = [row for row, name in enumerate(scan.box_classes) if name in names]
    classes = torch.tensor([names.index(scan.box_classes[row]) for row in rows])
    return assign(make_anchors(AROUND_GRID), KITTI_ANCHORS, torch.from_numpy(scan.boxes[rows]), classes).labels


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_on_a_device_as_on_the_cpu(tiny_detector, scenes, tmp_path, monkeypatch, points):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    source = scenes(2)
    clouds = [scan.points for scan in source]
    detector = tiny_detector(points=points).eval()
    with torch.inference_mode():
        plain = detector(clouds)
        found = detector.cuda()(clouds)
    for name in ("logits", "residuals", "directions"):
        torch.testing.assert_close(getattr(found, name).cpu(), getattr(plain, name), atol=1e-3, rtol=1e-2)
    scan, kept = source[0], targets_of(detector, source[0])
    detector.cpu()
    assert torch.equal(targets_of(detector, scan).labels, kept.labels.cpu())
    losses = train_detector(detector.cuda(), source, Plan(3, 2), 0, tmp_path, torch.bfloat16)
    assert len(losses) == 3 and all(math.isfinite(each) for each in losses)
    assert train_detector(tiny_detector(points=points).cuda(), source, Plan(3, 2), 0, tmp_path) == losses
    assert set(judge(detector, source, Filter(score=0.0, after=20), torch.bfloat16)) == {"Car", "Pedestrian", "Cyclist"}
