"""The two search distributions of the `cmaes` library behind one face: draw a point, inject one, learn from a ranking.

`Reals` is CMA-ES (Hansen 2016, "The CMA Evolution Strategy: A Tutorial"). `Mixed` is CatCMA with margin (Hamano et al.
2025, arXiv 2504.07884): a Gaussian whose integer coordinates keep a least chance to change, beside independent
categorical distributions under natural gradient. All coordinates lie in 0..1, or are positions.

What the library keeps to itself is read in two places: mean, step and covariance, to shorten injected steps, and the
raw vector of a mixed solution, to make one of a design that was not drawn. So its version is bounded closely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from coevo.errors import missing_extra
from coevo.search.algorithms.coordinates import Coordinate

Floats = NDArray[np.float64]
Point = Any  # as the library's `tell` wants it


def library() -> Any:
    """The `cmaes` package; MissingExtra where it is not installed."""
    try:
        import cmaes
    except ImportError:
        raise missing_extra("cmaes", "cmaes") from None
    return cmaes


class Distribution(Protocol):
    """`seed` fixes a draw; the library's own random state never matters."""

    def draw(self, seed: int) -> Point: ...

    def values(self, point: Point) -> Sequence[float]:
        """The coordinates of a point, in their order."""
        ...

    def inject(self, known: Mapping[int, float], seed: int) -> Point:
        """A point with these coordinates (by place), drawn elsewhere; too long a step from the mean is shortened."""
        ...

    def learn(self, best_first: Sequence[Point]) -> None: ...

    def should_stop(self) -> bool: ...


def make(coordinates: Sequence[Coordinate], population: int, mean: Floats, sigma: float) -> Distribution:
    """The distribution for these coordinates; `mean` has one entry a coordinate (ignored for categories), in 0..1."""
    if all(coordinate.kind == "real" for coordinate in coordinates):
        return Reals(len(coordinates), population, mean, sigma)
    return Mixed(coordinates, population, mean, sigma)


class Reals:
    """Bounds are the library's: draws outside are drawn again."""

    def __init__(self, n: int, population: int, mean: Floats, sigma: float):
        bounds = np.tile([0.0, 1.0], (n, 1))
        self._cma = library().CMA(mean=mean.copy(), sigma=sigma, bounds=bounds, population_size=population, seed=0)

    def draw(self, seed: int) -> Point:
        self._cma.reseed_rng(seed)
        return self._cma.ask()

    def values(self, point: Point) -> Sequence[float]:
        return point.tolist()  # type: ignore[no-any-return]

    def inject(self, known: Mapping[int, float], seed: int) -> Point:
        vector = self.draw(seed).copy()
        for place, value in known.items():
            vector[place] = value
        return shortened(vector, self._cma.mean, self._cma._sigma * np.ones(len(vector)), self._cma._C)

    def learn(self, best_first: Sequence[Point]) -> None:
        self._cma.tell([(point, float(rank)) for rank, point in enumerate(best_first)])

    def should_stop(self) -> bool:
        return bool(self._cma.should_stop())


class Mixed:
    """The library wants real coordinates first, then integers, then categories; an integer's positions are spread over
    0..1. A draw outside the bounds is clipped, and the library charges for it by rank."""

    def __init__(self, coordinates: Sequence[Coordinate], population: int, mean: Floats, sigma: float):
        self._places: dict[str, list[int]] = {"real": [], "integer": [], "category": []}
        for place, coordinate in enumerate(coordinates):
            self._places[coordinate.kind].append(place)
        self._sizes = [coordinate.size for coordinate in coordinates]
        numeric = self._places["real"] + self._places["integer"]
        grids = [
            [(k + 0.5) / self._sizes[place] for k in range(self._sizes[place])] for place in self._places["integer"]
        ]
        self._cma = library().CatCMAwM(
            x_space=[[0.0, 1.0]] * len(self._places["real"]) or None,
            z_space=grids or None,
            c_space=[self._sizes[place] for place in self._places["category"]] or None,
            population_size=population,
            mean=mean[numeric].copy(),
            sigma=sigma,
            cov=np.eye(len(numeric)),
            seed=0,
        )

    def draw(self, seed: int) -> Point:
        self._cma.reseed_rng(seed)
        return self._cma.ask()

    def values(self, point: Point) -> Sequence[float]:
        values = [0.0] * len(self._sizes)
        if point.x is not None:
            for place, value in zip(self._places["real"], point.x.tolist(), strict=True):
                values[place] = value
        if point.z is not None:
            for place, value in zip(self._places["integer"], point.z.tolist(), strict=True):
                values[place] = float(int(value * self._sizes[place]))
        if point.c is not None:
            for place, row in zip(self._places["category"], point.c, strict=True):
                values[place] = float(row.argmax())
        return values

    def inject(self, known: Mapping[int, float], seed: int) -> Point:
        drawn: Any = self.draw(seed)
        vector = drawn._v_raw.copy()
        for slot, place in enumerate(self._places["real"] + self._places["integer"]):
            if place in known:
                size = self._sizes[place]
                vector[slot] = (known[place] + 0.5) / size if size else known[place]
        vector = shortened(vector, self._cma._mean, self._cma._sigma * self._cma._A, self._cma._C)
        rows = drawn.c
        for slot, place in enumerate(self._places["category"]):
            if place in known:
                rows[slot] = False
                rows[slot, int(known[place])] = True
        return library().CatCMAwM.Solution(drawn.x, drawn.z, rows, vector)

    def learn(self, best_first: Sequence[Point]) -> None:
        self._cma.tell([(point, float(rank)) for rank, point in enumerate(best_first)])

    def should_stop(self) -> bool:
        return bool(self._cma.should_stop())


def shortened(vector: Floats, mean: Floats, scale: Floats, covariance: Floats) -> Floats:
    """The vector, drawn towards the mean where its Mahalanobis length exceeds sqrt(n) + 2 n / (n + 2): "Injecting
    External Solutions Into CMA-ES" (Hansen 2011, equation 4), so that one point from afar cannot blow up the step."""
    n = len(vector)
    step = (vector - mean) / scale
    length = math.sqrt(max(float(step @ np.linalg.solve(covariance, step)), 0.0))
    limit = math.sqrt(n) + 2.0 * n / (n + 2.0)
    return vector if length <= limit else np.asarray(mean + (vector - mean) * (limit / length))
