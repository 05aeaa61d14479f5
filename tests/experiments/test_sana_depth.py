"""E1 and E2 of a transformer's depth, with a handful of steps on a CPU."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "experiments" / "bench"), str(ROOT / "experiments" / "sana")]


def module(name: str):
    spec = importlib.util.spec_from_file_location(f"sana_{name}", ROOT / "experiments" / "sana" / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


growth, pruning = module("growth"), module("pruning")
TINY = "--device cpu --seeds 1 --width 32 --size-px 8 --fold 4 --images 16 --held-out 8 --batch 8"
GROWTH = f"{TINY} --source-depth 3 --depth 6 --source-steps 2 --steps 3 --validate-every 1"
PRUNING = (
    f"{TINY} --depth 4 --steps 3 --recovery 1 --search-masks 3 --search-recovery 1 --finalists 2 --random-draws 2 "
    "--calibration 4"
)


def words(text: str, folder: Path, *more: str) -> list[str]:
    return [*text.split(), "--folder", str(folder), "--out", str(folder / "found.json"), *more]


def test_growth_runs_stops_and_goes_on_to_the_same_rows(tmp_path, monkeypatch):
    few = ("partial_preservation, drop 0", growth.DEFAULT, "block_expand, zero gate", "cyclic")
    monkeypatch.setattr(growth, "ARMS", {name: growth.ARMS[name] for name in few})
    assert growth.main(words(GROWTH, tmp_path)) == 1  # one seed says nothing
    whole = json.loads((tmp_path / "found.json").read_text())
    (arms,) = whole["measurements"]["by_seed"]
    assert set(arms) == {"scratch", *growth.ARMS} and len(whole["measurements"]["rows"]) == 6
    assert (
        all(not each["holds"] and "fewer seeds" in each["note"] for each in whole["bars"]) and len(whole["bars"]) == 4
    )
    assert "made by coevo" in whole["settings"]["data"] and whole["settings"]["published_weights"] is None
    rows = {each["name"]: each for each in whole["measurements"]["rows"]}
    assert rows["scratch"]["mparams"] > rows["source"]["mparams"] and len(rows["scratch"]["curve"]) == 4
    assert {each["diverged_at"] for each in rows.values()} == {None}
    silent = [rows[name]["first_loss"] for name in ("partial_preservation, drop 0", "block_expand, zero gate")]
    assert silent[0] == pytest.approx(silent[1]) == pytest.approx(rows["source"]["curve"][-1][1], rel=1e-5)
    path = tmp_path / "growth.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:4]) + "\n" + lines[4][:30])  # killed in the middle of a line
    growth.main(words(GROWTH, tmp_path, "--seconds", "0"))
    assert json.loads((tmp_path / "found.json").read_text())["measurements"]["seeds"] == 0
    growth.main(words(GROWTH, tmp_path))
    again = json.loads((tmp_path / "found.json").read_text())["measurements"]
    assert again["by_seed"] == whole["measurements"]["by_seed"]
    assert path.read_text().splitlines()[:4] == lines[:4]


def test_latents_have_unit_variance_and_parts_share_no_image():
    arguments = growth.parsed([*TINY.split(), "--size-px", "32", "--images", "512", "--held-out", "256"])
    scenes = growth._depth.Scenes(arguments, 0)
    assert abs(scenes.parts["train"].latents.std() - 1) < 0.05
    seen = {name: {each.numpy().tobytes() for each in part.latents} for name, part in scenes.parts.items()}
    assert (
        not seen["train"] & seen["judge"] and not seen["train"] & seen["search"] and not seen["judge"] & seen["search"]
    )
    again = growth._depth.Scenes(arguments, 0).parts["judge"]
    assert torch.equal(again.latents, scenes.parts["judge"].latents)
    assert torch.equal(again.text, scenes.parts["judge"].text)


def test_a_strategy_that_diverges_is_a_row_and_scratch_that_does_is_an_error(tmp_path, monkeypatch):
    arguments = growth.parsed(GROWTH.split())
    one = growth.Seed(arguments, growth._depth.Rows(tmp_path / "rows.jsonl", {}, 9.0), 0)

    def broken(*_):
        raise growth.NonFiniteLoss("the loss became nan at update 3", 3)

    monkeypatch.setattr(one.scenes, "train", broken)
    model = one.scenes.transformer(2, 0)
    row = one.row("cyclic", model, 4)
    assert row["diverged_at"] == 3 and row["final_loss"] is None and row["curve"] == []
    assert growth.Curve(4, validations=row["curve"]).reached(1.0) is None
    with pytest.raises(growth.NonFiniteLoss):
        one.row("scratch", model, 4)


def test_what_growth_saved_is_counted_with_and_without_the_source(tmp_path):
    def rows(saving: float) -> object:
        found = growth._depth.Rows(tmp_path / f"{saving}.jsonl", {}, 9.0)
        for seed in range(3):
            curve = [(0, 4.0), (100, 2.0 + 0.01 * seed), (110, 2.0), (120, 2.0)]
            row = {"steps": 120, "step_flops": 3e12, "final_loss": 2.0 + 0.01 * seed / 3}
            found.add(seed, "scratch", {**row, "curve": curve})
            found.add(seed, "source", {"steps": 90, "step_flops": 1e12})
            for name in growth.ARMS:
                late = 110 if name == "random" else 100 * (1 - saving) * (1 if name == growth.DEFAULT else 1.1)
                reached = [(0, 4.0), (late, 1.9)] if name != "cyclic" else [(0, 4.0), (120, 3.0)]
                found.add(seed, name, {**row, "curve": reached})
        return found

    good = [growth.compared(rows(0.7), seed) for seed in range(3)]
    default, cyclic = good[0][growth.DEFAULT], good[0]["cyclic"]
    assert default["steps"] == math.ceil(30 * 2.0 / 2.1) and cyclic["steps"] is cyclic["saved"] is None
    own = good[0]["scratch"]["steps"]
    assert default["saved"] == pytest.approx(1 - default["steps"] / own) and good[0]["scratch"]["saved"] == 0
    assert default["saved_with_source"] == pytest.approx(default["saved"] - 90 / (3 * own))
    assert [each["holds"] for each in growth.bars_of(good)] == [True] * 4
    assert growth.summary(good)["cyclic"]["reached_of_seeds"] == 0
    bad = [growth.compared(rows(0.1), seed) for seed in range(3)]
    assert [each["holds"] for each in growth.bars_of(bad)] == [True, False, False, True]
    bad[1][growth.DEFAULT].update(saved=None, saved_with_source=None)
    assert not any(each["holds"] for each in growth.bars_of(bad))
    json.dumps(growth.bars_of(bad), allow_nan=False)


def test_pruning_runs_stops_and_goes_on_to_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, "SHARES", ("1/2", "1/3"))
    assert pruning.main(words(PRUNING, tmp_path)) == 1
    whole = json.loads((tmp_path / "found.json").read_text())["measurements"]
    assert set(whole["summary"]) == {"1/2", "1/3"} and len(whole["rows"]) == 1 + 2 * len(pruning.METHODS)
    rows = {each["name"]: each for each in whole["rows"]}
    assert len(rows["1/2 random"]["keep"]) == 2 and all(sum(each) == 2 for each in rows["1/2 random"]["keep"])
    history = rows["1/2 search"]["history"]
    finals = rows["1/2 search"]["finals"]
    assert len(history) == 3 and len(finals) == 2
    assert [each["keep"] for each in finals] == [e["keep"] for e in sorted(history, key=lambda each: each["score"])[:2]]
    assert rows["1/2 search"]["keep"] == [min(finals, key=lambda each: each["score"])["keep"]]
    assert rows["1/3 scratch, search's FLOPs too"]["steps"] > rows["1/3 scratch"]["steps"] > 3
    assert rows["1/3 scratch"]["loss_0"] is None and rows["teacher"]["loss"] < rows["1/3 random"]["loss_0"] * 2
    path = tmp_path / "pruning.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:9]) + "\n")
    pruning.main(words(PRUNING, tmp_path, "--seconds", "0"))
    assert path.read_text().splitlines() == lines[:9]
    pruning.main(words(PRUNING, tmp_path))
    again = json.loads((tmp_path / "found.json").read_text())["measurements"]
    assert again["summary"] == whole["summary"] and len(again["rows"]) == len(whole["rows"])


def test_the_search_must_beat_block_importance_with_an_interval():
    def seeds(gaps):
        return [
            {
                share: {
                    m: {"loss_recovered": 1.0 + (0 if m == "search" else gap)} for m in pruning.METHODS
                }
                for share in pruning.SHARES
            }
            for gap in gaps
        ]  # fmt: skip

    assert all(each["holds"] for each in pruning.bars_of(seeds((0.01, 0.011, 0.012))))
    assert not any(each["holds"] for each in pruning.bars_of(seeds((0.01, -0.002, 0.012))))
    assert not any(each["holds"] for each in pruning.bars_of(seeds((0.01,))))
