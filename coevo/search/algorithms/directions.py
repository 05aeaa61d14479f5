"""Reference directions: points spread evenly over the unit simplex (Das and Dennis 1998), in one layer or two."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from coevo.errors import ConfigError

Floats = NDArray[np.float64]


def das_dennis(objectives: int, partitions: int) -> Floats:
    """All points [n, objectives] whose coordinates are whole multiples of 1 / partitions and sum to 1, in rising
    order; n is `count(objectives, partitions)`."""
    rows: list[list[int]] = [[]]
    for _ in range(objectives - 1):
        rows = [[*row, part] for row in rows for part in range(partitions - sum(row) + 1)]
    return np.array([[*row, partitions - sum(row)] for row in rows], dtype=np.float64) / partitions


def count(objectives: int, partitions: int) -> int:
    """How many points `das_dennis` gives."""
    return math.comb(objectives + partitions - 1, partitions)


def layers(objectives: int, partitions: int, inner: int = 0) -> Floats:
    """The outer layer, and an inner one of half its size around the middle (Deb and Jain 2014, section V.C): with many
    objectives one layer fine enough to have points inside would be far too large."""
    outer = das_dennis(objectives, partitions)
    if not inner:
        return outer
    return np.vstack([outer, das_dennis(objectives, inner) / 2.0 + 0.5 / objectives])


def partitions_for(objectives: int, most: int) -> tuple[int, int]:
    """(partitions, inner partitions) of the finest layers with at most `most` directions: one layer where it has points
    inside (as many partitions as objectives, or more), else two. ConfigError where not even the corners fit."""
    if most < objectives:
        raise ConfigError(
            f"population: {objectives} objectives have {objectives} reference directions at least, got {most}"
        )
    outer = 1
    while count(objectives, outer + 1) <= most:
        outer += 1
    if outer >= objectives:
        return outer, 0
    inner = 0
    while inner + 1 < outer and count(objectives, outer) + count(objectives, inner + 1) <= most:
        inner += 1
    return outer, inner
