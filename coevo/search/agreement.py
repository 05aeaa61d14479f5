"""Does a cheaper stage rank designs as the next one does? Kendall's tau with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from coevo.search.objectives import Goals
from coevo.search.trial import Trial

LATEST = 2_000  # pairs grow with the square; the latest designs are those that matter


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau-b between two neighbouring stages in one objective, over the designs that reached both."""

    cheaper: str
    deeper: str
    metric: str
    tau: float
    low: float
    high: float
    designs: int

    @property
    def better_than_chance(self) -> bool:
        return self.low > 0.0

    def __str__(self) -> str:
        return (
            f"{self.cheaper} -> {self.deeper}, {self.metric}: tau {self.tau:.2f} "
            f"[{self.low:.2f}, {self.high:.2f}] over {self.designs} designs"
        )


def kendall(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """(tau-b, low, high): the 95 % interval is that of a U-statistic, from each point's own concordance.

    NaN where fewer than three points or no differences leave nothing to rank.
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    n = len(a)
    if n < 3:
        return float("nan"), float("nan"), float("nan")
    sign_a, sign_b = np.sign(a[:, None] - a[None, :]), np.sign(b[:, None] - b[None, :])
    agreement = sign_a * sign_b
    untied = np.sqrt(np.abs(sign_a).sum() * np.abs(sign_b).sum())
    if untied == 0:
        return float("nan"), float("nan"), float("nan")
    tau = float(agreement.sum() / untied)
    own = agreement.sum(axis=1) * n / untied  # the mean over points is tau
    half = 1.96 * 2.0 * float(own.std(ddof=1)) / np.sqrt(n)
    return tau, max(tau - half, -1.0), min(tau + half, 1.0)


class Pairs:
    """What the designs got at neighbouring stages, gathered one by one."""

    def __init__(self, stages: Sequence[str], goals: Goals):
        self.stages, self.goals = tuple(stages), goals
        self._pairs: dict[tuple[str, str, str], list[tuple[float, float]]] = {}

    def add(self, cheaper: str, before: Mapping[str, float], deeper: str, after: Mapping[str, float]) -> None:
        """Takes the metrics of one design at two neighbouring stages."""
        for objective in self.goals.objectives:
            name = objective.metric
            self._pairs.setdefault((cheaper, deeper, name), []).append((before[name], after[name]))

    def count(self) -> int:
        """How many pairs of metrics there are."""
        return sum(map(len, self._pairs.values()))

    def agreements(self) -> list[Agreement]:
        """One for every two neighbouring stages and every objective that at least three designs have at both."""
        found = []
        for cheaper, deeper in pairwise(self.stages):
            for objective in self.goals.objectives:
                both = self._pairs.get((cheaper, deeper, objective.metric), [])[-LATEST:]
                if len(both) >= 3:
                    tau, low, high = kendall(*zip(*both, strict=True))
                    found.append(Agreement(cheaper, deeper, objective.metric, tau, low, high, len(both)))
        return found


def agreements(trials: Iterable[Trial], stages: Sequence[str], goals: Goals) -> list[Agreement]:
    """Those of all designs that were told."""
    pairs = Pairs(stages, goals)
    for trial in trials:
        reached = [(result.stage, result.metrics) for result in trial.earlier]
        if trial.outcome.ok:
            reached.append((trial.stage, trial.outcome.metrics))
        for (cheaper, before), (deeper, after) in pairwise(reached):
            pairs.add(cheaper, before, deeper, after)
    return pairs.agreements()
