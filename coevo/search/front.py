"""The designs that nothing beats."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import le
from typing import Any

import numpy as np

from coevo.errors import UnknownName, unknown_name
from coevo.search.objectives import Goals
from coevo.search.trial import Trial

EQUALS_KEPT = 32  # trials of one point of the front


class Front:
    """The feasible, non-dominated trials, best first objective first. Equal metrics stand side by side, the first
    EQUALS_KEPT of them; `left_out` counts the others."""

    def __init__(self, goals: Goals, trials: Iterable[Trial], left_out: int = 0):
        self.goals = goals
        self.left_out = left_out
        self.trials = sorted(trials, key=lambda trial: (trial.score.costs, trial.index) if trial.score else ((), 0))

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def best(self, metric: str | None = None) -> Trial:
        """The trial that is best in one objective (the first unless named); ties go to the other objectives."""
        names = [objective.metric for objective in self.goals.objectives]
        if not self.trials:
            raise UnknownName("the front is empty: no trial succeeded within the constraints")
        if metric is None:
            return self.trials[0]
        if metric not in names:
            raise unknown_name("objective", metric, names)
        column = names.index(metric)
        return min(
            self.trials, key=lambda t: (t.score.costs[column], t.score.costs, t.index) if t.score else (0, (), 0)
        )

    def table(self) -> list[dict[str, Any]]:
        """A row a trial: key, index, its metrics and its answers, as plain JSON."""
        return [
            {
                "key": trial.design.key,
                "index": trial.index,
                "metrics": dict(trial.outcome.metrics),
                "answers": dict(trial.design.answers),
            }
            for trial in self.trials
        ]


class Archive:
    """Keeps the front of what it was given, one trial at a time. Only the last stage's outcomes count: `depth` is its
    number. Of trials with equal costs the first `equals` stay (None: all), so that a search whose metrics take few
    values does not hold half of its trials in memory; `left_out` counts the others."""

    def __init__(self, depth: int = 0, equals: int | None = None) -> None:
        self.depth = depth
        self.equals = equals
        self.trials: list[Trial] = []
        self._costs: list[tuple[float, ...]] = []  # of the trials where there are two costs, sorted
        self._matrix = np.empty((0, 0))  # of the trials where there are more or one, in its first rows
        self._beater: tuple[float, ...] = ()  # the costs that turned the last one away turn most away
        self._count: dict[tuple[float, ...], int] = {}  # how many came with the costs of a trial on the front

    @property
    def left_out(self) -> int:
        """How many trials would stand on the front beside equals of theirs that came before."""
        return sum(self._count.values()) - len(self.trials)

    def add(self, trial: Trial) -> bool:
        """Takes a trial in if nothing dominates it and drops what it dominates. Infeasible and failed ones stay out.
        False too where enough equals are there."""
        score = trial.score
        if score is None or score.violation > 0 or score.depth < self.depth:
            return False
        costs = score.costs
        equals = self._count.get(costs)
        if equals is not None:
            self._count[costs] = equals + 1
            if self.equals is not None and equals >= self.equals:
                return False
        if not (self._add_sorted(trial, costs) if len(costs) == 2 else self._add(trial, costs)):
            return False
        if equals is None:
            self._count[costs] = 1
        return True

    def _add_sorted(self, trial: Trial, costs: tuple[float, ...]) -> bool:
        """Two costs: the second falls as the first rises, so the neighbour on the left decides."""
        place = bisect_right(self._costs, costs)
        if place and self._costs[place - 1][1] <= costs[1] and self._costs[place - 1] != costs:
            return False
        end = place
        while end < len(self._costs) and self._costs[end][1] >= costs[1]:
            self._count.pop(self._costs[end], None)
            end += 1
        self._costs[place:end] = [costs]
        self.trials[place:end] = [trial]
        return True

    def _add(self, trial: Trial, costs: tuple[float, ...]) -> bool:
        if self._beater and self._beater != costs and all(map(le, self._beater, costs)):
            return False
        point, size = np.array(costs), len(self.trials)
        if size:
            rows = self._matrix[:size]
            no_worse = (rows <= point).all(axis=1)
            if no_worse.any():
                beating = no_worse & (rows < point).any(axis=1)
                if beating.any():
                    self._beater = tuple(rows[int(beating.argmax())].tolist())
                    return False
            beaten = (point <= rows).all(axis=1) & (point < rows).any(axis=1)
            if beaten.any():
                for place in np.flatnonzero(beaten):
                    self._count.pop(tuple(rows[place].tolist()), None)
                keep = np.flatnonzero(~beaten)
                size = len(keep)
                self._matrix[:size] = rows[keep]
                self.trials = [self.trials[place] for place in keep]
        if size == len(self._matrix):
            grown = np.empty((max(2 * size, 16), len(costs)))
            grown[:size] = self._matrix[:size].reshape(size, len(costs))
            self._matrix = grown
        self._matrix[size] = point
        self.trials.append(trial)
        return True
