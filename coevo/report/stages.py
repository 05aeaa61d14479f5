"""What each stage of the ladder cost."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from coevo.report.data import Table


@dataclass(frozen=True)
class StageCost:
    """`designs` reached the stage; of these `cached` took their outcome from another trial and `failed` there.
    `seconds` are of evaluators, summed over workers; `median_s` is of the designs that were evaluated."""

    stage: str
    designs: int
    cached: int
    failed: int
    seconds: float
    median_s: float | None


def stage_costs(table: Table) -> list[StageCost]:
    """One a stage, in the ladder's order."""
    seconds: dict[str, list[float]] = {name: [] for name in table.stages}
    cached, failed = dict.fromkeys(table.stages, 0), dict.fromkeys(table.stages, 0)
    for trial in table.trials:
        for result in trial.earlier:
            seconds[result.stage].append(result.cost_s)
        if trial.cached_from is None:
            seconds[trial.stage].append(trial.cost_s)
        else:
            cached[trial.stage] += 1
        failed[trial.stage] += not trial.outcome.ok
    return [
        StageCost(
            name,
            len(seconds[name]) + cached[name],
            cached[name],
            failed[name],
            sum(seconds[name]),
            statistics.median(seconds[name]) if seconds[name] else None,
        )
        for name in table.stages
    ]
