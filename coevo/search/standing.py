"""Where a design stood at a gate: its place in the window that decided whether it went on, from recorded outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coevo.search import ranking
from coevo.search.objectives import Goals
from coevo.search.promotion import WINDOW
from coevo.search.trial import Trial


@dataclass(frozen=True, slots=True)
class Standing:
    """What a gate saw of a design: it was number `place` (1 the best) of the `window` latest at that stage."""

    place: int
    window: int


def standing(
    index: int, stage: str, trials: Mapping[int, Trial], stages: Sequence[str], goals: Goals, window: int = WINDOW
) -> Standing | None:
    """The standing of design `index` at the gate behind `stage`; None where it never stood there, or where a design
    before it is not told yet, so that the window is not known. Holds for deterministic runs: in throughput mode the
    window is of the latest arrivals."""
    depth = stages.index(stage)
    scores = []
    for i in range(index, -1, -1):
        trial = trials.get(i)
        if trial is None:
            return None
        metrics = _metrics(trial, stage)
        if metrics is not None:
            scores.append(goals.score(metrics, depth))
        elif i == index:
            return None
        if len(scores) == window:
            break
    scores.reverse()
    newest = len(scores) - 1
    place = next(n for n in range(1, len(scores) + 1) if newest in ranking.survivors(scores, n)[0])
    return Standing(place, len(scores))


def _metrics(trial: Trial, stage: str) -> Mapping[str, float] | None:
    """What a design got at a stage, where it succeeded there and took part at its gate."""
    if trial.imported:
        return None
    for result in trial.earlier:
        if result.stage == stage:
            return result.metrics
    return trial.outcome.metrics if trial.stage == stage and trial.outcome.ok else None
