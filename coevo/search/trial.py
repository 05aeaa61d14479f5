"""A design at a stage with its outcome: what the store keeps and algorithms learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from coevo.search.design import Design
from coevo.search.evaluator import Outcome
from coevo.search.objectives import Score


class StageResult(NamedTuple):
    """What a design got at a stage that it went on from."""

    stage: str
    metrics: Mapping[str, float]
    cost_s: float


class Trial(NamedTuple):
    """`index` counts asked designs from 0. `stage` is the deepest that the design reached, `earlier` those before it.
    `cost_s` is evaluator seconds at that stage; a cached outcome costs 0 and names its source in `cached_from`.
    `score` is None where the trial failed. `how` says what befell its worker, where anything did: "" (nothing),
    "retried", "timeout" or "lost"; only "" may be cached."""

    index: int  # type: ignore[assignment]  # a tuple's method of this name searches it; nobody searches a trial
    design: Design
    stage: str
    outcome: Outcome
    cost_s: float
    evaluator: str
    device: str
    seed: int
    score: Score | None = None
    cached_from: int | None = None
    how: str = ""
    earlier: tuple[StageResult, ...] = ()

    @property
    def reached(self) -> tuple[StageResult, ...]:
        """Every stage that evaluated the design, in order; no metrics where it failed."""
        return (*self.earlier, StageResult(self.stage, self.outcome.metrics, self.cost_s))

    @property
    def imported(self) -> bool:
        """Was it told with an outcome from elsewhere, instead of being evaluated?"""
        return self.design.origin is not None and self.design.origin.how == "imported"

    @property
    def total_cost_s(self) -> float:
        """Evaluator seconds over all stages."""
        return self.cost_s + sum(result.cost_s for result in self.earlier)
