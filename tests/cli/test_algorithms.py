"""Every algorithm by its name in a TOML file: it runs with its options, and its mistakes are said before anything."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from coevo.search.run import Run

Coevo = Callable[..., Result]
ONE = '[objectives]\naccuracy = "max"\n'


def write(path: Path, search: str, objectives: str = "") -> Path:
    path.write_text(
        f'problem = "toy_problems:problem"\n{objectives}[search]\ntrials = 40\n{search}[run]\nrunner = "inline"\n'
    )
    return path


@pytest.mark.parametrize(
    ("search", "objectives"),
    [
        ('algorithm = "cmaes"\npopulation = 8\nsigma = 0.2\nrestarts = "none"\n', ONE),
        ('algorithm = "nsga3"\npopulation = 20\npartitions = 5\n', ""),
        ('algorithm = "local_search"\npatience = 6\nstarts = 3\n', ONE),
        ('algorithm = "islands"\ncount = 2\ninner = "nsga2"\noptions = {population = 10}\n', ""),
    ],
)
def test_an_algorithm_with_its_options(coevo: Coevo, experiment: Path, search: str, objectives: str) -> None:
    if "cmaes" in search:
        pytest.importorskip("cmaes")
    done = coevo("run", write(experiment, search, objectives), "--out", "here")
    assert done.exit_code == 0, done.stderr
    assert Run.open("here").status["told"] == 40
    again = coevo("resume", "here", "--set", "search.trials=60")
    assert again.exit_code == 0, again.stderr
    run = Run.open("here")
    assert run.status["told"] == 60 and f'algorithm = "{run.config["search"]["algorithm"]}"' in search


@pytest.mark.parametrize(
    ("search", "objectives", "words"),
    [
        ('algorithm = "cmaes"\n', "", ("'cmaes' has one objective, got 2", "take 'nsga2'")),
        ('algorithm = "cmaes"\nsigma = 3.0\n', ONE, ("toy.toml:", "sigma is a share of each range", "got 3.0")),
        ('algorithm = "cmaes"\nrestarts = "bipop"\n', ONE, ("toy.toml:", "restarts", "'ipop' or 'none'")),
        ('algorithm = "cmaes"\npopulatoin = 9\n', ONE, ("toy.toml:", "'populatoin'", "Did you mean 'population'?")),
        ('algorithm = "nsga3"\n', ONE, ("'nsga3' spreads over several objectives",)),
        ('algorithm = "nsga3"\npartitions = 99\ninner_partitions = 3\n', "", ("reference directions", "got 100")),
        ('algorithm = "local_search"\npatience = "long"\n', ONE, ("toy.toml:", "patience", "expected an integer")),
        ('algorithm = "islands"\ninner = "cmaes"\n', ONE, ("toy.toml:", "unknown inner algorithm 'cmaes'")),
    ],
)
def test_mistakes_are_said_before_anything_is_written(
    coevo: Coevo, experiment: Path, search: str, objectives: str, words: tuple[str, ...]
) -> None:
    pytest.importorskip("cmaes")
    refused = coevo("run", write(experiment, search, objectives), "--out", "here")
    assert refused.exit_code == 2, (refused.exit_code, refused.stderr)
    for word in words:
        assert word in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr and not Path("here").exists()


def test_a_missing_library_is_named_with_its_extra(
    coevo: Coevo, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    refused = coevo("run", write(experiment, 'algorithm = "cmaes"\n', ONE), "--out", "here")
    assert refused.exit_code == 2 and "pip install 'coevo[cmaes]'" in refused.stderr
    assert not Path("here").exists()
