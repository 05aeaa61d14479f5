"""Fronts and designs as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from coevo.cli.output import facts, table
from coevo.report.words import answer, number, unit
from coevo.search.front import Front
from coevo.search.trial import Trial

KEY_DIGITS = 12


def front_table(front: Front, units: Mapping[str, str], limit: int | None = None, width: int = 120) -> Table:
    """A row for each point of the front: key, index, the wanted metrics, and of the others as many as `width` holds.
    Designs that stand at the same point share a row, under the first of them."""
    wanted = {goal.metric: goal.direction for goal in front.goals.objectives}
    points = same_points(front)
    repeats = any(len(members) > 1 for members in points)
    names = metric_names(front)
    heads = [_head(name, unit(units.get(name, "")), wanted.get(name, "")) for name in names]
    room = width - KEY_DIGITS - 8 - 9 * repeats
    while len(names) > len(front.goals.needed) and sum(_width(head) + 2 for head in heads) > room:
        names.pop()
        heads.pop()
    made = table("key", "#", *heads, *(["designs\nthere"] if repeats else []), numbers=len(heads) + 1 + repeats)
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


def _head(name: str, measure: str, direction: str) -> str:
    """The name, and below it the direction and the unit."""
    extra = ", ".join(part for part in (direction, measure) if part)
    return f"{name}\n{extra}" if extra else name


def _width(head: str) -> int:
    return max(10, *map(len, head.split("\n")))


def metrics_table(trial: Trial, units: Mapping[str, str]) -> Table:
    return facts(
        *(
            (name, f"{number(value)} {unit(units.get(name, ''))}".strip())
            for name, value in trial.outcome.metrics.items()
        )
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
