"""NAAS's evolution of mappings (Lin et al. 2021, section 3.2): a normal distribution in the unit cube follows the best.

Each generation is drawn from N(mean, covariance), ranked by the goal alone, and the best are the parents: the mean
moves to their centre, the covariance towards the spread of the parents around the old mean (the rank-mu update of
CMA-ES). The paper states neither population nor parents; ours are in `Settings`. Every vector decodes to a mapping that
fits (encoding.py repairs by shrinking), so ranking needs no penalty.

The last evaluations are spent near the best: single bounds and orders are changed (`kernels/mapping_cost/refine.py`),
which no step of all genes at once does. `PAPER` is the evolution without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.errors import ConfigError
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.kernels.mapping_cost.evolve import Room
from coevo.kernels.mapping_cost.packed import LANES
from coevo.kernels.mapping_cost.refine import MOVES, NUMBERS
from coevo.spaces.naas.mapper.encoding import gene_count, live_genes
from coevo.spaces.naas.mapper.goals import nothing_fits

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settings:
    """`spread`: standard deviation at the start, in a cube of side 1; `learning`: weight of the new covariance.
    `refined`: share of the evaluations that are spent near the best at the end, `near` at a time."""

    population: int = 100
    parents: int = 25
    spread: float = 0.35
    learning: float = 0.25
    refined: float = 0.4
    near: int = 50

    def __post_init__(self) -> None:
        if not 2 <= self.parents <= self.population:
            raise ConfigError(f"parents must lie in 2..population ({self.population}), got {self.parents}")
        if not self.spread > 0.0 or not 0.0 < self.learning <= 1.0:
            raise ConfigError(
                f"spread must be positive and learning in (0, 1], got {self.spread:g} and {self.learning:g}"
            )
        if not 0.0 <= self.refined < 1.0 or not 1 <= self.near <= LANES:
            raise ConfigError(
                f"refined must lie in [0, 1) and near in 1..{LANES}, got {self.refined:g} and {self.near}"
            )


PAPER = Settings(refined=0.0)
"""Evolution alone, as in the paper."""


@dataclass(frozen=True, eq=False, slots=True)
class Evolved:
    """The best mapping (a batch of one), its value, and the lowest value after each generation and each step near the
    best."""

    best: MappingArrays
    value: float
    history: Floats
    evaluations: int


def evolve(
    tables: Tables,
    generator: np.random.Generator,
    evaluations: int,
    goal: str = "edp",
    encoding: str = "importance",
    settings: Settings | None = None,
) -> Evolved:
    """At most `evaluations` mappings are judged; the result follows from the generator's state alone."""
    settings = settings or Settings()
    if evaluations < 1:
        raise ConfigError(f"evaluations must be at least 1, got {evaluations}")
    live, by_index = live_genes(tables, encoding), encoding == "index"
    room = Room(tables)
    mean, covariance = np.full(len(live), 0.5), np.eye(len(live)) * settings.spread**2
    # What a loop of size 1 is given means nothing: those genes stay where they are, and are no part of the evolution.
    points = np.full((gene_count(tables, encoding), min(settings.population, evaluations)), 0.5)
    best, value, history, used = points[:, :1], np.inf, [], 0
    refined = int(settings.refined * evaluations)
    near = min(settings.near, refined)
    steps = refined // near if near else 0
    evolved = evaluations - steps * near
    while used < evolved:
        size = min(settings.population, evolved - used)
        normals = generator.standard_normal((len(live), size))
        drawn = np.ascontiguousarray(points[:, :size])
        values = room.generation(
            mean, covariance, normals, live, min(settings.parents, size), settings.learning, goal, by_index, drawn
        )
        used += size
        first = int(values.argmin())
        if values[first] < value:
            value, best = float(values[first]), drawn[:, [first]]
        history.append(value)
    if value == np.inf:
        raise nothing_fits(evaluations)
    mapping = room.decode(best, by_index)
    if steps:
        numbers = generator.random((steps, near, 1 + MOVES * NUMBERS))
        mapping, later = room.refine(mapping, value, numbers, goal)
        history.extend(later)
    return Evolved(mapping, float(history[-1]), np.array(history), evaluations)
