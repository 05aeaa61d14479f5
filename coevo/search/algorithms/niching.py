"""NSGA-III's environmental selection: fronts, then niches along reference directions (Deb and Jain 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coevo.search import ranking
from coevo.search.canonical import Stream
from coevo.search.objectives import Score

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Normaliser:
    """Remembers the ideal point and the extreme points, and maps costs onto the scale of the directions.

    Both are of the best class alone (deepest stage, then feasible): when a better one appears, they begin anew.
    """

    def __init__(self, objectives: int):
        self._class: tuple[int, bool] | None = None
        self.ideal = np.full(objectives, np.inf)
        self.extremes = np.empty((0, objectives))
        self.nadir = np.full(objectives, np.inf)

    def update(self, best: tuple[int, bool], front: Floats, all_of_class: Floats) -> None:
        """`front` [n, m] are the costs of the first front, `all_of_class` those of everybody in its class."""
        if best != self._class:
            self._class = best
            self.ideal = np.full(front.shape[1], np.inf)
            self.extremes = np.empty((0, front.shape[1]))
        self.ideal = np.minimum(self.ideal, all_of_class.min(axis=0))
        self.extremes = extreme_points(np.vstack([self.extremes, front]), self.ideal)
        self.nadir = nadir(self.extremes, self.ideal, front.max(axis=0), all_of_class.max(axis=0))

    def __call__(self, costs: Floats) -> Floats:
        return np.asarray((costs - self.ideal) / (self.nadir - self.ideal))


def extreme_points(costs: Floats, ideal: Floats) -> Floats:
    """The point nearest each axis [m, m], by the achievement scalarising function with weights 1 and 1e-6 (section
    IV.C); distances below 1e-3 count as none, so that noise about the ideal point decides nothing."""
    distance = costs - ideal
    distance[distance < 1e-3] = 0.0
    weights = np.where(np.eye(costs.shape[1], dtype=bool), 1.0, 1e6)
    achievement = (distance[None, :, :] * weights[:, None, :]).max(axis=2)
    return np.asarray(costs[achievement.argmin(axis=1)])


def nadir(extremes: Floats, ideal: Floats, worst_of_front: Floats, worst: Floats) -> Floats:
    """Where the hyperplane through the extreme points cuts the axes; the worst of the front where there is no such
    plane or it cuts behind that, and the worst of all where the front has no width (Blank, Deb and Roy 2019)."""
    try:
        plane = np.linalg.solve(extremes - ideal, np.ones(len(ideal)))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = ideal + 1.0 / plane
        flat = np.abs((extremes - ideal) @ plane - 1.0).max() > 1e-8
        if flat or not np.isfinite(found).all() or (found - ideal <= 1e-6).any():
            found = worst_of_front
        found = np.minimum(found, worst)
    except np.linalg.LinAlgError:
        found = worst_of_front
    found = np.where(found - ideal > 1e-6, found, worst)
    return np.where(found - ideal > 1e-6, found, ideal + 1.0)


def associate(points: Floats, directions: Floats) -> tuple[Integers, Floats]:
    """For every normalised point [n, m] its nearest direction (unit vectors [d, m]), by distance to the line through
    the origin, and that distance."""
    along = points @ directions.T
    squared = np.maximum((points**2).sum(axis=1)[:, None] - along**2, 0.0)
    nearest = squared.argmin(axis=1)
    return nearest, np.sqrt(squared[np.arange(len(points)), nearest])


def fill(niche: Integers, distance: Floats, taken: Integers, wanted: int, rng: Stream) -> list[int]:
    """Which of the candidates are taken, by their places (algorithm 4): always from a direction with the fewest taken
    so far that has any left; the nearest where none was taken, else any."""
    taken = taken.copy()
    left: dict[int, list[int]] = {}
    for place in np.lexsort((distance, niche)).tolist():
        left.setdefault(int(niche[place]), []).append(place)
    chosen: list[int] = []
    while len(chosen) < wanted:
        fewest = min(int(taken[direction]) for direction in left)
        ties = [direction for direction in left if taken[direction] == fewest]
        direction = ties[rng.below(len(ties))]
        places = left[direction]
        chosen.append(places.pop(0 if fewest == 0 else rng.below(len(places))))
        taken[direction] += 1
        if not places:
            del left[direction]
    return chosen


def survivors(scores: Sequence[Score], keep: int, directions: Floats, normalise: Normaliser, rng: Stream) -> list[int]:
    """The indices of the kept, in rising order. Fronts are those of constraint domination, deeper stages first."""
    costs, violations = ranking.matrices(scores)
    rank = ranking.ranks(costs, violations)
    first = rank == 0
    leader = scores[int(first.argmax())]
    alike = np.array([s.depth == leader.depth and s.violation == leader.violation for s in scores])
    normalise.update((leader.depth, leader.violation == 0.0), costs[first], costs[alike])
    order = np.argsort(rank, kind="stable")
    last = rank[order[keep - 1]]
    sure = np.flatnonzero(rank < last)
    candidates = np.flatnonzero(rank == last)
    if len(sure) + len(candidates) > keep:
        niche, distance = associate(normalise(costs), directions)
        taken = np.bincount(niche[sure], minlength=len(directions))
        places = fill(niche[candidates], distance[candidates], taken, keep - len(sure), rng)
        candidates = candidates[places]
    return sorted([*sure.tolist(), *candidates.tolist()])
