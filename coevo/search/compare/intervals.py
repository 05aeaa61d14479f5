"""Confidence intervals of means and of differences, by Student's t distribution. NumPy only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval; the ends are infinite where there is too little to say. `how` names the method."""

    mean: float
    low: float
    high: float
    how: str

    @property
    def holds_zero(self) -> bool:
        return self.low <= 0.0 <= self.high


def of_mean(values: Sequence[float], how: str = "t") -> Interval:
    """Student's t interval of a mean."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf, how)
    half = t_quantile(0.5 + LEVEL / 2, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half, how)


def of_pairs(first: Sequence[float], second: Sequence[float]) -> Interval:
    """The mean of second - first over pairs (of equal seeds, say)."""
    return of_mean([b - a for a, b in zip(first, second, strict=True)], "paired t")


def of_difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """mean(second) - mean(first) of independent samples of unequal spread (Welch 1947)."""
    mean = statistics.fmean(second) - statistics.fmean(first)
    if min(len(first), len(second)) < 2:
        return Interval(mean, -math.inf, math.inf, "Welch's t")
    parts = [statistics.variance(values) / len(values) for values in (first, second)]
    if sum(parts) == 0.0:
        return Interval(mean, mean, mean, "Welch's t")
    degrees = sum(parts) ** 2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (first, second), strict=True))
    half = t_quantile(0.5 + LEVEL / 2, degrees) * math.sqrt(sum(parts))
    return Interval(mean, mean - half, mean + half, "Welch's t")


@cache
def t_quantile(probability: float, degrees: float) -> float:
    """The t below which this share (0.5 to below 1) of Student's distribution lies; `degrees` need not be whole.

    With t = sqrt(v) tan(a) the density is cos(a)^(v-1) over a beta function (Abramowitz and Stegun 26.7.3 for whole
    v), integrated by Gauss-Legendre and inverted by bisection in a.
    """
    nodes, weights = _gauss()
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(math.pi)

    def below(angle: float) -> float:
        x = 0.5 * angle * (nodes + 1.0)
        return 0.5 + scale * 0.5 * angle * float(weights @ np.cos(x) ** (degrees - 1))

    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < probability else (low, middle)
    return math.sqrt(degrees) * math.tan((low + high) / 2)


@cache
def _gauss() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(128)
    return np.asarray(nodes, dtype=np.float64), np.asarray(weights, dtype=np.float64)
