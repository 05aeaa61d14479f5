"""What a study may begin with: designs that are asked first, and trials of another run, told and not paid for again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError, CorruptRun, InputError, RunFolderError
from coevo.search import preparation
from coevo.search.design import Design
from coevo.search.events import Note
from coevo.search.export import DESIGN
from coevo.search.folder import RunFolder, flat, without_none
from coevo.search.ledger import Ledger
from coevo.search.objectives import Goals
from coevo.search.problem import Problem
from coevo.search.run import Run
from coevo.search.store import FILE
from coevo.search.trial import Trial

Source = Design | Mapping[str, Any] | Path | str


@dataclass(frozen=True)
class WarmStart:
    """`designs` are to be asked first, `trials` to be told; `prepared` are the folder and the digests of the files that
    the trials were judged by. `differences` is what a person should know about the other run."""

    designs: Sequence[Design] = ()
    trials: Sequence[Trial] = ()
    prepared: tuple[Path, preparation.Entries] | None = None
    differences: Sequence[str] = ()
    source: str = ""

    def begin(self, ledger: Ledger, folder: RunFolder) -> list[Note]:
        """Takes it all over in one commit, so that a resumed study never does it again; gives what was noted."""
        if self.prepared is not None:
            take_prepared(self.prepared, folder.path)
            body = {"artifacts": self.prepared[1], "seconds": 0.0, "from": str(self.prepared[0])}
            folder.store.append("prepared", None, body)
            ledger.prepared = self.prepared[1]
        for trial in self.trials:
            ledger.add(trial)
        for design in self.designs:
            ledger.enqueue(design)
        notes = [Note("warning", text) for text in self.differences]
        if self.designs:
            notes.insert(0, Note("info", f"{len(self.designs)} designs are enqueued and come first"))
        if self.trials:
            notes.insert(0, Note("info", f"{len(self.trials)} trials were taken over from {self.source}"))
        for note in notes:
            folder.store.append("note", None, {"level": note.level, "text": note.text})
        folder.store.commit()
        return notes


def said(source: Source) -> str:
    """What run.toml says about an enqueued design: the path it came from, else its answers."""
    if isinstance(source, Design):
        return source.text
    return json.dumps(dict(source)) if isinstance(source, Mapping) else str(source)


def gather(
    problem: Problem, goals: Goals, device: str, seed: int, tell: Path | str | None, enqueue: Sequence[Source]
) -> WarmStart:
    """Reads and checks it all; InputError where something does not belong to this problem. Nothing is written.

    `tell` is a run folder whose trials are taken over with their outcomes: it must have searched the same problem with
    the same options and evaluators. `enqueue` holds designs, answers by name, exported designs, and run folders, of
    which the front is taken; they only have to belong to the same space.
    """
    known: dict[bytes, Design] = {}
    for source in enqueue:
        for design in _designs(source, problem):
            known.setdefault(design.digest, design)
    if tell is None:
        return WarmStart(list(known.values()))
    run = Run.open(tell)
    _require_same_judges(run, problem, goals)
    trials = [trial for trial in run.trials() if not trial.how]
    if not trials:
        raise ConfigError(f"warm start from {tell}: the run holds no trial that could be taken over")
    differences = _devices(trials, problem, device, run.path)
    told = {trial.design.digest for trial in trials}
    designs = [design for digest, design in known.items() if digest not in told]
    prepared = None
    if problem.prepare is not None:
        entries = run.prepared.get("artifacts")
        if entries is None:
            raise CorruptRun(f"{run.path} holds trials and no record of what they were prepared with")
        preparation.check(run.path, entries)
        prepared = (run.path / preparation.FOLDER, entries)
        if run.config["search"].get("seed") != seed:
            differences.append(
                f"what the trials were judged by was prepared with seed {run.config['search'].get('seed')} and is "
                f"taken over; this study's seed {seed} decides the designs alone"
            )
    return WarmStart(designs, trials, prepared, differences, str(tell))


def take_prepared(source: tuple[Path, preparation.Entries], run: Path) -> None:
    """Copies prepared files into a run folder, all or nothing, and checks their digests."""
    folder, entries = source
    target, partial = run / preparation.FOLDER, run / f".{preparation.FOLDER}.part"
    shutil.rmtree(partial, ignore_errors=True)
    for entry in entries.values():
        copy = partial / entry["path"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / entry["path"], copy)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    preparation.check(run, entries)


def _designs(source: Source, problem: Problem) -> list[Design]:
    space = problem.space
    if isinstance(source, Design):
        found = [source]
    elif isinstance(source, Mapping):
        found = [space.design(source)]
    else:
        path = Path(source)
        if (path / FILE).is_file():
            run = Run.open(path)
            _require_same_space(run, problem)
            found = [trial.design for trial in run.front()]
            if not found:
                raise ConfigError(f"enqueue {path}: the front of this run is empty")
        else:
            found = [_exported(path)]
    for design in found:
        if design.space != space.id:
            raise ConfigError(f"enqueue: design {design.key[:8]} is of space {design.space!r}, expected {space.id!r}")
        grown = space.replay(design)
        if grown.refusal is not None:
            raise ConfigError(f"enqueue: design {design.key[:8]} is not valid here: {grown.refusal.reason}")
    return found


def _exported(path: Path) -> Design:
    file = path / DESIGN if path.is_dir() else path
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(
            f"enqueue: {path} is neither a run folder nor an exported design (it holds no {FILE} and no {DESIGN})"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"enqueue: {file} cannot be read as a design: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"enqueue: {file} is no design; expected an object with 'space' and 'answers'")
    return Design.from_json(found)


def _require_same_space(run: Run, problem: Problem) -> None:
    if run.space_id != problem.space.id:
        raise ConfigError(
            f"{run.path} searched space {run.space_id!r} and this study searches {problem.space.id!r}: "
            "a design of one is none of the other"
        )


def _require_same_judges(run: Run, problem: Problem, goals: Goals) -> None:
    _require_same_space(run, problem)
    recorded = run.config["recorded"]
    ours: dict[str, Any] = {
        "problem": problem.loaded_as or problem.name,
        "options": without_none(problem.options),
        "stages": [stage.name for stage in problem.stages],
        "evaluators": [stage.evaluator.label for stage in problem.stages],
    }
    theirs = {
        "problem": run.config.get("problem"),
        "options": run.config.get("options", {}),
        "stages": list(recorded.get("stages", [])),
        "evaluators": list(recorded.get("evaluators", [])),
    }
    before, now = flat(theirs), flat(ours)
    changed = [
        f"{name} was {before.get(name, 'absent')!r} there and is {now.get(name, 'absent')!r} here"
        for name in sorted(before.keys() | now.keys())
        if before.get(name, "absent") != now.get(name, "absent")
    ]
    if changed:
        raise ConfigError(
            f"the outcomes of {run.path} mean something else: {'; '.join(changed)}. Its designs can still be "
            "evaluated anew: enqueue the run instead"
        )
    for trial in run.trials():
        missing = [name for name in goals.needed if trial.outcome.ok and name not in trial.outcome.metrics]
        if missing:
            raise ConfigError(
                f"trial {trial.index} of {run.path} has no metric {missing[0]!r}, which this study needs "
                f"(it has: {', '.join(sorted(trial.outcome.metrics))}). Enqueue the run instead"
            )


def _devices(trials: Sequence[Trial], problem: Problem, device: str, path: Path) -> list[str]:
    others = sorted({trial.device for trial in trials} - {device})
    if not others:
        return []
    said = f"{path} was evaluated on {', '.join(others)}; this machine is {device}"
    measuring = [stage.evaluator.label for stage in problem.stages if stage.evaluator.measures_device]
    if measuring:
        raise ConfigError(
            f"{said}. {', '.join(measuring)} measures the device, and figures of two devices never share a front. "
            "Enqueue the run instead, so that its designs are measured here"
        )
    return [said]
