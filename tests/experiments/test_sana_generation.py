"""E3 and E6 at a size of seconds on a CPU, stopped and gone on with; what they make of their rows."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "experiments" / "bench"), str(ROOT / "experiments" / "sana")]


def module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"sana_{name}", ROOT / "experiments" / "sana" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


scaling, claims = module("scaling"), module("claims")
TINY = (
    "--device cpu --seeds 1 --latents 16 --batch 4 --autoencoder-steps 2 --autoencoder-batch 2 --autoencoder-width 8 "
    "--per-category 1 --steps 2 --sampling-steps 2"
)
SCALING = f"{TINY} --samples 4 --few 2 --sampling-batch 8 --verifier-steps 1 --small 32 1 --large 64 1 --more-steps 3 5"
CLAIMS = (
    f"{TINY} --samples 1 --sampling-batch 4 --width 32 --depth 1 --size-px 64 --held-out 4 --solver-steps 3 4 "
    "--reference-steps 6 --attention-sides 16 --attention-steps 2 --attention-tokens 512 --attention-scenes 4 "
    "--attention-width 32 --attention-depth 1 --attention-samples 1 --time-model tiny --time-repeats 1"
)


def words(text: str, folder: Path, *more: str) -> list[str]:
    return [*text.split(), "--folder", str(folder), "--out", str(folder / "found.json"), *more]


def document(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return read


def test_scaling_runs_stops_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scaling.main(words(SCALING, tmp_path)) == 1  # one seed says nothing
    whole = document(tmp_path)
    rows = {row["name"]: row for row in whole["measurements"]["rows"]}
    assert set(rows) == {"small, 2 steps", "large, 2 steps", "small, 3 steps", "small, 5 steps"}
    (seed,) = whole["measurements"]["by_seed"]
    assert [each["n"] for each in seed["budgets"]] == [1, 2, 4]
    assert whole["settings"]["published_weights"] is None and "made by coevo" in whole["settings"]["data"]
    assert len(whole["bars"]) == 4 and not any(each["holds"] for each in whole["bars"])
    small = rows["small, 2 steps"]
    assert small["samples"] == 4 and small["sample_s"] > 0 and small["verify_s"] > 0
    assert set(small["held_out"]) == {"learned", "noisy", "oracle"} and set(small["own"]) == {"1", "2", "4"}
    assert rows["large, 2 steps"]["mparams"] > small["mparams"]

    path = tmp_path / "scaling.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(lines[0] + "\n" + lines[1][:40], encoding="utf-8")  # killed in the middle of a line
    scaling.main(words(SCALING, tmp_path, "--minutes", "0"))
    assert document(tmp_path)["measurements"]["seeds"] == 0
    monkeypatch.setattr(scaling._generation, "train", None)  # weights are read, not trained again
    monkeypatch.setattr(scaling, "train_verifier", None)
    scaling.main(words(SCALING, tmp_path))
    again = {row["name"]: row for row in document(tmp_path)["measurements"]["rows"]}
    assert set(again) == set(rows)
    assert all(again["small, 2 steps"][key] == value for key, value in small.items())
    assert again["large, 2 steps"]["held_out"] == rows["large, 2 steps"]["held_out"]


def test_claims_run_part_by_part(tmp_path: Path) -> None:
    claims.main(words(CLAIMS, tmp_path, "--parts", "time"))
    assert len(document(tmp_path)["measurements"]["rows"]) == 1
    claims.main(words(CLAIMS, tmp_path))
    found = document(tmp_path)
    rows = {row["name"]: row for row in found["measurements"]["rows"]}
    assert set(rows) == {
        "time, 256 tokens", "f32", "f8, equal updates", "f8, equal seconds", "flow_dpm, 3 steps", "flow_dpm, 4 steps",
        "flow_euler, 3 steps", "flow_euler, 4 steps", "linear attention, 256 tokens", "softmax attention, 256 tokens",
    }  # fmt: skip
    assert (rows["f32"]["tokens"], rows["f8, equal updates"]["tokens"]) == (4, 64)
    assert all(row["psnr_db"] > 0 for name, row in rows.items() if name.startswith("f") and "flow" not in name)
    assert 0 < rows["flow_dpm, 4 steps"]["distance"] < 1
    assert (
        rows["softmax attention, 256 tokens"]["held_out_loss"] != rows["linear attention, 256 tokens"]["held_out_loss"]
    )
    assert rows["time, 256 tokens"]["linear, kernels"]["forward_s"] > 0
    names = [each["name"] for each in found["bars"]]
    assert any("3 steps" in each for each in names) and any("f32" in each for each in names)
    lines = (tmp_path / "claims.jsonl").read_text(encoding="utf-8")
    claims.main(words(CLAIMS, tmp_path, "--minutes", "0"))
    assert document(tmp_path)["bars"] == found["bars"]
    assert (tmp_path / "claims.jsonl").read_text(encoding="utf-8") == lines


def test_curves_keep_verifier_and_oracle_apart() -> None:
    from coevo.spaces.sana.data.prompts import parse_prompt

    prompts = [parse_prompt("a ring"), parse_prompt("a red ring")]
    right = [True, False, False, False, True, True, False, False]
    misled = [-9.0, 0.0, 1.0, 2.0, -9.0, -8.0, 0.0, 9.0]  # sure of what is wrong
    found = scaling.curves(prompts, misled, right, 4, 0.0, 0)
    assert found["held_out"]["learned"]["1"]["overall"] == pytest.approx((0.25 + 0.5) / 2)
    assert found["held_out"]["learned"]["4"]["overall"] == 0
    assert found["held_out"]["oracle"]["4"] == {"single_object": 1.0, "colors": 1.0, "overall": 1.0}
    assert found["held_out"]["noisy"] == found["held_out"]["oracle"]
    assert found["own"]["4"] > found["own"]["1"]
    assert found["verifier_agrees"] == 2 / 8


def test_what_a_budget_buys() -> None:
    row = {"sample_s": 1.0, "verify_s": 1.0, "samples": 8}
    assert [scaling.choices_within(row, seconds) for seconds in (0.5, 1, 3.9, 4, 16, 99)] == [None, 1, 1, 2, 8, 8]
    assert scaling.seconds_of(row, 1) == 1 and scaling.seconds_of(row, 2) == 4
    budgets = [{"n": n, "seconds": 2.0 * n, "small": n / 10} for n in (1, 2, 4)]
    assert scaling.within(budgets, 5.0) == 0.2 and scaling.within(budgets, 0.1) == 0.1
    assert scaling.doublings(6) == [1, 2, 4, 6] and scaling.doublings(1) == [1]


def test_intervals_and_bars_of_three_seeds(tmp_path: Path) -> None:
    arguments = claims.parsed(words(CLAIMS, tmp_path, "--seeds", "3"))
    rows = claims._depth.Rows(tmp_path / "rows.jsonl", {}, 1e9)
    for seed in range(3):
        for solver, distance in (("flow_dpm", 0.1), ("flow_euler", 0.3 + 0.01 * seed)):
            rows.add(seed, f"{solver}, 3 steps", {"distance": distance, "accepted": {"overall": 0.5}})
    (bar,) = claims.bars_of(rows, arguments)
    assert bar["holds"] and bar["value"] == pytest.approx(np.log(3.1), abs=0.1)
