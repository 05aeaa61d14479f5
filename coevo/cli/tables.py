"""Fronts and designs as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from coevo.cli.output import facts, table
from coevo.report.words import answer, number
from coevo.search.front import Front
from coevo.search.trial import Trial

KEY_DIGITS = 12


def front_table(front: Front, units: Mapping[str, str], limit: int | None = None) -> Table:
    """A row for each point of the front: key, index, the wanted metrics first and then the others. Designs that stand
    at the same point share a row, under the first of them."""
    names = metric_names(front)
    wanted = {goal.metric: goal.direction for goal in front.goals.objectives}
    points = same_points(front)
    heads = [_head(name, units.get(name, ""), wanted.get(name, "")) for name in names]
    repeats = any(len(members) > 1 for members in points)
    made = table("key", "#", *heads, *(["designs there"] if repeats else []), numbers=len(heads) + 1 + repeats)
    for members in points[:limit]:
        values = [number(members[0].outcome.metrics.get(name)) for name in names]
        extra = [str(len(members))] if repeats else []
        made.add_row(members[0].design.key[:KEY_DIGITS], str(members[0].index), *values, *extra)
    return made


def same_points(front: Front) -> list[list[Trial]]:
    """The front's trials by equal objectives, in the front's order."""
    points: dict[tuple[float, ...], list[Trial]] = {}
    for trial in front.trials:
        point = tuple(trial.outcome.metrics[goal.metric] for goal in front.goals.objectives)
        points.setdefault(point, []).append(trial)
    return list(points.values())


def metric_names(front: Front) -> list[str]:
    """The metrics of a front's trials, those that are wanted first."""
    names = dict.fromkeys(front.goals.needed)
    for trial in front.trials:
        names.update(dict.fromkeys(trial.outcome.metrics))
    return list(names)


def _head(name: str, unit: str, direction: str) -> str:
    extra = ", ".join(part for part in (unit, direction) if part)
    return f"{name} ({extra})" if extra else name


def metrics_table(trial: Trial, units: Mapping[str, str]) -> Table:
    return facts(
        *((name, f"{number(value)} {units.get(name, '')}".strip()) for name, value in trial.outcome.metrics.items())
    )


def answers_table(answers: Iterable[tuple[str, Any]], before: Mapping[str, Any] | None = None) -> Table:
    """Answers by name; where `before` is given (the mother's), what the child changed is marked."""
    made = table("choice", "answer", *([] if before is None else ["mother's"]))
    for name, value in answers:
        row = [Text(name), Text(answer(value, 100))]
        if before is not None:
            same = name in before and before[name] == value
            row.append(Text("" if same else answer(before[name], 100) if name in before else "not asked", style="dim"))
        made.add_row(*row)
    return made
