"""The experiment on detection, with a handful of scenes and steps on a CPU."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "experiments" / "bench"))


def module(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


detection = module("spvnas_detection", ROOT / "experiments" / "spvnas" / "detection.py")
scenes = module("detection_scenes", ROOT / "tests" / "spaces" / "spvnas" / "detection" / "conftest.py")
SMALL = (
    "--device cpu --training 2 --validation 1 --steps 2 --batch 1 --voxel-m 0.2 --half-width-m 9.6 --channels 8 "
    "--layers 1 --ratios 0.125 --points none"
)


@pytest.fixture
def small_scenes(monkeypatch):
    monkeypatch.setattr(
        detection,
        "generated",
        lambda split, count, device: detection.Held("small scenes", [scenes.scene(i) for i in range(count)]),
    )


def test_arms_have_equal_budgets_and_a_stopped_run_goes_on(small_scenes, tmp_path, capsys):
    design = detection.Backbone.uniform(0.125, "voxels")
    (tmp_path / "design.json").write_text(json.dumps(design.to_json()))
    words = [*SMALL.split(), "--design", f"searched={tmp_path / 'design.json'}", "--folder", str(tmp_path / "runs")]
    words += ["--out", str(tmp_path / "found.json")]
    assert detection.main(words) == 1  # one seed says nothing: its bar is not met
    found = json.loads((tmp_path / "found.json").read_text())
    rows = found["measurements"]["by_arm"]
    assert set(rows) == {"uniform MinkUNet 0.125", "searched"}
    assert found["settings"]["training"] == ["small scenes", 2] and len(found["bars"]) == 1
    (searched,), (plain,) = rows["searched"], rows["uniform MinkUNet 0.125"]
    assert searched["encoder_parameters"] > plain["encoder_parameters"] > 0  # the point branch's perceptron
    assert searched["encoder_gmacs"] > plain["encoder_gmacs"] > 0
    assert (
        plain["strict"]["Car"]["bev"]["easy"]["truths"] == 2 and plain["strict"]["Cyclist"]["3d"]["hard"]["truths"] == 0
    )
    assert "step 2 of 2" in capsys.readouterr().out
    assert detection.main(words) == 1
    again = json.loads((tmp_path / "found.json").read_text())["measurements"]["by_arm"]
    assert "step" not in capsys.readouterr().out  # nothing was left to train
    assert again["searched"][0]["strict"] == searched["strict"]
    assert again["searched"][0]["last_quarter_loss"] == searched["last_quarter_loss"]


def test_wrong_arms_are_told(tmp_path):
    with pytest.raises(detection.InputError, match="expected NAME=PATH"):
        detection.main([*SMALL.split(), "--design", "searched"])
    with pytest.raises(detection.InputError, match="expected NAME=PATH"):
        detection.main([*SMALL.split(), "--network", f"searched={tmp_path / 'none'}"])
