"""Reading back what was written: an exported folder against its digests, a run folder against itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coevo.errors import CoevoError, InputError
from coevo.search import memo, records, store
from coevo.search.design import Design
from coevo.search.export import DESIGN, MEASUREMENTS, SUMS, listed_files
from coevo.search.folder import sha256
from coevo.search.preparation import check as check_prepared
from coevo.search.problem import Problem
from coevo.search.run import Run

SHOWN = 20
"""How many problems of one kind are told one by one."""


@dataclass
class Verdict:
    """What was found: `problems` are wrong, `notes` were left unchecked, `checked` says what was looked at."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def take(self, problems: list[str]) -> None:
        """Adds problems of one kind, the first of them one by one."""
        self.problems += problems[:SHOWN]
        if len(problems) > SHOWN:
            self.problems.append(f"... and {len(problems) - SHOWN} more of this kind")


def problem_of(name: str, options: dict[str, Any], trust: bool) -> tuple[Problem | None, str]:
    """The problem that a folder names, or None and why not.

    A registered name is code that the user installed. "module:attribute" in a folder could name any code on this
    machine, so it is imported only where the caller trusts the folder.
    """
    from coevo.search.registry import load_problem

    if ":" in name and not trust:
        return None, f"its problem {name!r} names code to import; give --trust where you trust this folder"
    try:
        return load_problem(name, options), ""
    except Exception as error:  # whatever the import of somebody's package raises
        return None, f"its problem {name!r} cannot be loaded here: {error}"


def verify_export(folder: Path | str, trust: bool = False) -> Verdict:
    """Checks digests, missing and extra files, the design's key, its space, and what the problem's own check says."""
    folder = Path(folder)
    if not (folder / DESIGN).is_file() and not (folder / SUMS).is_file():
        raise InputError(f"{folder} is no exported design: it holds neither {DESIGN} nor {SUMS}")
    verdict = Verdict()
    _check_sums(folder, verdict)
    try:
        described = json.loads((folder / DESIGN).read_text(encoding="utf-8"))
        design = Design.from_json(described)
    except (OSError, ValueError, InputError) as error:
        verdict.problems.append(f"{DESIGN}: {error}")
        return verdict
    verdict.checked.append(f"design {design.key}")
    try:
        json.loads((folder / MEASUREMENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        verdict.problems.append(f"{MEASUREMENTS}: {error}")
    problem, why = problem_of(str(described.get("problem", "")), dict(described.get("options", {})), trust)
    if problem is None:
        verdict.notes.append(f"only digests and the key were checked: {why}")
        return verdict
    try:
        problem.space.build(design)
        verdict.checked.append(f"space {problem.space.id}")
    except CoevoError as error:
        verdict.problems.append(f"the space does not rebuild the design: {error}")
    if problem.verify is not None and verdict.ok:  # it reads files, which must be the right ones
        try:
            verdict.take([str(wrong) for wrong in problem.verify(folder)])
        except Exception as error:
            verdict.problems.append(f"the problem's own check failed: {type(error).__name__}: {error}")
        verdict.checked.append(f"the check of problem {problem.name!r}")
    return verdict


def _check_sums(folder: Path, verdict: Verdict) -> None:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        present = set(listed_files(folder)) - {SUMS}
    except (OSError, ValueError, CoevoError) as error:
        verdict.problems.append(f"{SUMS} cannot be checked: {error}")
        return
    wrong, stated = [], set()
    for number, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or name.startswith("/") or ".." in Path(name).parts:
            wrong.append(f"{SUMS}:{number} is no line of a digest and a file inside the folder: {line!r}")
            continue
        stated.add(name)
        if name not in present:
            wrong.append(f"{name} is missing")
        elif sha256(folder / name) != digest:
            wrong.append(f"{name} was altered")
    wrong += [f"{name} is extra: {SUMS} does not list it" for name in sorted(present - stated)]
    verdict.take(wrong)
    verdict.checked.append(f"{len(stated)} digests")


def verify_run(folder: Path | str, trust: bool = False, problem: Problem | None = None) -> Verdict:
    """Checks the database, every key, that the space rebuilds every design, prepared files, artefacts and exports."""
    run = Run.open(folder)
    verdict = Verdict()
    database = store.open_for_reading(run.path / store.FILE)
    try:
        found = [str(row[0]) for row in database.execute("PRAGMA integrity_check")]
    finally:
        database.close()
    verdict.take([f"{store.FILE}: {said}" for said in found if said != "ok"])
    verdict.checked.append("the database")
    if problem is None:
        problem, why = problem_of(run.config["problem"], dict(run.config.get("options", {})), trust)
        if problem is None:
            verdict.notes.append(f"the designs were not rebuilt: {why}")
    try:
        _check_designs(run, problem, verdict)
        _check_artifacts(run, verdict)
        _check_memo(run, verdict)
        check_prepared(run.path, run.prepared.get("artifacts", {}))
    except CoevoError as error:
        verdict.problems.append(str(error))
    for exported in sorted(run.path.glob("export*")):
        if (exported / DESIGN).is_file() or (exported / SUMS).is_file():
            inner = verify_export(exported, trust)
            verdict.problems += [f"{exported.name}: {wrong}" for wrong in inner.problems]
            verdict.checked.append(f"{exported.name}: {', '.join(inner.checked)}")
    return verdict


def _check_designs(run: Run, problem: Problem | None, verdict: Verdict) -> None:
    wrong: list[str] = []
    asked = 0
    seen: dict[str, int] = {}
    for row in run.rows():
        if row.kind != "asked" or row.trial is None:
            continue
        asked += 1
        stored = records.design_of(run.space_id, row)
        try:
            design = Design.from_json({"space": run.space_id, "answers": stored.answers})
        except (InputError, ValueError) as error:
            wrong.append(f"design {row.trial}: {error}")
            continue
        if design.key != row.key:
            wrong.append(f"design {row.trial}: its key is {design.key}, but {row.key} is on record")
        if seen.setdefault(design.key, row.trial) != row.trial:
            wrong.append(f"design {row.trial} repeats design {seen[design.key]}")
        if problem is not None:
            try:
                problem.space.build(design)
            except CoevoError as error:
                wrong.append(f"design {row.trial}: {error}")
    verdict.take(wrong)
    verdict.checked.append(f"{asked} designs" + ("" if problem is None else f", rebuilt by space {problem.space.id}"))


def _check_memo(run: Run, verdict: Verdict) -> None:
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for row in run.rows():
        if row.kind != "memo" or row.key is None:
            continue
        try:
            result = records.inner_result_of(row)
        except CoevoError as error:
            wrong.append(str(error))
            continue
        what = f"event {row.sequence}, {memo.shown(row.key)}"
        if memo.name_of(result.evaluator, result.key) != row.key:
            wrong.append(f"{what}: the key is not written as canonical JSON")
        if result.evaluator.partition(" at budget ")[0] not in run.config["recorded"]["evaluators"]:
            wrong.append(f"{what}: {result.evaluator!r} is no evaluator of this run")
        if seen.setdefault(row.key, row.sequence) != row.sequence:
            wrong.append(f"{what} repeats event {seen[row.key]}")
    verdict.take(wrong)
    if seen:
        verdict.checked.append(f"{len(seen)} inner results")


def _check_artifacts(run: Run, verdict: Verdict) -> None:
    verdict.take(
        [
            f"trial {trial.index}: its artefact {name!r} is gone: {path}"
            for trial in run.trials()
            for name, path in trial.outcome.artifacts.items()
            if not path.exists()
        ]
    )
