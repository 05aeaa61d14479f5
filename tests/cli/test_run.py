"""`coevo run` and `coevo resume`, from the file to the report and the export."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from coevo.search.run import Run

Coevo = Callable[..., Result]


def test_a_run_prepares_searches_reports_and_exports(coevo: Coevo, experiment: Path) -> None:
    result = coevo("run", experiment, "--out", "here")
    assert result.exit_code == 0, result.stderr
    for made in (
        "run.toml",
        "env.json",
        "study.sqlite",
        "report/index.html",
        "export/design.json",
        "export/SHA256SUMS",
    ):
        assert (Path("here") / made).is_file(), made
    assert "accuracy" in result.stdout and "min, ms" in result.stdout
    assert "here/report/index.html" in result.stdout and "here/export" in result.stdout
    assert "prepare" in result.stdout and "search" in result.stdout  # the seconds of each phase
    assert "40 of 40 trials" in result.stderr and "run folder: here" in result.stderr


def test_json_is_one_object_and_progress_stays_off_standard_output(coevo: Coevo, experiment: Path) -> None:
    result = coevo("run", experiment, "--out", "here", "--json")
    found = json.loads(result.stdout)
    assert found["exit_code"] == 0 and found["run"] == "here"
    assert found["status"]["told"] == 40 and found["status"]["finished"] == "trials"
    assert {"key", "index", "metrics", "answers"} <= set(found["front"][0])
    assert {"prepare", "search", "report", "export", "all"} <= set(found["seconds"])
    assert found["export"] == "here/export"


def test_the_export_is_the_best_by_the_first_objective(coevo: Coevo, experiment: Path) -> None:
    result = coevo("run", experiment, "--out", "here", "--json")
    front = json.loads(result.stdout)["front"]
    exported = json.loads(Path("here/export/design.json").read_text())
    assert exported["key"] == max(front, key=lambda row: row["metrics"]["accuracy"])["key"]


def test_the_folder_has_a_name_of_its_own(coevo: Coevo, experiment: Path) -> None:
    for _ in range(2):
        assert coevo("run", experiment, "--set", "run.export=none").exit_code == 0
    names = [path.name for path in Path("runs").iterdir()]
    assert len(names) == 2 and all("-toy-" in name for name in names)


def test_overrides_reach_the_study(coevo: Coevo, experiment: Path) -> None:
    words = ("--set", "search.trials=12", "--set", "search.seed=7", "--set", "options.note=other words")
    assert coevo("run", experiment, *words, "--out", "here").exit_code == 0
    config = tomllib.loads(Path("here/run.toml").read_text())
    assert config["search"]["trials"] == 12 and config["search"]["seed"] == 7
    assert config["options"]["note"] == "other words" and config["search"]["population"] == 10


def test_workers_and_runner_have_words_of_their_own(coevo: Coevo, experiment: Path) -> None:
    result = coevo("run", experiment, "--runner", "local", "--workers", "2", "--out", "here")
    assert result.exit_code == 0, result.stderr
    assert tomllib.loads(Path("here/run.toml").read_text())["run"] == {
        "workers": 2,
        "runner": "local",
        "durability": "normal",
        "export": "best",
    }


def test_a_folder_that_is_in_use_is_never_written(coevo: Coevo, experiment: Path, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    result = coevo("run", experiment, "--out", finished)
    assert result.exit_code == 2 and f"coevo resume {finished}" in result.stderr
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}


def test_nothing_feasible_is_exit_code_3_and_says_why(coevo: Coevo, experiment: Path) -> None:
    words = ("--set", 'constraints.latency_ms="<= -1"', "--out", "here")
    result = coevo("run", experiment, *words)
    assert result.exit_code == 3
    assert "no feasible design among 40 trials" in result.stderr and "a constraint is broken" in result.stderr
    assert (Path("here") / "report" / "index.html").is_file() and not (Path("here") / "export").exists()


def test_a_space_without_valid_designs_is_exit_code_3(coevo: Coevo, experiment: Path) -> None:
    result = coevo(
        "run", experiment, "--set", "problem=toy_problems:impossible", "--set", "options={}", "--out", "here"
    )
    assert result.exit_code == 3 and "nothing is good enough" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_small_space_that_is_used_up_is_done(coevo: Coevo, experiment: Path) -> None:
    result = coevo(
        "run", experiment, "--set", "problem=toy_problems:small", "--set", "options={}", "--out", "here", "--json"
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["status"]["finished"] == "exhausted" and found["status"]["told"] == 6
    assert found["export"] is None  # the problem offers none


def test_an_evaluator_that_cannot_be_set_up_says_so(coevo: Coevo, experiment: Path) -> None:
    result = coevo("run", experiment, "--set", "problem=toy_problems:bad_setup", "--set", "options={}", "--out", "here")
    assert result.exit_code == 1
    assert "the device is on fire" in result.stderr and "Traceback" not in result.stderr


def test_an_export_that_fails_costs_nothing_but_itself(coevo: Coevo, experiment: Path) -> None:
    words = ("--set", "problem=toy_problems:half_export", "--set", "options={}", "--out", "here")
    result = coevo("run", experiment, *words)
    assert result.exit_code == 1 and "the export failed: RuntimeError: out of luck" in result.stderr
    assert "coevo export here best -o here/export" in result.stderr and "Traceback" not in result.stderr
    assert "accuracy" in result.stdout and "here/report/index.html" in result.stdout  # what was found is shown
    assert not list(Path("here").glob("*export*"))


def test_debug_shows_the_traceback(coevo: Coevo, experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COEVO_DEBUG", "1")
    result = coevo("run", experiment, "--set", "problem=toy_problems:bad_setup", "--set", "options={}", "--out", "here")
    assert result.exit_code == 1 and "Traceback" in result.stderr


def test_resume_goes_on_under_a_larger_budget(coevo: Coevo, finished: Path) -> None:
    first = [trial.design.key for trial in Run.open(finished).trials()]
    result = coevo("resume", finished, "--set", "search.trials=60", "--json")
    assert result.exit_code == 0, result.stderr
    keys = [trial.design.key for trial in Run.open(finished).trials()]
    assert len(keys) == 60 and keys[:40] == first


def test_resuming_a_finished_run_pays_nothing_again(coevo: Coevo, finished: Path) -> None:
    exported = (finished / "export" / "SHA256SUMS").stat().st_mtime_ns
    result = coevo("resume", finished, "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["status"]["told"] == 40
    assert (finished / "export" / "SHA256SUMS").stat().st_mtime_ns == exported


def test_a_better_design_of_a_resumed_run_stands_beside_the_first_export(coevo: Coevo, finished: Path) -> None:
    before = json.loads((finished / "export" / "design.json").read_text())["key"]
    result = coevo("resume", finished, "--set", "search.trials=400", "--json")
    found = json.loads(result.stdout)
    after = json.loads((Path(found["export"]) / "design.json").read_text())["key"]
    assert after == found["front"][0]["key"]
    assert json.loads((finished / "export" / "design.json").read_text())["key"] == before


def test_resume_refuses_what_would_be_another_study(coevo: Coevo, finished: Path) -> None:
    result = coevo("resume", finished, "--set", "search.seed=3")
    assert result.exit_code == 2 and "search.trials" in result.stderr and "another run" in result.stderr
