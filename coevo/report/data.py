"""What the report's page is handed: a run as plain JSON columns, small enough to stand in one file."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coevo.report.history import histories
from coevo.search.objectives import Goals
from coevo.search.trial import Trial

FRONT, DOMINATED, INFEASIBLE, FAILED = range(4)
ANSWER_CELLS = 1_500_000
"""How many answers (designs x choices) a page carries; beyond that only the front and an even share keep theirs."""
SHOWN_CHOICES = 10
MANY_VALUES = 12


@dataclass(frozen=True)
class Table:
    """A run's designs, one row each, at the deepest stage that each one reached."""

    trials: tuple[Trial, ...]
    states: tuple[int, ...]
    front: tuple[int, ...]
    """Rows of the front, best first by the first objective."""
    goals: Goals
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that was measured or wanted, those that are wanted first."""
        names = dict.fromkeys(self.goals.needed)
        for trial in self.trials:
            names.update(dict.fromkeys(trial.outcome.metrics))
        return tuple(names)

    def count(self, state: int) -> int:
        return self.states.count(state)


def tabulate(trials: Iterable[Trial], front: Iterable[Trial], goals: Goals, units: Mapping[str, str]) -> Table:
    """One row a design. Later trials of an index are deeper stages and replace the earlier ones."""
    deepest: dict[int, Trial] = {}
    for trial in trials:
        deepest[trial.index] = trial
    rows = tuple(deepest[index] for index in sorted(deepest))
    members = {trial.index for trial in front}
    states = tuple(_state(trial, members) for trial in rows)
    first = goals.objectives[0]
    sign = -1.0 if first.direction == "max" else 1.0
    best = sorted(
        (row for row, state in enumerate(states) if state == FRONT),
        key=lambda row: sign * rows[row].outcome.metrics.get(first.metric, math.inf),
    )
    return Table(rows, states, tuple(best), goals, dict(units))


def _state(trial: Trial, front: set[int]) -> int:
    if trial.score is None or not trial.outcome.ok:
        return FAILED
    if trial.score.violation > 0:
        return INFEASIBLE
    return FRONT if trial.index in front else DOMINATED


def failure_counts(table: Table) -> list[tuple[str, int]]:
    """Why designs failed, the most frequent reason first; reasons that differ in numbers alone count together."""
    counts: Counter[str] = Counter()
    for trial in table.trials:
        if trial.outcome.failure:
            counts[_shape(trial.outcome.failure)] += 1
    return counts.most_common()


def _shape(reason: str) -> str:
    line = reason.strip().split("\n")[0]
    shape, digits = [], False
    for character in line:
        if character.isdigit():
            if not digits:
                shape.append("#")
            digits = True
        else:
            shape.append(character)
            digits = False
    return "".join(shape).replace("#.#", "#")


def island(table: Table) -> dict[str, Any]:
    """The JSON that the page's script reads."""
    trials = table.trials
    stages = list(dict.fromkeys(trial.stage for trial in trials))
    reasons = list(dict.fromkeys(_line(trial.outcome.failure) for trial in trials))
    stage_code, reason_code = ({text: code for code, text in enumerate(texts)} for texts in (stages, reasons))
    answers, kept = _answers(table)
    return {
        "objectives": [{"metric": goal.metric, "direction": goal.direction} for goal in table.goals.objectives],
        "metrics": [{"name": name, "unit": table.units.get(name, "")} for name in table.metrics],
        "stages": stages,
        "reasons": reasons,
        "trials": {
            "index": [trial.index for trial in trials],
            "key": [trial.design.key for trial in trials],
            "stage": [stage_code[trial.stage] for trial in trials],
            "state": list(table.states),
            "cost": [_rounded(trial.cost_s) for trial in trials],
            "how": [trial.how for trial in trials],
            "cached": [-1 if trial.cached_from is None else trial.cached_from for trial in trials],
            "reason": [reason_code[_line(trial.outcome.failure)] for trial in trials],
            "metrics": {
                name: [_rounded(trial.outcome.metrics.get(name)) for trial in trials] for name in table.metrics
            },
        },
        "answers": {"rows": kept, "columns": answers},
        "parallel": _parallel(table, answers, kept),
        "history": histories(table.trials, table.goals),
    }


def _line(reason: str | None) -> str:
    """A reason as the table shows it: the first lines of a long one."""
    text = (reason or "").strip()
    return text if len(text) <= 600 else text[:600] + " …"


def _rounded(value: float | None) -> float | None:
    """Seven significant digits: what a reader can use, in half the bytes. What is no finite number is absent."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.7g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _answers(table: Table) -> tuple[list[dict[str, Any]], list[int] | None]:
    """The choices as columns of codes into their distinct values (-1: not asked), and the rows that are kept."""
    names = dict.fromkeys(name for trial in table.trials for name, _ in trial.design.answers)
    room = max(ANSWER_CELLS // max(len(names), 1), 1)
    rows: Sequence[int] = range(len(table.trials))
    kept = None
    if len(rows) > room:
        front = list(table.front[:room])
        others = [row for row in rows if table.states[row] != FRONT]
        step = math.ceil(len(others) / max(room - len(front), 1))
        rows = kept = sorted(front + others[::step])
    columns: list[dict[str, Any]] = []
    given = [dict(table.trials[row].design.answers) for row in rows]
    for name in names:
        column = _coded(name, [answers.get(name, _ABSENT) for answers in given])
        columns.append(column)
    for column in columns[:]:
        columns += _derived(column)
    return columns, kept


_ABSENT = object()


def _coded(name: str, values: Sequence[Any]) -> dict[str, Any]:
    distinct: dict[Any, int] = {}
    plain: list[Any] = []
    codes = []
    for value in values:
        if value is _ABSENT:
            codes.append(-1)
            continue
        kind = type(value)  # True and 1 are equal to a dict, and two answers to a space
        spelling = (kind, value) if kind in (str, int, float, bool) else json.dumps(value)
        code = distinct.setdefault(spelling, len(plain))
        if code == len(plain):
            plain.append(value)
        codes.append(code)
    return {"name": name, "values": plain, "codes": codes}


def _derived(column: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Permutations and subsets hardly repeat, so an axis of their values says nothing: their first item and their
    length do."""
    values = column["values"]
    if len(values) <= MANY_VALUES or not all(isinstance(value, (list, tuple)) for value in values):
        return []
    parts: list[tuple[str, Any]] = [("first", lambda value: value[0] if value else None)]
    if len({len(value) for value in values}) > 1:
        parts.append(("length", len))
    return [
        {
            **_coded(
                f"{column['name']} · {label}",
                [_ABSENT if code < 0 else part(values[code]) for code in column["codes"]],
            ),
            "derived": True,
        }
        for label, part in parts
    ]


def _parallel(table: Table, columns: Sequence[Mapping[str, Any]], kept: Sequence[int] | None) -> dict[str, Any]:
    """Which columns make axes at all, and which few of them are shown first: those that the objectives follow."""
    rows = list(kept) if kept is not None else list(range(len(table.trials)))
    places = [place for place, row in enumerate(rows) if table.states[row] in (FRONT, DOMINATED)]
    usable = [number for number, column in enumerate(columns) if _makes_an_axis(column, places)]
    if len(usable) <= SHOWN_CHOICES:
        return {"columns": usable, "shown": usable}
    if len(places) > 4000:
        places = places[:: math.ceil(len(places) / 4000)]
    followed = [
        _ranked([table.trials[rows[place]].outcome.metrics.get(goal.metric, math.nan) for place in places])
        for goal in table.goals.objectives
    ]
    strength = {number: max(_explained(columns[number], places, values) for values in followed) for number in usable}
    strongest = sorted(usable, key=lambda number: -strength[number])[:SHOWN_CHOICES]
    return {"columns": usable, "shown": sorted(strongest)}


def _makes_an_axis(column: Mapping[str, Any], places: Sequence[int]) -> bool:
    varied = len({column["codes"][place] for place in places}) > 1
    values = column["values"]
    countable = all(isinstance(value, (int, float)) for value in values) or len(values) <= 4 * MANY_VALUES
    return varied and countable


def _ranked(values: Sequence[float]) -> Any:
    order = np.argsort(np.asarray(values, dtype=np.float64), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    return ranks


def _explained(column: Mapping[str, Any], places: Sequence[int], ranks: Any) -> float:
    """The share of the ranks' variance that lies between the groups of equal answers (eta squared), less what chance
    gives to so many groups."""
    codes = np.asarray([column["codes"][place] for place in places])
    values = column["values"]
    if len(values) > MANY_VALUES and all(isinstance(value, (int, float)) for value in values):
        numbers = np.asarray([values[code] if code >= 0 else -math.inf for code in codes])
        cuts = np.quantile(numbers[np.isfinite(numbers)], np.linspace(0, 1, 9)[1:-1])
        codes = np.where(np.isfinite(numbers), np.searchsorted(cuts, numbers), -1)
    total = float(((ranks - ranks.mean()) ** 2).sum()) if len(ranks) else 0.0
    if total == 0.0:
        return 0.0
    groups = np.unique(codes)
    between = sum(
        float((codes == group).sum()) * float((ranks[codes == group].mean() - ranks.mean()) ** 2) for group in groups
    )
    return between / total - (len(groups) - 1) / max(len(ranks) - 1, 1)
