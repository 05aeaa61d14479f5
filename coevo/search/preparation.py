"""What a problem makes once a run, before its first stage, and the digests that hold it to that ever after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from coevo.errors import CorruptRun, InputError
from coevo.search.folder import sha256, sync
from coevo.search.problem import Problem, WorkContext

Entries = dict[str, dict[str, str]]
FOLDER = "prepared"


def make(
    problem: Problem, run: Path, seed: int, progress: Callable[[float, float, str], None]
) -> tuple[dict[str, Path], Entries]:
    """Calls `problem.prepare` in the run's folder for it; the files by name, and their paths and digests to record."""
    assert problem.prepare is not None
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    made = {name: Path(path) for name, path in problem.prepare(WorkContext(folder, seed, progress=progress)).items()}
    home = folder.resolve()
    entries = {}
    for name, path in made.items():
        if not path.is_file() or not path.resolve().is_relative_to(home):
            raise InputError(f"prepare of {problem.name!r} names {name!r} as {path}, which is no file in {folder}")
        entries[name] = {"path": path.resolve().relative_to(home).as_posix(), "sha256": sha256(path)}
    sync(made.values())
    return made, entries


def check(run: Path, entries: Mapping[str, Mapping[str, str]]) -> dict[str, Path]:
    """The prepared files of a run folder; CorruptRun where one is gone or was altered."""
    found = {}
    for name, entry in entries.items():
        path = run / FOLDER / entry["path"]
        if not path.is_file():
            raise CorruptRun(f"the prepared artefact {name!r} is gone: {path}. Restore it, or start a new run")
        if sha256(path) != entry["sha256"]:
            raise CorruptRun(f"the prepared artefact {name!r} was altered: {path}. Restore it, or start a new run")
        found[name] = path
    return found
