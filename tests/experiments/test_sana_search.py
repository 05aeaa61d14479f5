"""E5, with a handful of updates on a CPU."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "experiments" / "sana" / "search.py"
sys.path[:0] = [str(ROOT / "experiments" / "bench"), str(ROOT / "experiments" / "sana")]
_spec = importlib.util.spec_from_file_location("sana_search", SCRIPT)
assert _spec is not None and _spec.loader is not None
search: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(search)

TINY = (
    "--seeds 1 --device cpu --autoencoder-steps 1 --autoencoder-batch 2 --autoencoder-width 8 --verifier-steps 1 "
    "--latents 8 --width 64 --depth 3 --rungs 1 3 --steps 2 --batch 4 --sampling-steps 2 3 --trials 5 --recovery 1 "
    "--images 4 --final-steps 1 --final-images 4 --calibration 4 --timings 1"
)


def run(folder: Path, *more: str) -> dict[str, Any]:
    search.main([*TINY.split(), "--folder", str(folder), "--out", str(folder / "found.json"), *more])
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


def test_it_runs_stops_and_goes_on_to_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path)
    assert "made by coevo" in whole["settings"]["data"] and whole["settings"]["published_weights"] is None
    (seed,) = whole["measurements"]["by_seed"]
    assert [each["kept"] for each in seed["targets"]] == [1, 3]
    for target in seed["targets"]:
        assert set(target["arms"]) == {"ladder", *search.ARMS}
        for arm in target["arms"].values():
            assert arm["latency_ms"] <= target["target_ms"] and 0 <= arm["quality"] <= 1 and arm["measured_ms"] > 0
    assert {name: len(each) for name, each in seed["judged_ms_and_quality"].items()} == dict.fromkeys(search.ARMS, 5)
    assert not any(each["holds"] for each in whole["bars"]) and len(whole["bars"]) == 4

    path = tmp_path / "search.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    first = [row["design"]["keep"] for row in rows if row["name"].startswith("judged")][:2]
    assert first == [[True, False, False], [True] * 3], "every arm begins with the ladder"
    names = [(row["seed"], row["name"]) for row in rows]
    assert len(set(names)) == len(names)

    lines = path.read_text().splitlines()
    after = next(number for number, (_, name) in enumerate(names) if name == "random")
    path.write_text("\n".join(lines[:after]) + "\n" + lines[after][:20])  # killed in the middle of a line
    stopped = run(tmp_path, "--seconds", "0")
    assert stopped["measurements"]["seeds"] == 0 and stopped["bars"] == []
    with monkeypatch.context() as patch:
        patch.setattr(search, "train_weights", None)  # the supernet is read back, not trained again
        again = run(tmp_path)
    (second,) = again["measurements"]["by_seed"]
    for name in search.ARMS:
        assert second["judged_ms_and_quality"][name] == seed["judged_ms_and_quality"][name]
    for one, other in zip(seed["targets"], second["targets"], strict=True):
        assert {name: arm["quality"] for name, arm in one["arms"].items()} == {
            name: arm["quality"] for name, arm in other["arms"].items()
        }


def test_an_error_while_judging_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(search.Seed, "quality", broken)
    with pytest.raises(RuntimeError, match="no such kernel"):
        run(tmp_path)


def rows_of(tmp_path: Path, quality: dict[str, float]) -> tuple[Any, Any]:
    """Rows of three seeds whose designs are told by hand, held-out qualities by arm."""
    lab = SimpleNamespace(bounds=search.Bounds(4, most_runs=2), ladder=[])
    lab.ladder = [lab.bounds.uniform(kept, steps=4, guidance=1.0) for kept in (2, 4)]
    rows = search._depth.Rows(tmp_path / "rows.jsonl", {}, 9.0)
    ms = dict(zip(("ladder", *search.ARMS), (10.0, 9.0, 9.5, 10.0), strict=True))
    for seed in range(3):
        keys = []
        for number, rung in enumerate(lab.ladder):
            for arm, steps in zip(("ladder", *search.ARMS), (4, 6, 8, 12), strict=True):
                design = rung.sampled(steps, 1.0, 1)
                key = search.key_of(design)
                cost = {"latency_ms": ms[arm] * (1 + number), "mparams": 1.0, "gmacs": 1.0}
                row = {**cost, "design": design.to_json()}
                rows.add(seed, f"judged {key}", {**row, "quality": 0.1 if arm == "ladder" else 0.5})
                rows.add(seed, f"final {key}", {**row, "quality": quality[arm] + 0.01 * seed * (arm == "search")})
                rows.add(seed, f"clock {key}", {"measured_ms": cost["latency_ms"]})
                keys.append((arm, key))
        for name in search.ARMS:
            rows.add(seed, name, {"judged": [key for arm, key in keys if arm in ("ladder", name)]})
    return rows, lab


def test_every_arm_names_its_best_design_within_a_rungs_latency(tmp_path: Path) -> None:
    rows, lab = rows_of(tmp_path, {"ladder": 0.2, "search": 0.4, "random": 0.3, "uniform": 0.35})
    found = [search.seed_result(rows, lab, seed) for seed in range(3)]
    shallow, deep = found[0]["targets"]
    assert (shallow["target_ms"], deep["target_ms"]) == (10.0, 20.0)
    assert {name: arm["measured_ms"] for name, arm in shallow["arms"].items()} == {
        "ladder": 10.0, "search": 9.0, "random": 9.5, "uniform": 10.0,
    }  # fmt: skip
    # Both of an arm's designs are within the deep rung; of equal qualities the faster one counts.
    assert {name: arm["measured_ms"] for name, arm in deep["arms"].items()} == {
        "ladder": 20.0, "search": 9.0, "random": 9.5, "uniform": 10.0,
    }  # fmt: skip
    assert found[1]["search_minus_ladder"] == pytest.approx(0.21) and found[0]["fronts"]["search"] == [(9.0, 0.5)]
    assert [each["holds"] for each in search.bars_of(found)] == [True] * 4
    json.dumps(found, allow_nan=False)
    assert "held-out" in search.table_of(found)


def test_what_is_no_better_says_so(tmp_path: Path) -> None:
    rows, lab = rows_of(tmp_path, {"ladder": 0.2, "search": 0.3, "random": 0.31, "uniform": 0.4})
    found = [search.seed_result(rows, lab, seed) for seed in range(3)]
    assert [each["holds"] for each in search.bars_of(found)] == [True, False, False, True]


def test_it_asks_for_torch_and_numpy_alone() -> None:
    code = (
        "import importlib.util, sys\n"
        "for name in ('pydantic', 'ray', 'typer', 'rich', 'matplotlib', 'scipy', 'PIL'): sys.modules[name] = None\n"
        f"spec = importlib.util.spec_from_file_location('search', {str(SCRIPT)!r})\n"
        "module = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(module)\n"
        "module.parsed([])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
