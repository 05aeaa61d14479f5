"""Islands: several populations side by side, whose best travel round a ring (Whitley, Rana and Heckendorn 1999)."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from coevo.errors import ConfigError, unknown_name
from coevo.search.algorithms.base import Algorithm, Exhausted, positive
from coevo.search.algorithms.nsga2 import NSGA2
from coevo.search.algorithms.nsga3 import NSGA3
from coevo.search.algorithms.regularized import RegularizedEvolution
from coevo.search.canonical import derived_seed, stream
from coevo.search.design import Design
from coevo.search.objectives import Goals
from coevo.search.ranking import dominates
from coevo.search.space import Space
from coevo.search.trial import Trial

INNER: dict[str, type[NSGA2 | RegularizedEvolution]] = {
    kind.name: kind for kind in (NSGA2, NSGA3, RegularizedEvolution)
}


class Islands(Algorithm):
    """`count` populations of the algorithm `inner`, each with the `options` given. Design i is that of island
    i modulo `count`. After every `every` trials that were told to it, an island sends one of its trials that no other
    of its members dominates to the next island, which takes it for one of its own.

    They keep more different designs alive than one population of the same size, and learn more slowly.
    """

    name = "islands"

    def __init__(self, count: int = 4, inner: str = "nsga2", every: int = 25, options: Mapping[str, Any] | None = None):
        self.count = positive("count", count, least=2)
        self.every = positive("every", every)
        if inner not in INNER:
            raise unknown_name("inner algorithm", inner, INNER, "algorithm 'islands' (it keeps a population)")
        if options is not None and not isinstance(options, Mapping):
            raise ConfigError(f"options: expected a table of options of {inner!r}, got {options!r}")
        self.inner, self.options = inner, options
        self._islands = [self._made(dict(options or {})) for _ in range(count)]
        self._told = [0] * count
        self._sent: list[set[int]] = [set() for _ in range(count)]

    def _made(self, options: dict[str, Any]) -> NSGA2 | RegularizedEvolution:
        from coevo.search.algorithms import make_algorithm

        made = make_algorithm(self.inner, options)
        assert isinstance(made, NSGA2 | RegularizedEvolution)
        return made

    def bind(self, space: Space, goals: Goals, seed: int, lag: int, seen: Container[bytes]) -> None:
        for number, island in enumerate(self._islands):
            island.bind(space, goals, derived_seed(seed, "island", number), -(-lag // self.count), seen)
        super().bind(space, goals, seed, lag, seen)

    @property
    def members(self) -> list[Trial]:
        """Everybody, island by island; who travelled stands on more than one."""
        return [trial for island in self._islands for trial in island.members]

    def ask(self, i: int) -> Design | Exhausted:
        return self._islands[i % self.count].ask(i // self.count)

    def tell(self, trial: Trial) -> None:
        home = trial.index % self.count
        self._islands[home].tell(trial)
        self._told[home] += 1
        if self._told[home] % self.every == 0:
            self._migrate(home, (home + 1) % self.count)

    def _migrate(self, home: int, target: int) -> None:
        members = [trial for trial in self._islands[home].members if trial.index not in self._sent[target]]
        best = [
            trial
            for trial in members
            if not any(dominates(other.score, trial.score) for other in members)  # type: ignore[arg-type]
        ]
        if not best:
            return
        chosen = best[stream(self.seed, "migration", home, self._told[home]).below(len(best))]
        if chosen.index % self.count != target:  # one that went round the whole ring is home
            self._sent[target].add(chosen.index)
            self._islands[target].tell(chosen)
