"""Standard test functions: minimised, plain Python, the same for every side of a comparison."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

Vector = Sequence[float]


def sphere(x: Vector) -> float:
    return sum(v * v for v in x)


def ellipsoid(x: Vector) -> float:
    """Condition number 1e6."""
    return sum(10.0 ** (6.0 * i / (len(x) - 1)) * v * v for i, v in enumerate(x))


def rosenbrock(x: Vector) -> float:
    """Its minimum is moved from (1, ..., 1) to the origin."""
    return sum(100.0 * ((b + 1.0) - (a + 1.0) ** 2) ** 2 + a * a for a, b in pairwise(x))


def rastrigin(x: Vector) -> float:
    return 10.0 * len(x) + sum(v * v - 10.0 * math.cos(2.0 * math.pi * v) for v in x)


def ackley(x: Vector) -> float:
    n = len(x)
    near = math.exp(-0.2 * math.sqrt(sum(v * v for v in x) / n))
    waves = math.exp(sum(math.cos(2.0 * math.pi * v) for v in x) / n)
    return max(20.0 + math.e - 20.0 * near - waves, 0.0)


def shifted(function: Callable[[Vector], float], dimensions: int, seed: int) -> Callable[[Vector], float]:
    """The function with its minimum at a random place of [-3, 3]^n, so that the middle of the range is no help."""
    rng = random.Random(f"shift {function.__name__} {seed}")
    place = [rng.uniform(-3.0, 3.0) for _ in range(dimensions)]
    return lambda x: function([v - p for v, p in zip(x, place, strict=True)])


def _rastrigin_like(tail: Vector) -> float:
    return 100.0 * (len(tail) + sum((v - 0.5) ** 2 - math.cos(20.0 * math.pi * (v - 0.5)) for v in tail))


def dtlz1(x: Vector, objectives: int = 3) -> tuple[float, ...]:
    """Deb, Thiele, Laumanns and Zitzler 2002, section 6.1: the plane sum f = 0.5 behind many others."""
    g = 1.0 + _rastrigin_like(x[objectives - 1 :])
    costs = []
    for i in range(objectives):
        product = math.prod(x[: objectives - 1 - i])
        costs.append(0.5 * g * product * (1.0 if i == 0 else 1.0 - x[objectives - 1 - i]))
    return tuple(costs)


def _on_sphere(x: Vector, g: float, objectives: int) -> tuple[float, ...]:
    angles = [v * math.pi / 2.0 for v in x[: objectives - 1]]
    costs = []
    for i in range(objectives):
        product = math.prod(math.cos(angle) for angle in angles[: objectives - 1 - i])
        costs.append((1.0 + g) * product * (1.0 if i == 0 else math.sin(angles[objectives - 1 - i])))
    return tuple(costs)


def dtlz2(x: Vector, objectives: int = 3) -> tuple[float, ...]:
    """The same, section 6.2: the positive part of the unit sphere."""
    return _on_sphere(x, sum((v - 0.5) ** 2 for v in x[objectives - 1 :]), objectives)


def dtlz3(x: Vector, objectives: int = 3) -> tuple[float, ...]:
    """The same, section 6.3: the sphere of DTLZ2 behind the many fronts of DTLZ1."""
    return _on_sphere(x, _rastrigin_like(x[objectives - 1 :]), objectives)
