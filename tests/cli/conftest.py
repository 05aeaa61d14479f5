"""The command, run in this process, on small problems that are named like a user's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

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


LADDER = """\
problem = "ladder_problems:problem"

[search]
population = 16
trials = 120

[run]
runner = "inline"
"""


@pytest.fixture(scope="session")
def _masters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Searches that ended, for all tests of this process to copy."""
    from coevo.cli.app import app

    home = tmp_path_factory.mktemp("masters")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.syspath_prepend(str(PROBLEMS))
        for name, experiment in (("finished", EXPERIMENT), ("ladder", LADDER)):
            (home / f"{name}.toml").write_text(experiment)
            result = CliRunner().invoke(app, ["run", f"{name}.toml", "--out", name, "--json"])
            assert result.exit_code == 0, result.stderr
    return home


@pytest.fixture
def finished(_masters: Path, tmp_path: Path) -> Path:
    """A run folder of a search that ended; a run folder may be moved and copied."""
    return shutil.copytree(_masters / "finished", tmp_path / "finished")


@pytest.fixture
def ladder(_masters: Path, tmp_path: Path) -> Path:
    """The same of a search in three stages."""
    return shutil.copytree(_masters / "ladder", tmp_path / "ladder")
