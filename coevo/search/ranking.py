"""Comparing scores: constraint domination, non-dominated fronts, crowding, hypervolume. NumPy only."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from coevo.search.objectives import Score

Floats = NDArray[np.float64]
Point = tuple[float, float, int]  # two costs, and whose they are


def dominates(a: Score, b: Score) -> bool:
    """Deb's constraint domination, by stages: the deeper one wins; at equal depth less hard violation; at equal
    violation Pareto dominance of the costs."""
    if a.depth != b.depth:
        return a.depth > b.depth
    if a.violation != b.violation:
        return a.violation < b.violation
    better = False
    for x, y in zip(a.costs, b.costs, strict=True):
        if x > y:
            return False
        better = better or x < y
    return better


def matrices(scores: Collection[Score]) -> tuple[Floats, Floats]:
    """Costs [n, m] and violations [n] of the scores; where depths differ, places in the order of (depth, violation)
    stand for the violations, since only their order counts."""
    costs = np.array([score.costs for score in scores], dtype=np.float64).reshape(len(scores), -1)
    deepest = max((score.depth for score in scores), default=0)
    if all(score.depth == deepest for score in scores):
        return costs, np.array([score.violation for score in scores], dtype=np.float64)
    classes = sorted({(-score.depth, score.violation) for score in scores})
    place = {those: float(n) for n, those in enumerate(classes)}
    return costs, np.array([place[-score.depth, score.violation] for score in scores])


def domination(costs: Floats, violations: Floats) -> NDArray[np.bool_]:
    """Boolean [n, n]: does i dominate j? Costs are minimised (Deb et al. 2002, section VI)."""
    first = costs[:, 0]
    no_worse = first[:, None] <= first[None, :]
    for column in costs.T[1:]:
        no_worse &= column[:, None] <= column[None, :]
    # i dominates j where it is no worse everywhere and j is not no worse everywhere.
    pareto = no_worse & ~no_worse.T
    if not violations.any():
        return pareto
    less = violations[:, None] < violations[None, :]
    equal = violations[:, None] == violations[None, :]
    dominating: NDArray[np.bool_] = less | (equal & pareto)
    return dominating


def ranks(costs: Floats, violations: Floats) -> NDArray[np.int64]:
    """The front of each point, 0 the best, under constraint domination."""
    if costs.shape[1] <= 2 and not violations.any():
        return _ranks_of_two(costs)
    n = len(costs)
    dominating = domination(costs, violations)
    count = dominating.sum(axis=0)
    rank = np.full(n, -1, dtype=np.int64)
    level = done = 0
    while done < n:
        front = (count == 0) & (rank < 0)
        rank[front] = level
        done += int(front.sum())
        count = count - dominating[front].sum(axis=0)
        level += 1
    return rank


def _ranks_of_two(costs: Floats) -> NDArray[np.int64]:
    """One or two costs in O(n log n): in order of the first cost, a front is beaten by its lowest second cost."""
    last = costs[:, -1]
    order = np.lexsort((last, costs[:, 0]))
    rank = np.empty(len(costs), dtype=np.int64)
    lowest: list[float] = []  # the second cost of each front's latest member, rising from front to front
    before: tuple[float, float] | None = None
    level = 0
    for index, first, second in zip(order.tolist(), costs[order, 0].tolist(), last[order].tolist(), strict=True):
        if (first, second) != before:  # equal points do not dominate each other: they share a front
            before = (first, second)
            level = bisect_right(lowest, second)
            if level == len(lowest):
                lowest.append(second)
            else:
                lowest[level] = second
        rank[index] = level
    return rank


def crowding(costs: Floats, rank: NDArray[np.int64]) -> Floats:
    """Crowding distance of every point within its front (Deb et al. 2002, section III.B); the ends get infinity."""
    n = len(costs)
    distance = np.zeros(n)
    if n == 0:
        return distance
    for values in costs.T:
        order = np.lexsort((values, rank))
        ordered, fronts = values[order], rank[order]
        starts = np.flatnonzero(np.concatenate(([True], fronts[1:] != fronts[:-1])))
        ends = np.concatenate((starts[1:], [n])) - 1
        span = np.repeat(ordered[ends] - ordered[starts], ends - starts + 1)
        gap = np.zeros(n)
        gap[1:-1] = ordered[2:] - ordered[:-2]
        distance[order] += np.divide(gap, span, out=np.zeros(n), where=span > 0)
        distance[order[starts]] = distance[order[ends]] = np.inf
    return distance


def survivors(scores: Sequence[Score], keep: int) -> tuple[list[int], list[float]]:
    """NSGA-II's environmental selection: the indices of the kept in rising order, and the crowding of each."""
    first = scores[0] if scores else None
    if first is not None and len(first.costs) <= 2 and all(s.violation == 0 and s.depth == first.depth for s in scores):
        points = [(score.costs[0], score.costs[-1], index) for index, score in enumerate(scores)]
        chosen, spread = chosen_of_two(fronts_of_two(sorted(points)), keep)
        pairs = sorted(zip((point[2] for point in chosen), spread, strict=True))
        return [index for index, _ in pairs], [distance for _, distance in pairs]
    costs, violations = matrices(scores)
    rank = ranks(costs, violations)
    distance = crowding(costs, rank)
    kept = np.sort(np.lexsort((-distance, rank))[:keep])
    return kept.tolist(), distance[kept].tolist()


# The same for two costs, where a front in the order of one cost is in the order of the other too. For the couple of
# hundred points of a population, plain Python takes half the time of NumPy's many small calls. One cost is two equal
# ones: the fronts are those of equals, and nothing is crowded but by its ends.


def fronts_of_two(ordered: Iterable[Point]) -> list[list[Point]]:
    """The fronts of points that come in rising order, the best first; each stays in that order."""
    fronts: list[list[Point]] = []
    lowest: list[float] = []  # the second cost of each front's latest member, rising from front to front
    before, last = math.nan, math.nan
    level = 0
    for point in ordered:
        first, second, _ = point
        if second != last or first != before:  # equal points do not dominate each other: they share a front
            before, last = first, second
            level = bisect_right(lowest, second)
            if level == len(lowest):
                lowest.append(second)
                fronts.append([])
            else:
                lowest[level] = second
        fronts[level].append(point)
    return fronts


def crowding_of_two(front: Sequence[Point]) -> list[float]:
    """The crowding distance of each point of one front in rising order."""
    if len(front) < 3:
        return [math.inf] * len(front)
    wide, high = front[-1][0] - front[0][0] or math.inf, front[0][1] - front[-1][1] or math.inf
    pairs = zip(front, front[2:], strict=False)
    return [math.inf, *[(b - a) / wide + (c - d) / high for (a, c, _), (b, d, _) in pairs], math.inf]


def most_crowded(distances: Sequence[float], surplus: int) -> list[int]:
    """The places of so many points that leave a front, in falling order; of equals the last ones leave."""
    places = heapq.nsmallest(surplus, range(len(distances) - 1, -1, -1), key=distances.__getitem__)
    return sorted(places, reverse=True)


def chosen_of_two(fronts: Iterable[Sequence[Point]], keep: int) -> tuple[list[Point], list[float]]:
    """Whole fronts, then the least crowded of the one that does not fit in: `keep` points, and the crowding of each."""
    chosen: list[Point] = []
    spread: list[float] = []
    for front in fronts:
        chosen += front
        spread += crowding_of_two(front)
        if len(chosen) >= keep:
            begin = len(chosen) - len(front)
            for place in most_crowded(spread[begin:], len(chosen) - keep):
                del chosen[begin + place], spread[begin + place]
            break
    return chosen, spread


def non_dominated(costs: Floats) -> NDArray[np.bool_]:
    """Boolean [n]: is the point on the Pareto front? Equal points all are. O(n x front), in order of the sum."""
    n, m = costs.shape
    keep = np.ones(n, dtype=bool)
    if m == 1:
        keep[:] = costs[:, 0] == costs[:, 0].min(initial=np.inf)
        return keep
    order = np.lexsort(costs.T[::-1])
    front = np.empty_like(costs)
    size = 0
    for index in order:
        point = costs[index]
        rivals = front[:size]
        if size and bool(((rivals <= point).all(axis=1) & (rivals < point).any(axis=1)).any()):
            keep[index] = False
        else:
            front[size] = point
            size += 1
    return keep


def hypervolume(costs: Floats | Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """The volume between minimised points [n, m] and the reference point: exact, by slicing the last objective.

    O(n log n) for two objectives, O(n^2 log n) for three, and a factor n more for each further one.
    """
    points = np.asarray(costs, dtype=np.float64).reshape(-1, len(reference))
    limit = np.asarray(reference, dtype=np.float64)
    points = points[(points < limit).all(axis=1)]
    return float(_volume(points, limit)) if len(points) else 0.0


def _volume(points: Floats, limit: Floats) -> float:
    if points.shape[1] == 1:
        return float(limit[0] - points[:, 0].min())
    if points.shape[1] == 2:
        ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
        lowest = np.minimum.accumulate(ordered[:, 1])
        above = np.concatenate(([limit[1]], lowest[:-1]))
        return float(((limit[0] - ordered[:, 0]) * np.maximum(above - lowest, 0.0)).sum())
    points = points[np.argsort(points[:, -1], kind="stable")]
    total, flat = 0.0, points[:, :-1]
    for i in range(len(points)):
        top = points[i + 1, -1] if i + 1 < len(points) else limit[-1]
        if top > points[i, -1]:
            slab = flat[: i + 1]
            total += _volume(slab[non_dominated(slab)], limit[:-1]) * (top - points[i, -1])
    return total
