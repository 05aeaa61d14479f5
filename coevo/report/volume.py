"""Hypervolume as it grows: exact for two objectives, counted over evenly spread points for more.

Every curve of a page is measured in one box: from the best value of each objective among all designs that the page
compares, to the reference point, which lies a tenth of their front's span beyond its worst values. A curve says which
share of that box its designs dominate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.search.ranking import Floats, non_dominated

Integers = NDArray[np.int64]
Bits = NDArray[np.uint8]

CHUNK = 256
BEYOND = 0.1
POINTS = 8_192
PERMUTATIONS = 200
"""Enough for the ends of a 95 % band: each is the mean of about 5 of the 200 curves."""


@dataclass(frozen=True)
class Box:
    """Minimised costs: `best` [m] and `reference` [m], the corner that must be beaten in every objective."""

    best: Floats
    reference: Floats

    @classmethod
    def around(cls, costs: Floats) -> Box:
        """The box of these designs' front. `costs` is [n, m] with n >= 1."""
        front = _staircase(costs) if costs.shape[1] == 2 else front_with(costs[:0], costs)
        best, worst = front.min(axis=0), front.max(axis=0)
        flat = worst <= best  # one value on the whole front: take the span of all designs
        worst = np.where(flat, costs.max(axis=0), worst)
        span = np.where(worst > best, worst - best, 1.0)
        return cls(best, best + (1 + BEYOND) * span)

    def scaled(self, costs: Floats) -> Floats:
        """Costs with the best at 0 and the reference at 1."""
        return (costs - self.best) / (self.reference - self.best)


def front_with(front: Floats, points: Floats) -> Floats:
    """The front of a front and further points [n, m], each of its points once."""
    for start in range(0, len(points), CHUNK):
        chunk = np.unique(points[start : start + CHUNK], axis=0)
        if len(front):  # most points fall to the front as a whole, which is far quicker than one by one
            no_better = np.any(np.all(front[None, :, :] <= chunk[:, None, :], axis=2), axis=1)
            chunk = chunk[~no_better]
        pool = np.concatenate([front, chunk])
        front = pool[non_dominated(pool)]
    return front


def growth(scaled: Floats, ends: Sequence[int]) -> Floats:
    """The dominated share of the box after the first `ends[k]` of the points [n, m], for rising ends."""
    places = np.flatnonzero((scaled < 1.0).all(axis=1)) + 1
    inside, cuts = scaled[places - 1], np.asarray(ends)
    if scaled.shape[1] > 2:
        return _counted(_covers(inside), places, cuts)
    return _areas(inside, np.searchsorted(places, cuts, side="right"))


def permuted_growth(scaled: Floats, total: int, ends: Sequence[int], seed: int = 0) -> Floats:
    """[PERMUTATIONS, len(ends)]: the dominated share after the first `ends[k]` of `total` trials in random orders.

    `scaled` [n, m] holds the n <= total trials that count; the others (failed, infeasible) only take their places.
    """
    rng = np.random.default_rng(seed)
    inside = scaled[(scaled < 1.0).all(axis=1)]
    cuts = np.asarray(ends)
    covers = _covers(inside) if scaled.shape[1] > 2 else None
    curves = np.empty((PERMUTATIONS, len(cuts)))
    for row in range(PERMUTATIONS):
        places = rng.choice(total, size=len(inside), replace=False) + 1
        order = np.argsort(places)
        if covers is None:
            curves[row] = _areas(inside[order], np.searchsorted(places[order], cuts, side="right"))
        else:
            curves[row] = _counted(covers[order], places[order], cuts)
    return curves


def _areas(points: Floats, counts: Integers) -> Floats:
    """The share of the unit square that the first `counts[k]` of two-objective points dominate."""
    kept, done, shares = points[:0], 0, np.zeros(len(counts))
    for place, count in enumerate(counts):
        if count > done:
            kept = _staircase(np.concatenate([kept, points[done:count]]))
            done = count
            above = np.concatenate(([1.0], kept[:-1, 1]))
            shares[place] = float(((1.0 - kept[:, 0]) * (above - kept[:, 1])).sum())
        elif place:
            shares[place] = shares[place - 1]
    return shares


def _staircase(points: Floats) -> Floats:
    """The non-dominated of two-objective points, by rising first and falling second objective."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    lowest = np.minimum.accumulate(ordered[:, 1])
    first = np.concatenate(([True], ordered[1:, 1] < lowest[:-1]))
    return ordered[first]


def _covers(scaled: Floats) -> Bits:
    """Packed bits [n, POINTS / 8]: which of the evenly spread points of the unit box does each point dominate?"""
    spread = evenly_spread(POINTS, scaled.shape[1])
    packed = np.empty((len(scaled), POINTS // 8), dtype=np.uint8)
    for row, point in enumerate(scaled):
        packed[row] = np.packbits((point <= spread).all(axis=1))
    return packed


def _counted(covers: Bits, places: Integers, cuts: Integers) -> Floats:
    """The share of the points that are dominated by the rows whose place is at most each cut; places rise."""
    counts = np.searchsorted(places, cuts, side="right")
    covered = np.zeros(covers.shape[1], dtype=np.uint8)
    shares, done = np.zeros(len(cuts)), 0
    for at, count in enumerate(counts):
        if count > done:
            covered |= np.bitwise_or.reduce(covers[done:count], axis=0)
            done = count
        shares[at] = np.unpackbits(covered).sum() / POINTS
    return shares


def evenly_spread(count: int, dimensions: int) -> Floats:
    """[count, dimensions] points of the unit box: the additive recurrence on the generalised golden ratio
    (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences")."""
    ratio = 2.0
    for _ in range(64):  # the root of x ** (d + 1) = x + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    return (0.5 + np.arange(1, count + 1)[:, None] * steps[None, :]) % 1.0
