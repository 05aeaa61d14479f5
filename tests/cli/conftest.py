"""The command, run in this process, on small problems that are named like a user's own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

PROBLEMS = Path(__file__).parent / "problems"
ROOT = Path(__file__).resolve().parents[2]

EXPERIMENT = """\
problem = "toy_problems:problem"

[options]
note = "hello"

[search]
population = 10
trials = 40

[run]
runner = "inline"
"""


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own as the current one, and the problems on the path of this process and of its children."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(PROBLEMS))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(PROBLEMS), str(ROOT))))
    monkeypatch.delenv("COEVO_DEBUG", raising=False)


@pytest.fixture
def coevo() -> Callable[..., Result]:
    """Runs the command with these words; its streams and exit code come back."""
    from coevo.cli.app import app

    def call(*words: str | Path) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture
def finished(coevo: Callable[..., Result], experiment: Path, tmp_path: Path) -> Path:
    """A run folder of a search that ended."""
    result = coevo("run", experiment, "--out", "finished", "--json")
    assert result.exit_code == 0, result.stderr
    return tmp_path / "finished"


def answer(result: Result) -> Any:
    """The one JSON object on standard output."""
    return json.loads(result.stdout)
