"""How a search went: the best of each objective and the hypervolume, as designs were told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from coevo.search.objectives import Goals
from coevo.search.ranking import Floats, hypervolume, non_dominated
from coevo.search.trial import Trial

CHECKPOINTS = 120
CHUNK = 256
LARGEST_FRONT = {2: 1_000_000, 3: 500, 4: 50}
"""By the number of objectives: the hypervolume of a larger front would take many seconds."""
VOLUME_LABEL = "hypervolume (share of the box that the final front spans, widened by 10 %)"


def histories(trials: Sequence[Trial], goals: Goals) -> list[dict[str, Any]]:
    """One series an objective, and one for the hypervolume: {"metric", "label", "x": designs told, "y": value}."""
    feasible = [
        (place + 1, trial)
        for place, trial in enumerate(trials)
        if trial.score is not None and trial.score.violation <= 0
    ]
    if not feasible:
        return []
    series = [_best(feasible, goal.metric, goal.direction, len(trials)) for goal in goals.objectives]
    if len(goals.objectives) > 1:
        volume = volume_history(feasible, goals, len(trials))
        if volume is not None:
            series.append(volume)
    return series


def _best(feasible: Sequence[tuple[int, Trial]], metric: str, direction: str, total: int) -> dict[str, Any]:
    """Only where it changes: a line of steps needs no more points."""
    xs: list[int] = []
    ys: list[float] = []
    for x, trial in feasible:
        value = trial.outcome.metrics[metric]
        if not ys or (value > ys[-1] if direction == "max" else value < ys[-1]):
            xs.append(x)
            ys.append(value)
    return {"metric": metric, "label": f"best {metric} so far ({direction})", "x": [*xs, total], "y": [*ys, ys[-1]]}


def volume_history(feasible: Sequence[tuple[int, Trial]], goals: Goals, total: int) -> dict[str, Any] | None:
    """The hypervolume of the designs so far, in the box between the final front's best values and a point 10 % beyond
    its worst ones; None where it would take too long to compute (many objectives and a large front)."""
    signs = np.array([-1.0 if goal.direction == "max" else 1.0 for goal in goals.objectives])
    names = [goal.metric for goal in goals.objectives]
    costs = np.array([[trial.outcome.metrics[name] for name in names] for _, trial in feasible]) * signs
    at = np.array([x for x, _ in feasible])
    front = _front_with(costs[:0], costs)
    if len(names) > 4 or len(front) > LARGEST_FRONT[len(names)]:
        return None
    best, worst = front.min(axis=0), front.max(axis=0)
    flat = worst <= best  # one value on the whole front: take the box from all designs there
    worst = np.where(flat, costs.max(axis=0), worst)
    span = np.where(worst > best, worst - best, 1.0)
    scaled = (costs - best) / span
    reference = [1.1] * len(names)
    whole = 1.1 ** len(names)
    xs: list[int] = []
    ys: list[float] = []
    kept = scaled[:0]
    done = 0
    checkpoints = min(CHECKPOINTS if len(names) == 2 else CHECKPOINTS // 2, len(scaled))
    for end in np.unique(np.linspace(1, len(scaled), checkpoints).astype(int)):
        kept, done = _front_with(kept, scaled[done:end]), int(end)
        xs.append(int(at[end - 1]))
        ys.append(float(f"{hypervolume(kept, reference) / whole:.6g}"))
    return {"metric": "hypervolume", "label": VOLUME_LABEL, "x": [*xs, total], "y": [*ys, ys[-1]]}


def _front_with(front: Floats, points: Floats) -> Floats:
    """The front of a front and further points, each of its points once."""
    for start in range(0, len(points), CHUNK):
        chunk = np.unique(points[start : start + CHUNK], axis=0)
        if len(front):  # most points fall to the front as a whole, which is far quicker than one by one
            no_better = np.any(np.all(front[None, :, :] <= chunk[:, None, :], axis=2), axis=1)
            chunk = chunk[~no_better]
        pool = np.concatenate([front, chunk])
        front = pool[non_dominated(pool)]
    return front
