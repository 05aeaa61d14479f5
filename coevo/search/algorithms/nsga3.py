"""NSGA-III (Deb and Jain 2014; Jain and Deb 2014 for constraints), steady rather than in generations."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from coevo.errors import ConfigError
from coevo.search.algorithms import directions, niching
from coevo.search.algorithms.base import Exhausted, positive
from coevo.search.algorithms.nsga2 import NSGA2
from coevo.search.canonical import Stream, stream
from coevo.search.design import Design
from coevo.search.objectives import Goals
from coevo.search.space import Space
from coevo.search.trial import Trial
from coevo.search.variation import Variation


class NSGA3(NSGA2):
    """Keeps `population` trials by non-dominated rank and by niches along reference directions, which spread over many
    objectives where crowding does not.

    The directions are Das and Dennis's with `partitions` a side, and a second layer inside with `inner_partitions`;
    unless given, the finest that there is a member each for. Of two parents drawn at random, the one of the deeper
    stage or with less hard violation is taken. A soft constraint is one more objective. The rest is as in `NSGA2`;
    real numbers cross by SBX with the paper's index 30.
    """

    name = "nsga3"

    def __init__(
        self,
        population: int = 100,
        partitions: int | None = None,
        inner_partitions: int | None = None,
        crossover: float = 1.0,
        mutation: float | None = None,
        real_crossover: str = "sbx",
        sbx_eta: float = 30.0,
        eta: float = 20.0,
        refresh: int | None = None,
    ):
        super().__init__(population, crossover, mutation, real_crossover, eta, refresh)
        self.sbx_eta = sbx_eta
        self._variation = Variation(crossover, mutation, real_crossover, eta, sbx_eta)
        if inner_partitions is not None and partitions is None:
            raise ConfigError("inner_partitions: expected together with partitions, which was not given")
        self.partitions = None if partitions is None else positive("partitions", partitions)
        self.inner_partitions = None if inner_partitions is None else positive("inner_partitions", inner_partitions)
        self._kept: list[Trial] = []
        self._told = 0

    def bind(self, space: Space, goals: Goals, seed: int, lag: int, seen: Container[bytes]) -> None:
        objectives = len(goals.objectives) + bool(goals.soft)
        if objectives < 2:
            raise ConfigError(
                "algorithm 'nsga3' spreads over several objectives, and there is one; take 'regularized_evolution', "
                "'local_search', or 'cmaes' where choices are numbers"
            )
        outer, inner = self.partitions, self.inner_partitions or 0
        if outer is None:
            outer, inner = directions.partitions_for(objectives, self.population)
        points = directions.layers(objectives, outer, inner)
        if len(points) > self.population:
            raise ConfigError(
                f"population: {outer} and {inner} partitions with {objectives} objectives make {len(points)} reference "
                f"directions, which need a population of at least that; got {self.population}"
            )
        super().bind(space, goals, seed, lag, seen)
        self._directions: niching.Floats = points / np.linalg.norm(points, axis=1, keepdims=True)
        self._normalise = niching.Normaliser(objectives)

    @property
    def directions(self) -> niching.Floats:
        """The reference directions as unit vectors [n, objectives]."""
        return self._directions

    @property
    def members(self) -> list[Trial]:
        """The population as it stands, with the trials that wait for the next selection taken in."""
        self._select()
        return list(self._kept)

    def ask(self, i: int) -> Design | Exhausted:
        if i < self.population or len(self._kept) < 2:
            return self.unseen(i)
        return self.fresh(i, self._propose)

    def tell(self, trial: Trial) -> None:
        self._told += trial.score is not None
        super().tell(trial)

    def _select(self) -> None:
        if not self._waiting:
            return
        pool, self._waiting = self._kept + self._waiting, []
        scores = [trial.score for trial in pool if trial.score is not None]
        rng = stream(self.seed, "niching", self._told)
        kept = niching.survivors(scores, min(self.population, len(pool)), self._directions, self._normalise, rng)
        self._kept = [pool[index] for index in kept]

    def _tournament(self, rng: Stream) -> Trial:
        first, second = (self._kept[rng.below(len(self._kept))] for _ in range(2))
        assert first.score is not None and second.score is not None
        better = (-second.score.depth, second.score.violation) < (-first.score.depth, first.score.violation)
        return second if better else first
