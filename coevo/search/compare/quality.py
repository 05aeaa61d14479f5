"""How good a set of designs is beside others: hypervolume under one reference point, and coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coevo.search.compare.sheet import Sheet
from coevo.search.objectives import Goals
from coevo.search.ranking import Floats, hypervolume, non_dominated

BEYOND = 0.1
"""The reference point lies this share of the fronts' extent beyond their worst values."""
LARGEST_FRONT = {2: 10**6, 3: 1000, 4: 100}
"""By the number of costs: the hypervolume of a larger front would take too long; of five costs and more, 30 points."""


def box(sheets: Sequence[Sheet]) -> tuple[Floats | None, Floats | None]:
    """The best value of each cost on any of the fronts, and the common reference point."""
    fronts = [sheet.front_costs for sheet in sheets if len(sheet.front)]
    if not fronts:
        return None, None
    together = np.concatenate(fronts)
    best, worst = together.min(axis=0), together.max(axis=0)
    span = np.where(worst > best, worst - best, np.maximum(np.abs(best), 1.0))
    return best, np.where(worst > best, worst, best) + BEYOND * span


def quality(points: Floats, ideal: Floats | None, reference: Floats | None, goals: Goals) -> float | None:
    """The share of the box between ideal and reference that the points dominate; with one cost its best value."""
    if ideal is None or reference is None:
        return None
    if len(ideal) == 1:
        best = points.min(axis=0)[0] if len(points) else None
        return None if best is None else float(-best if goals.objectives[0].direction == "max" else best)
    inside = (points - ideal) / (reference - ideal)
    kept = _front_of(inside[(inside < 1.0).all(axis=1)])
    if len(kept) > LARGEST_FRONT.get(len(ideal), 30):
        return None
    return hypervolume(kept, [1.0] * len(ideal))


def _front_of(points: Floats) -> Floats:
    """The non-dominated points, each once."""
    points = np.unique(points, axis=0)
    front = points[:0]
    for start in range(0, len(points), 512):
        pool = np.concatenate([front, points[start : start + 512]])
        front = pool[non_dominated(pool)]
    return front


def coverage(front: Floats, other: Floats) -> float | None:
    """The share of `other` that some point of `front` is no worse than in every cost; None where there is none."""
    if not len(other):
        return None
    front = np.unique(front, axis=0)
    points, counts = np.unique(other, axis=0, return_counts=True)  # equal designs are judged once
    covered = np.array([bool((front <= point).all(axis=1).any()) for point in points])
    return float(counts[covered].sum() / counts.sum())
