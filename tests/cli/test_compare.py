"""`coevo compare`: what it prints, its JSON, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Coevo = Callable[..., Result]


@pytest.fixture
def search(coevo: Coevo, tmp_path: Path) -> Callable[..., str]:
    def run(name: str, *sets: str, problem: str = "ladder_problems:problem") -> str:
        (tmp_path / "e.toml").write_text(f'problem = "{problem}"\n[search]\ntrials = 60\n[run]\nrunner = "inline"\n')
        words = [word for text in sets for word in ("--set", text)]
        result = coevo("run", "e.toml", "--out", name, *words)
        assert result.exit_code == 0, result.stderr
        return name

    return run


def test_two_runs(coevo: Coevo, search: Callable[..., str]) -> None:
    a, b = search("one"), search("two", "search.algorithm=random")
    result = coevo("compare", a, b)
    assert result.exit_code == 0, result.stderr
    for words in (
        "search.algorithm",
        "hypervolume at equal trials (60)",
        "hypervolume at equal seconds of search (",
        "the best on any front, to the common reference point (accuracy ",
        "one covers",
        "designs in common",
        "evaluation, all workers",
        "not which configuration is better",
    ):
        assert words in result.stdout, (words, result.stdout)
    assert "search.trials" not in result.stdout  # only what differs


def test_json(coevo: Coevo, search: Callable[..., str]) -> None:
    runs = [
        search(f"{name}{seed}", f"search.algorithm={name}", f"search.seed={seed}")
        for name in ("nsga2", "random")
        for seed in (0, 1)
    ]
    found = json.loads(coevo("compare", *runs, "--json").stdout)
    assert found["configurations"] == {"A": ["nsga20", "nsga21"], "B": ["random0", "random1"]}
    assert [run["seed"] for run in found["runs"]] == [0, 1, 0, 1]
    assert set(found["runs"][0]["quality"]) == {"final", "equal_trials", "equal_seconds", "equal_cost_s"}
    assert found["differing"]["search.algorithm"]["random1"] == "random"
    assert {entry["method"] for entry in found["differences"]} == {"paired t"}
    assert len(found["pairs"]) == 6 and found["equal"]["trials"] == 60
    assert set(found["reference"]) == {"accuracy", "latency_ms"} and found["verdict"]
    shown = coevo("compare", *runs).stdout
    for words in ("nsga20, nsga21", "0, 1", "95 % interval [", "(paired t)", "seeds like these"):
        assert words in shown, (words, shown)
    several = coevo("compare", *runs, search("nsga22", "search.seed=2")).stdout
    assert "mean (lowest to highest)" in several and " to " in several and "Welch's t" in several


def test_one_objective(coevo: Coevo, search: Callable[..., str]) -> None:
    a = search("one", problem="toy_problems:plain")
    b = search("two", "search.algorithm=random", problem="toy_problems:plain")
    shown = coevo("compare", a, b).stdout
    assert "best accuracy at equal trials (60)" in shown and "hypervolume" not in shown


def test_what_is_refused(coevo: Coevo, finished: Path, ladder: Path) -> None:
    for words, said in (
        ((finished, ladder), ("cannot be compared", "their space differs: toy/v1 and ladder/v1", "nothing in common")),
        ((finished,), ("at least two runs",)),
        ((finished, finished), ("are the same run",)),
        ((finished, "nowhere"), ("nowhere does not exist",)),
    ):
        result = coevo("compare", *words)
        assert result.exit_code == 2 and result.stdout == "" and "Traceback" not in result.stderr
        for word in said:
            assert word in result.stderr, result.stderr
    assert coevo("compare").exit_code == 2
