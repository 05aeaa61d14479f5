"""How designs and trials are written into the store's rows and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from coevo.errors import CorruptRun
from coevo.search.design import Design
from coevo.search.evaluator import Outcome
from coevo.search.objectives import Goals
from coevo.search.store import Row
from coevo.search.trial import StageResult, Trial

NO_FILES: Mapping[str, Path] = {}


def asked_content(design: Design) -> str:
    """The origin, a line break, and the JSON of the answers, so that neither is parsed before it is needed."""
    origin = "" if design.origin is None else " ".join([design.origin.how, *map(str, design.origin.parents)])
    return f"{origin}\n{design.text}"


def design_of(space: str, row: Row) -> Design:
    """The design of an "asked" row; its key is not recomputed here (`verify` does that)."""
    origin, line_break, content = row.content.partition("\n")
    if row.key is None or not line_break:
        raise CorruptRun(f"event {row.sequence} asks a design without a key or without answers")
    return Design.stored(space, content, row.key, origin)


class InnerResult(NamedTuple):
    """What an evaluator (`id@version`) computed for a key, once and for all designs (`Context.memo`)."""

    evaluator: str
    key: Any
    value: Any


def inner_result_of(row: Row) -> InnerResult:
    """The inner result of a "memo" row."""
    try:
        label, _, key = (row.key or "").rpartition("\n")  # JSON text has no line break of its own
        return InnerResult(label, json.loads(key), json.loads(row.content))
    except ValueError as problem:
        raise CorruptRun(f"event {row.sequence} holds an inner result that cannot be read ({problem})") from None


def told_body(trial: Trial, folder: Path | None, cache_key: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"stage": trial.stage}
    if trial.outcome.failure is None:
        body["metrics"] = dict(trial.outcome.metrics)
    else:
        body["failure"] = trial.outcome.failure
    if trial.outcome.artifacts:
        body["artifacts"] = {name: _relative(path, folder) for name, path in trial.outcome.artifacts.items()}
    body["cost_s"] = round(trial.cost_s, 6)
    body["evaluator"], body["device"], body["seed"] = trial.evaluator, trial.device, trial.seed
    if trial.how:
        body["how"] = trial.how
    if trial.cached_from is not None:
        body["cached_from"] = trial.cached_from
    if trial.earlier:
        body["earlier"] = [[result.stage, dict(result.metrics), round(result.cost_s, 6)] for result in trial.earlier]
    if cache_key is not None:
        body["cache"] = cache_key
    return body


def trial_of(
    index: int, design: Design, body: dict[str, Any], goals: Goals, folder: Path | None, stages: Sequence[str]
) -> Trial:
    get = body.get
    stage, metrics, failure = body["stage"], get("metrics", {}), get("failure")
    artifacts: Mapping[str, Path] = NO_FILES
    if "artifacts" in body:
        artifacts = {name: (folder or Path()) / path for name, path in body["artifacts"].items()}
    return Trial(
        index,
        design,
        stage,
        Outcome(metrics, failure, artifacts),
        body["cost_s"],
        body["evaluator"],
        body["device"],
        body["seed"],
        None if failure is not None else goals.score(metrics, stages.index(stage)),
        get("cached_from"),
        get("how", ""),
        tuple(StageResult(*result) for result in body["earlier"]) if "earlier" in body else (),
    )


def trials_of(
    rows: Iterable[Row], space: str, goals: Goals, folder: Path | None, stages: Sequence[str]
) -> Iterator[Trial]:
    """Every told trial in the order of the indices. What is held back is what finished ahead of its turn."""
    designs: dict[int, Design] = {}
    ahead: dict[int, Trial] = {}
    turn = 0
    for row in rows:
        if row.kind == "asked" and row.trial is not None:
            designs[row.trial] = design_of(space, row)
        elif row.kind == "told" and row.trial is not None:
            if row.trial not in designs:
                raise CorruptRun(f"event {row.sequence} tells trial {row.trial}, which was never asked or told before")
            ahead[row.trial] = trial_of(row.trial, designs.pop(row.trial), row.body, goals, folder, stages)
            while turn in ahead:
                yield ahead.pop(turn)
                turn += 1
    for index in sorted(ahead):
        yield ahead[index]


def _relative(path: Path, folder: Path | None) -> str:
    if folder is not None and path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    return str(path)
