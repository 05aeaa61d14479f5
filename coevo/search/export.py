"""Taking a design home: an export is whole or it does not exist, and says where its numbers come from.

An exported folder holds what `Problem.export` wrote, and beside it `design.json` (space, answers, key),
`measurements.json` (numbers with units, and their provenance), `README.txt` and `SHA256SUMS` (`sha256sum -c` reads it).
`coevo.search.verify` reads it back.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coevo.errors import CoevoError, InputError
from coevo.search import environment
from coevo.search.design import Design
from coevo.search.folder import sha256, sync, without_none
from coevo.search.preparation import check as check_prepared
from coevo.search.problem import Problem, WorkContext
from coevo.search.run import Run
from coevo.search.trial import Trial

DESIGN, MEASUREMENTS, README, SUMS = "design.json", "measurements.json", "README.txt", "SHA256SUMS"
FORMAT = 1
Progress = Callable[[float, float, str], None]


def pick_trial(run: Run, key: str) -> Trial:
    """The trial whose key begins with `key`; "best" is the best by the first objective. InputError where none does."""
    return run.front().best() if key == "best" else run.find(key)


def export_design(
    run: Run,
    which: Trial | str,
    folder: Path | str,
    *,
    problem: Problem | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Exports a design of a run into a new folder; returns what `measurements.json` holds.

    `which` is a trial, a key's beginning or "best". The prepared files are checked by their digests first. InputError
    where the folder is not empty, the problem offers no export, or the trial failed; CorruptRun for a wrong digest.
    """
    trial = which if isinstance(which, Trial) else pick_trial(run, which)
    if not trial.outcome.ok:
        raise InputError(f"design {trial.design.key[:12]} failed ({trial.outcome.failure}): there is nothing to export")
    problem = problem if problem is not None else run.problem()
    target = _target(folder)
    artifacts = check_prepared(run.path, run.prepared.get("artifacts", {}))
    units = {name: unit for stage in problem.stages for name, unit in stage.evaluator.metrics.items()}
    env = run.env
    provenance = {
        "run": run.config,
        "trial": {"index": trial.index, "seed": trial.seed, "stage": trial.stage, "cost_s": trial.cost_s},
        "evaluator": trial.evaluator,
        "device": env.get("devices", {}).get(trial.device, trial.device),
        "searched_with": {"packages": env.get("packages", {}), "commit": env.get("commit")},
        "exported_with": {"packages": environment.packages(), "commit": environment.commit()},
    }
    seed = run.config.get("search", {}).get("seed", 0)
    return write_export(
        problem,
        trial.design,
        target,
        seed=seed,
        artifacts=artifacts,
        measured=trial.outcome.metrics,
        units=units,
        provenance=provenance,
        progress=progress,
    )


def write_export(
    problem: Problem,
    design: Design,
    folder: Path | str,
    *,
    seed: int = 0,
    artifacts: Mapping[str, Path] | None = None,
    measured: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Exports any design of a problem, one without a run too. Everything is written into a neighbour of `folder` that
    takes its name at the end, so that half an export never looks whole."""
    if problem.export is None:
        raise InputError(f"problem {problem.name!r} offers no export")
    target = _target(folder)
    part = target.parent / f".{target.name}.part-{secrets.token_hex(4)}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir()
    except OSError as error:
        raise InputError(f"{target} cannot be made ({error.strerror}); give a folder that you may write") from None
    try:
        context = WorkContext(part, seed, artifacts, measured, progress)
        numbers = problem.export(design, context)
        measurements = {
            "format": FORMAT,
            "search": {
                name: {"value": _finite(value), "unit": (units or {}).get(name, "")}
                for name, value in (measured or {}).items()
            },
            "export": {str(name): _finite(value) for name, value in (numbers or {}).items()},
            "provenance": without_none(provenance or {}),
        }
        _write_ours(part, problem, design, measurements)
        if target.is_dir():
            target.rmdir()  # it is empty, as _target saw; some systems do not rename onto a folder
        os.rename(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return measurements


def listed_files(folder: Path) -> list[str]:
    """Every file below `folder`, as a sorted relative name; CoevoError for what is no plain file."""
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise CoevoError(f"{name} is no plain file: an export holds files and folders alone")
        if path.is_file():
            if any(ord(character) < 32 or character == "\\" for character in name):
                raise CoevoError(f"the file name {name!r} cannot stand in {SUMS}; use plain characters")
            names.append(name)
    return names


def _target(folder: Path | str) -> Path:
    target = Path(folder).absolute()
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InputError(f"{target} is in the way; an export makes a folder of its own")
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target} is not empty; an export never overwrites anything, give a new folder")
    return target


def _write_ours(part: Path, problem: Problem, design: Design, measurements: Mapping[str, Any]) -> None:
    for name in (DESIGN, MEASUREMENTS, README, SUMS):
        if (part / name).exists():
            raise CoevoError(
                f"the export of problem {problem.name!r} wrote {name}, which coevo writes itself; rename it"
            )
    described = {
        "format": FORMAT,
        "problem": problem.loaded_as or problem.name,
        "options": without_none(problem.options),
        **design.to_json(),
    }
    _dump(part / DESIGN, described)
    _dump(part / MEASUREMENTS, measurements)
    theirs = [name for name in listed_files(part) if name not in (DESIGN, MEASUREMENTS)]
    (part / README).write_text(_readme(problem, design, theirs), encoding="utf-8")
    names = listed_files(part)
    sums = "".join(f"{sha256(part / name)}  {name}\n" for name in names)
    (part / SUMS).write_text(sums, encoding="utf-8")
    sync(part / name for name in [*names, SUMS])


def _readme(problem: Problem, design: Design, theirs: list[str]) -> str:
    listed = "\n".join(f"    {name}" for name in theirs) or "    (none)"
    about = f"{problem.description.strip()}\n\n" if problem.description.strip() else ""
    return f"""A design found by coevo
key      {design.key}
space    {design.space}
problem  {problem.loaded_as or problem.name}

{about}{DESIGN} holds the design: the answer to every choice of the space.
{MEASUREMENTS} holds its numbers with their units: those of the search, those of this export, and where they come from.
Written by the problem's own export:
{listed}

To check that nothing is missing or altered:
    sha256sum -c {SUMS}
    coevo verify .
"""


def _dump(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> float | int | None:
    """JSON has no NaN: a number that is none is written as null."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = float(value)
    return number if math.isfinite(number) else None
