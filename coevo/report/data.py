"""A run as a table: a row a design, at the deepest stage that it reached."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coevo.search.objectives import Goals
from coevo.search.trial import Trial

FRONT, DOMINATED, INFEASIBLE, FAILED, HELD = range(5)
STATES = ("front", "dominated", "infeasible", "failed", "not promoted")
"""HELD, "not promoted": a cheaper stage measured the design and did not send it on; its figures are estimates."""


@dataclass(frozen=True)
class Table:
    """A run's designs, one row each, at the deepest stage that each one reached."""

    trials: tuple[Trial, ...]
    states: tuple[int, ...]
    front: tuple[int, ...]
    """Rows of the front, best first by the first objective."""
    goals: Goals
    units: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[str, ...] = ("full",)

    @property
    def depth(self) -> int:
        """The last stage's number."""
        return len(self.stages) - 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that was measured or wanted, those that are wanted first."""
        names = dict.fromkeys(self.goals.needed)
        for trial in self.trials:
            names.update(dict.fromkeys(trial.outcome.metrics))
        return tuple(names)

    def count(self, state: int) -> int:
        return self.states.count(state)


def tabulate(
    trials: Iterable[Trial],
    front: Iterable[Trial],
    goals: Goals,
    units: Mapping[str, str],
    stages: Sequence[str] = ("full",),
) -> Table:
    """`trials` has each index once, as a run tells them; `front` are members of it."""
    rows = tuple(sorted(trials, key=lambda trial: trial.index))
    members = {trial.index for trial in front}
    states = tuple(_state(trial, members, len(stages) - 1) for trial in rows)
    first = goals.objectives[0]
    sign = -1.0 if first.direction == "max" else 1.0
    best = sorted(
        (row for row, state in enumerate(states) if state == FRONT),
        key=lambda row: sign * rows[row].outcome.metrics.get(first.metric, math.inf),
    )
    return Table(rows, states, tuple(best), goals, dict(units), tuple(stages))


def _state(trial: Trial, front: set[int], depth: int) -> int:
    if trial.score is None or not trial.outcome.ok:
        return FAILED
    if trial.score.violation > 0:
        return INFEASIBLE
    if trial.score.depth < depth:
        return HELD
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


def broken_counts(table: Table) -> list[tuple[str, bool, int, int]]:
    """(constraint, hard, designs that break it, of these those that break no other): one a constraint, in their order.
    Failed designs measured nothing and count nowhere."""
    limits = table.goals.constraints
    broken, alone = [0] * len(limits), [0] * len(limits)
    for trial in table.trials:
        metrics = trial.outcome.metrics
        if not trial.outcome.ok:
            continue
        over = [n for n, limit in enumerate(limits) if limit.violation(metrics[limit.metric]) > 0]
        for n in over:
            broken[n] += 1
        if len(over) == 1:
            alone[over[0]] += 1
    return [(f"{limit.metric} {limit}", limit.hard, broken[n], alone[n]) for n, limit in enumerate(limits)]
