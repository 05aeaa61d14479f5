"""Detectors in folders."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import coevo  # noqa: E402
from coevo.errors import InputError  # noqa: E402
from coevo.spaces.spvnas.detection.files import DETECTOR, WEIGHTS, load_detector, save_detector  # noqa: E402


@pytest.mark.parametrize("points", ["none", "voxels", "raw"])
def test_there_and_back(tiny_detector, scenes, tmp_path, points):
    detector = tiny_detector(points=points).eval()
    save_detector(detector, tmp_path / "made", data="nothing", notes={"ap": 1.0})
    back = coevo.load(tmp_path / "made")
    assert (back.grid, back.kinds, back.proposals) == (detector.grid, detector.kinds, detector.proposals)
    assert not back.training and back.encoder.points == detector.encoder.points
    clouds = [scenes(1)[0].points]
    with torch.inference_mode():
        assert torch.equal(back(clouds).logits, detector(clouds).logits)
    told = json.loads((tmp_path / "made" / DETECTOR).read_text())
    assert told["data"] == "nothing" and told["notes"] == {"ap": 1.0}
    assert sorted(each.name for each in (tmp_path / "made").iterdir()) == [DETECTOR, WEIGHTS]


def test_what_is_no_detector_is_told(tiny_detector, tmp_path):
    with pytest.raises(InputError, match=r"holds no detector: .*cannot be read"):
        load_detector(tmp_path)
    save_detector(tiny_detector(), tmp_path, data="nothing")
    weights, note = (tmp_path / WEIGHTS), (tmp_path / DETECTOR)
    good, text = weights.read_bytes(), note.read_text()
    weights.write_bytes(good[:-4])
    with pytest.raises(InputError, match=r"is not the file that detector\.json names"):
        load_detector(tmp_path)
    weights.write_bytes(good)
    for old, new, words in (
        ('"version": 1', '"version": 9', r"version 1, got 'coevo.spvnas.detector', 9"),
        ("coevo.spvnas.detector", "coevo.other", "must be of the format"),
        ('"joined": 8', '"joined": 4', "is damaged: .*size mismatch"),
        ('"voxel_m": 0.2', '"voxel_m": 0', "is damaged: a voxel's size"),
        ('"grid"', '"gird"', "is damaged: 'grid'"),
        ("{", "", "is damaged"),
    ):
        note.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=f"(?s){words}"):
            load_detector(tmp_path)
    note.write_text("[]")
    with pytest.raises(InputError, match="must be of the format"):
        load_detector(tmp_path)
