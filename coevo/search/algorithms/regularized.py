"""Regularized evolution (Real, Aggarwal, Huang, Le 2019): tournaments, mutation, and death by age."""

from __future__ import annotations

from collections import deque

from coevo.errors import ConfigError
from coevo.search.algorithms.base import Algorithm, Exhausted, positive
from coevo.search.canonical import Stream
from coevo.search.design import Design, Origin
from coevo.search.ranking import dominates
from coevo.search.trial import Trial
from coevo.search.variation import Variation


class RegularizedEvolution(Algorithm):
    """The youngest `population` trials live; each child mutates the best of `sample` of them drawn at random.

    With several objectives the parent is one of the sample's non-dominated trials. `mutation` and `eta` are as in
    `NSGA2`.
    """

    name = "regularized_evolution"

    def __init__(self, population: int = 100, sample: int = 25, mutation: float | None = None, eta: float = 20.0):
        self.population = positive("population", population, least=2)
        self.sample = positive("sample", sample)
        if sample > population:
            raise ConfigError(f"sample ({sample}) must not be larger than the population ({population})")
        self.mutation, self.eta = mutation, eta
        self._variation = Variation(0.0, mutation, "uniform", eta)
        self._living: deque[Trial] = deque(maxlen=population)

    @property
    def members(self) -> list[Trial]:
        """The living, oldest first."""
        return list(self._living)

    def tell(self, trial: Trial) -> None:
        if trial.score is not None:
            self._living.append(trial)

    def ask(self, i: int) -> Design | Exhausted:
        if i < self.population or not self._living:
            return self.unseen(i)
        return self.fresh(i, self._propose)

    def _propose(self, rng: Stream) -> Design | None:
        drawn = [self._living[j] for j in rng.pick_k(len(self._living), min(self.sample, len(self._living)))]
        best = [drawn[0]]
        for trial in drawn[1:]:
            if any(dominates(rival.score, trial.score) for rival in best):  # type: ignore[arg-type]
                continue
            best = [rival for rival in best if not dominates(trial.score, rival.score)] + [trial]  # type: ignore[arg-type]
        parent = best[rng.below(len(best))]
        return self.space.child(rng, self._variation, parent.design, None, Origin("mutation", (parent.index,)))
