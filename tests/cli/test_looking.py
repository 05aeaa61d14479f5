"""`coevo spaces`, `show`, `front`, `explain` and `doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from coevo.cli import doctor
from coevo.search import store
from coevo.search.run import Run

Coevo = Callable[..., Result]


def test_spaces_lists_what_is_installed(coevo: Coevo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coevo.cli.looking.problem_names", lambda: {"toy": "toy_problems:problem"})
    assert "toy" in coevo("spaces").stdout
    assert json.loads(coevo("spaces", "--json").stdout) == {"problems": {"toy": "toy_problems:problem"}}


def test_show_describes_a_problem(coevo: Coevo) -> None:
    result = coevo("show", "toy_problems:problem", "--set", "note=two words")
    assert result.exit_code == 0, result.stderr
    for words in (
        "A toy with widths, an order and a rate.",
        "note = two words",
        "max accuracy, min latency_ms",
        "latency_ms [ms]",
        "integer 1 to 4",
        "one of 8, 16, 32",
        "order of a, b, c",
        "real 0.001 to 0.1, logarithmic",
        "width0 ... width3 (4)",
        "prepare, export, verify, draw",
    ):
        assert words in result.stdout, words


def test_show_as_json(coevo: Coevo) -> None:
    found = json.loads(coevo("show", "toy_problems:problem", "--json").stdout)
    choices = {choice["name"]: choice for choice in found["choices"]}
    assert choices["width0"]["options"] == [8, 16, 32] and choices["width0"]["asked_share"] == 1
    assert 0 < choices["width3"]["asked_share"] < 1
    assert choices["order"] | {"asked_share": 0} == {
        "name": "order",
        "kind": "order",
        "items": ["a", "b", "c"],
        "k": 3,
        "asked_share": 0,
    }
    assert {option["name"]: option["value"] for option in found["options"]}["prepare_steps"] == 2
    assert 0.9 < found["valid_share"] < 1 and sum(found["refused"].values()) > 0
    assert found["sample"]["space"] == "toy/v1"


def test_show_a_ladder(coevo: Coevo) -> None:
    shown = coevo("show", "ladder_problems:problem", "--set", "share=0.3").stdout
    assert "proxy (judge0@1): accuracy, latency_ms [ms]; the best 30% go on" in shown
    assert "full (judge2@1): accuracy, latency_ms [ms]\n" in shown.replace(" \n", "\n").replace("  ", "")
    found = json.loads(coevo("show", "ladder_problems:problem", "--json").stdout)["stages"]
    assert [stage["share"] for stage in found] == [0.4, 0.5, None]


def test_show_needs_options_as_pairs(coevo: Coevo) -> None:
    result = coevo("show", "toy_problems:problem", "--set", "note")
    assert result.exit_code == 2 and "OPTION=VALUE" in result.stderr


def test_front(coevo: Coevo, finished: Path) -> None:
    front = Run.open(finished).front()
    result = coevo("front", finished)
    assert front.best().design.key[:12] in result.stdout and "of 40 trials" in result.stdout
    found = json.loads(coevo("front", finished, "--json").stdout)
    assert [row["key"] for row in found["front"]] == [trial.design.key for trial in front.trials]


def test_explain_a_design_of_the_front(coevo: Coevo, finished: Path) -> None:
    run = Run.open(finished)
    child = next(trial for trial in reversed(list(run.trials())) if trial.design.origin and trial.design.origin.parents)
    result = coevo("explain", finished, child.design.key[:10])
    assert result.exit_code == 0, result.stderr
    assert child.design.key in result.stdout and "ancestors" in result.stdout and "accuracy" in result.stdout
    found = json.loads(coevo("explain", finished, child.design.key, "--json").stdout)
    assert found["parents"] == list(child.design.origin.parents)  # type: ignore[union-attr]
    assert found["answers"] == json.loads(json.dumps(child.design.answers))
    indices = [member["index"] for member in found["lineage"]]
    assert len(indices) == len(set(indices)) and set(found["parents"]) <= set(indices)
    by_index = {trial.index: trial for trial in run.trials()}
    for member in found["lineage"]:  # closed: every ancestor's parents are ancestors, up to the roots
        assert set(member["parents"]) <= set(indices)
        assert member["key"] == by_index[member["index"]].design.key
    assert any(not member["parents"] for member in found["lineage"])


def test_explain_a_failed_design(coevo: Coevo, experiment: Path) -> None:
    assert coevo("run", experiment, "--set", "search.trials=200", "--out", "here").exit_code == 0
    failed = next(trial for trial in Run.open("here").trials() if trial.outcome.failure)
    result = coevo("explain", "here", failed.design.key)
    assert result.exit_code == 0 and "failed: diverged <b>at</b>" in result.stdout
    assert json.loads(coevo("explain", "here", failed.design.key, "--json").stdout)["failure"] == failed.outcome.failure


def test_explain_says_which_constraint_is_broken(coevo: Coevo, experiment: Path) -> None:
    words = ("--set", 'constraints.latency_ms="<= 3"', "--out", "here")
    assert coevo("run", experiment, *words).exit_code in (0, 3)
    broken = next(trial for trial in Run.open("here").trials() if trial.score and trial.score.violation > 0)
    assert "is not <= 3" in coevo("explain", "here", broken.design.key).stdout


def test_explain_a_design_of_a_ladder(coevo: Coevo, ladder: Path) -> None:
    trials = list(Run.open(ladder).trials())
    deep = next(trial for trial in trials if trial.stage == "full")
    found = json.loads(coevo("explain", ladder, deep.design.key, "--json").stdout)["stages"]
    assert [entry["stage"] for entry in found] == ["proxy", "short", "full"]
    assert [entry["metrics"] for entry in found] == [dict(result.metrics) for result in deep.reached]
    assert [entry["gate"] and entry["gate"]["decision"] for entry in found] == ["went on", "went on", None]
    assert all(1 <= entry["gate"]["place"] <= entry["gate"]["window"] <= 32 for entry in found[:2])
    shown = coevo("explain", ladder, deep.design.key).stdout
    assert "went on" in shown and "place in its window" in shown and "latency_ms (ms)" in shown
    ended = next(trial for trial in trials if trial.stage == "proxy" and trial.outcome.ok)
    shown = coevo("explain", ladder, ended.design.key).stdout
    assert "ended at the gate behind stage 'proxy'" in shown
    failed = next(trial for trial in trials if trial.outcome.failure)
    found = json.loads(coevo("explain", ladder, failed.design.key, "--json").stdout)["stages"]
    assert found[-1]["stage"] == "short" and found[-1]["gate"] == {"decision": "failed", "place": None, "window": None}
    assert found[0]["gate"]["decision"] == "went on"
    child = next(trial for trial in reversed(trials) if trial.design.origin and trial.design.origin.parents)
    lines = coevo("explain", ladder, child.design.key).stdout.splitlines()
    assert any(line.startswith("back") and "stage" in line for line in lines)


def test_the_front_of_a_ladder_says_how_many_came_so_far(coevo: Coevo, ladder: Path) -> None:
    deep = sum(trial.stage == "full" for trial in Run.open(ladder).trials())
    assert f"of 120 trials ({deep} of them at stage full)" in coevo("front", ladder).stdout


def test_a_run_says_how_its_stages_went(coevo: Coevo, ladder: Path, tmp_path: Path) -> None:
    (tmp_path / "l.toml").write_text(
        'problem = "ladder_problems:problem"\n[search]\ntrials = 60\n[run]\nrunner = "inline"\n'
    )
    result = coevo("run", "l.toml", "--out", "one")
    assert result.exit_code == 0 and "went on" in result.stdout and "stages: proxy 60 (" in result.stderr
    found = json.loads(coevo("run", "l.toml", "--out", "two", "--json").stdout)
    assert [stage["name"] for stage in found["stages"]] == ["proxy", "short", "full"] and found["agreements"]


def test_explain_imports_the_folders_code_only_when_trusted(coevo: Coevo, finished: Path) -> None:
    assert "--trust" in coevo("explain", finished, "best").stdout
    result = coevo("explain", finished, "best", "--trust")
    assert "--trust" not in result.stdout
    widths = [
        str(value) for name, value in Run.open(finished).front().best().design.answers if name.startswith("width")
    ]
    assert "-".join(widths) in result.stdout.splitlines()[-1]  # the problem's drawing


def test_doctor(coevo: Coevo) -> None:  # the one test here that asks torch, where it is installed
    result = coevo("doctor")
    assert result.exit_code == 0, result.stderr
    for word in ("python", "platform", "cpu", "memory", "sqlite", "opens no port"):
        assert word in result.stdout
    found = json.loads(coevo("doctor", "--json").stdout)
    assert found["cpu"]["usable_cores"] >= 1 and found["folder"]["writable"] is True


@pytest.fixture
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "gpus", lambda: {"devices": [{"name": "GPU <0>", "memory_gb": 80.0}], "note": ""})


@pytest.mark.usefixtures("_without_torch")
def test_doctor_warns_of_a_network_file_system(coevo: Coevo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "file_system", lambda folder: "nfs4")
    assert "network file system" in coevo("doctor").stdout
    assert json.loads(coevo("doctor", "--json").stdout)["folder"]["network"] is True


@pytest.mark.usefixtures("_without_torch")
def test_doctor_names_what_an_extra_lacks(coevo: Coevo, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy<3,>=1.26", "no-such-package<3,>=2; extra == 'quantum'", "numpy>=1; extra == 'quantum'"]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: lines)
    found = doctor.extras()
    assert set(found) == {"quantum"} and found["quantum"]["packages"]["no-such-package"] is None
    assert found["quantum"]["packages"]["numpy"]
    shown = coevo("doctor").stdout
    assert "GPU <0>, 80 GB" in shown
    assert "missing no-such-package" in shown and "pip install 'coevo[quantum]'" in shown
