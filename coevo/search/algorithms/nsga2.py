"""NSGA-II (Deb, Pratap, Agarwal, Meyarivan 2002), steady rather than in generations."""

from __future__ import annotations

from coevo.search import ranking
from coevo.search.algorithms.base import Algorithm, Exhausted, positive
from coevo.search.canonical import Stream
from coevo.search.design import Design, Origin
from coevo.search.population import Population
from coevo.search.trial import Trial
from coevo.search.variation import Variation


class NSGA2(Algorithm):
    """Keeps `population` trials by non-dominated rank and crowding, with Deb's constraint domination.

    The first `population` designs are random. After that parents come from binary tournaments (domination, then
    crowding). Selection happens whenever `refresh` new trials came in (a tenth of the population unless given): no
    generation has to be complete, so no worker waits for one. `crossover` is the chance of two parents, `mutation`
    the chance of each answer to vary (None: one over their number), `real_crossover` "uniform" or "sbx", `eta` the
    distribution index of polynomial mutation.
    """

    name = "nsga2"

    def __init__(
        self,
        population: int = 100,
        crossover: float = 0.9,
        mutation: float | None = None,
        real_crossover: str = "uniform",
        eta: float = 20.0,
        refresh: int | None = None,
    ):
        self.population = positive("population", population, least=2)
        self.refresh = max(1, population // 10) if refresh is None else positive("refresh", refresh)
        self.crossover, self.mutation, self.real_crossover, self.eta = crossover, mutation, real_crossover, eta
        self._variation = Variation(crossover, mutation, real_crossover, eta)
        self._population = Population(self.population)
        self._waiting: list[Trial] = []

    @property
    def members(self) -> list[Trial]:
        """The population as it stands, with the trials that wait for the next selection taken in."""
        self._select()
        return list(self._population.members()[0])

    def tell(self, trial: Trial) -> None:
        if trial.score is None:
            return
        self._waiting.append(trial)
        if len(self._waiting) >= self.refresh:
            self._select()

    def _select(self) -> None:
        if self._waiting:
            self._population.select(self._waiting)
            self._waiting = []

    def ask(self, i: int) -> Design | Exhausted:
        if i < self.population or len(self._population) < 2:
            return self.unseen(i)
        return self.fresh(i, self._propose)

    def _propose(self, rng: Stream) -> Design | None:
        mother = self._tournament(rng)
        if rng.random() >= self.crossover:
            return self.space.child(rng, self._variation, mother.design, None, Origin("mutation", (mother.index,)))
        father = self._tournament(rng)
        for _ in range(3):
            if father is not mother:
                break
            father = self._tournament(rng)
        origin = Origin("crossover", (mother.index, father.index))
        return self.space.child(rng, self._variation, mother.design, father.design, origin)

    def _tournament(self, rng: Stream) -> Trial:
        """The better of two: the one that dominates, else the less crowded. Not the one of lower rank: the ends of the
        later fronts would lose to every member of the first, and with them the breadth of the front (ZDT2 collapses).
        """
        members, crowding = self._population.members()
        n = len(members)
        a, b = int(rng.random() * n), int(rng.random() * n)
        first, second = members[a], members[b]
        # On one front nobody dominates; to look would be in vain.
        if not self._population.one_front and first.score is not None and second.score is not None and a != b:
            if ranking.dominates(first.score, second.score):
                return first
            if ranking.dominates(second.score, first.score):
                return second
        return second if crowding[b] > crowding[a] else first
