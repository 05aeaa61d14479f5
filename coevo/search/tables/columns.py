"""The columns of a study's table, and a row a trial: the one reading that the frame, CSV and Parquet share.

A first pass over the history settles the columns, because stages, metrics and choices are known only when all designs
were seen; a second pass gives the rows, one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coevo.errors import ConfigError
from coevo.search.canonical import text
from coevo.search.front import Archive
from coevo.search.tables.history import History, Told
from coevo.search.trial import Trial

INTEGER, REAL, TEXT, TRUTH, TIME = "integer", "real", "text", "truth", "time"
FIXED = {
    "index": INTEGER,
    "key": TEXT,
    "stage": TEXT,
    "state": TEXT,
    "on_front": TRUTH,
    "failure": TEXT,
    "violation": REAL,
    "origin": TEXT,
    "parents": TEXT,
    "seed": INTEGER,
    "how": TEXT,
    "cached_from": INTEGER,
    "evaluator": TEXT,
    "device": TEXT,
    "asked_at": TIME,
    "told_at": TIME,
    "cost_s": REAL,
}


@dataclass(frozen=True)
class Columns:
    """Every column's kind by its name, in the order of the table; `front` holds the indices on the front, `encoded`
    the choices whose answers are written as JSON."""

    kinds: Mapping[str, str]
    stages: tuple[str, ...]
    front: frozenset[int]
    encoded: frozenset[str]

    def rows(self, history: History) -> Iterator[list[Any]]:
        """A list a told trial, in the order of `kinds`; None where there is nothing. Times are in UTC."""
        names = list(self.kinds)
        for told in history.told():
            cells = self._cells(told)
            yield [cells.get(name) for name in names]

    def _cells(self, told: Told) -> dict[str, Any]:
        trial = told.trial
        origin = trial.design.origin
        cells: dict[str, Any] = {
            "index": trial.index,
            "key": trial.design.key,
            "stage": trial.stage,
            "state": state(trial),
            "on_front": trial.index in self.front,
            "failure": trial.outcome.failure,
            "violation": None if trial.score is None else trial.score.violation,
            "origin": origin.how if origin else None,
            "parents": json.dumps(list(origin.parents)) if origin else None,
            "seed": trial.seed,
            "how": trial.how or None,
            "cached_from": trial.cached_from,
            "evaluator": trial.evaluator,
            "device": trial.device,
            "asked_at": datetime.fromtimestamp(told.asked_at, UTC),
            "told_at": datetime.fromtimestamp(told.told_at, UTC),
            "cost_s": trial.total_cost_s,
        }
        for name, value in trial.outcome.metrics.items():
            cells[f"metric.{name}"] = value
        if len(self.stages) > 1:
            for result in trial.reached:
                cells[f"cost_s@{result.stage}"] = result.cost_s
                for name, value in result.metrics.items():
                    cells[f"metric.{name}@{result.stage}"] = value
        for name, answer in trial.design.answers:
            cells[f"choice.{name}"] = text(answer) if name in self.encoded else answer
        return cells


def state(trial: Trial) -> str:
    """ "told", "failed", or "infeasible" (a hard constraint is broken)."""
    if trial.score is None:
        return "failed"
    return "infeasible" if trial.score.violation > 0 else "told"


def survey(history: History) -> Columns:
    """Reads the whole history once and settles what its columns are.

    `metric.NAME` is the metric at the deepest stage that a design reached. Where there are several stages, each has its
    own: `metric.NAME@STAGE` and `cost_s@STAGE`, and `cost_s` is their sum. `choice.NAME` is an answer.
    ConfigError where two of these names are the same.
    """
    archive = Archive(len(history.stages) - 1)
    metrics = dict.fromkeys(history.goals.needed)
    staged: dict[str, dict[str, None]] = {stage: {} for stage in history.stages}
    choices: dict[str, set[str]] = {}
    for trial in history.trials():
        archive.add(trial)
        metrics.update(dict.fromkeys(trial.outcome.metrics))
        for result in trial.reached:
            staged[result.stage].update(dict.fromkeys(result.metrics))
        for name, answer in trial.design.answers:
            choices.setdefault(name, set()).add(_kind(answer))
    named = [(f"metric.{name}", REAL) for name in metrics]
    if len(history.stages) > 1:
        named += [(f"cost_s@{stage}", REAL) for stage in staged]
        named += [(f"metric.{name}@{stage}", REAL) for stage, names in staged.items() for name in names]
    kinds = {name: _settled(found) for name, found in choices.items()}
    named += [(f"choice.{name}", kind or TEXT) for name, kind in kinds.items()]
    columns = dict(FIXED)
    for name, kind in named:
        if name in columns:
            raise ConfigError(
                f"two columns of the table would be called {name!r}; rename a metric, a stage or a choice"
            )
        columns[name] = kind
    encoded = frozenset(name for name, kind in kinds.items() if kind is None)
    return Columns(columns, history.stages, frozenset(trial.index for trial in archive.trials), encoded)


def _kind(answer: Any) -> str:
    match answer:
        case bool():
            return TRUTH
        case int():
            return INTEGER if abs(answer) < 2**63 else "other"
        case float():
            return REAL
        case str():
            return TEXT
        case _:
            return "other"


def _settled(found: set[str]) -> str | None:
    """The one kind of a choice's answers; None where they are lists, or of several kinds, which only JSON holds."""
    if found == {INTEGER, REAL}:
        return REAL
    return next(iter(found)) if len(found) == 1 and "other" not in found else None
