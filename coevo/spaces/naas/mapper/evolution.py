"""NAAS's evolution of mappings (Lin et al. 2021, section 3.2): a normal distribution in the unit cube follows the best.

Each generation is drawn from N(mean, covariance), ranked by the goal alone, and the best are the parents: the mean
moves to their centre, the covariance towards the spread of the parents around the old mean (the rank-mu update of
CMA-ES). The paper states neither population nor parents; ours are in `Settings`. Every vector decodes to a mapping that
fits (encoding.py repairs by shrinking), so ranking needs no penalty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.errors import ConfigError
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.spaces.naas.mapper.encoding import decode, gene_count
from coevo.spaces.naas.mapper.goals import judge

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settings:
    """`spread`: standard deviation at the start, in a cube of side 1; `learning`: weight of the new covariance."""

    population: int = 100
    parents: int = 25
    spread: float = 0.35
    learning: float = 0.25

    def __post_init__(self) -> None:
        if not 2 <= self.parents <= self.population:
            raise ConfigError(f"parents must lie in 2..population ({self.population}), got {self.parents}")
        if not self.spread > 0.0 or not 0.0 < self.learning <= 1.0:
            raise ConfigError(
                f"spread must be positive and learning in (0, 1], got {self.spread:g} and {self.learning:g}"
            )


@dataclass(frozen=True, eq=False, slots=True)
class Evolved:
    """The best mapping (a batch of one), its value, and the lowest value after each generation [generations]."""

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
    genes = gene_count(tables, encoding)
    mean = np.full(genes, 0.5)
    covariance = np.eye(genes) * settings.spread**2
    best: MappingArrays | None = None
    value, history, used = np.inf, [], 0
    while used < evaluations:
        size = min(settings.population, evaluations - used)
        factor = np.linalg.cholesky(covariance + 1e-10 * np.eye(genes))
        drawn = mean + generator.standard_normal((size, genes)) @ factor.T
        drawn = _reflected(drawn)
        mappings = decode(tables, drawn, encoding)
        judged = judge(tables, mappings, goal)
        used += size
        ranking = np.argsort(np.where(judged.overflow > 0.0, np.inf, judged.value), kind="stable")
        first = int(ranking[0])
        if judged.overflow[first] == 0.0 and judged.value[first] < value:
            value = float(judged.value[first])
            best = MappingArrays(
                mappings.temporal[[first]].copy(), mappings.rank[[first]].copy(), mappings.spatial[[first]].copy()
            )
        history.append(value)
        parents = drawn[ranking[: min(settings.parents, size)]]
        steps = parents - mean
        covariance = (1.0 - settings.learning) * covariance + settings.learning * (steps.T @ steps) / len(parents)
        mean = parents.mean(axis=0)
    if best is None:
        raise AssertionError("a vector decoded to a mapping that does not fit")
    return Evolved(best, value, np.array(history), used)


def _reflected(points: Floats) -> Floats:
    """Into the unit cube: what leaves it on one side comes back from there."""
    folded: Floats = 1.0 - np.abs(np.mod(points, 2.0) - 1.0)
    return folded
