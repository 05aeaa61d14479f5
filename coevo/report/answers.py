"""The choices of many designs as columns of codes, and the columns that stand for orders and subsets."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from coevo.report.data import DOMINATED, FRONT, Table
from coevo.search.trial import Trial

MANY_VALUES = 12
SHOWN_CHOICES = 10
ABSENT = object()


def columns_of(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """A column a choice: {"name", "values": the distinct answers, "codes": an index into them a trial, -1 where the
    design was not asked}."""
    given = [dict(trial.design.answers) for trial in trials]
    names = dict.fromkeys(name for answers in given for name in answers)
    return [coded(name, [answers.get(name, ABSENT) for answers in given]) for name in names]


def coded(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """A column of values as distinct values and codes."""
    distinct: dict[Any, int] = {}
    plain: list[Any] = []
    codes = []
    for value in values:
        if value is ABSENT:
            codes.append(-1)
            continue
        kind = type(value)  # True and 1 are equal to a dict, and two answers to a space
        spelling = (kind, value) if kind in (str, int, float, bool) else json.dumps(value)
        code = distinct.setdefault(spelling, len(plain))
        if code == len(plain):
            plain.append(value)
        codes.append(code)
    return {"name": name, "values": plain, "codes": codes}


def derived(column: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Permutations and subsets hardly repeat, so an axis of their values says nothing: their first item and their
    length do."""
    values = column["values"]
    if len(values) <= MANY_VALUES or not all(isinstance(value, (list, tuple)) for value in values):
        return []
    parts: list[tuple[str, Callable[[Any], Any]]] = [("first", lambda value: value[0] if value else None)]
    if len({len(value) for value in values}) > 1:
        parts.append(("length", len))
    return [
        {
            **coded(
                f"{column['name']} · {label}",
                [ABSENT if code < 0 else part(values[code]) for code in column["codes"]],
            ),
            "derived": True,
        }
        for label, part in parts
    ]


def parallel_axes(table: Table, columns: Sequence[Mapping[str, Any]], rows: Sequence[int]) -> dict[str, Any]:
    """Which columns make axes at all, and which few of them are shown first: those that the objectives follow.
    `rows` are the table's rows that the columns hold."""
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
