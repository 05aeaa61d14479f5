"""CMA-ES over the `cmaes` library: one objective, real numbers and integers, with discrete choices beside them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Container
from typing import Any, Literal

import numpy as np

from coevo.errors import ConfigError, unknown_name
from coevo.search.algorithms import gaussians
from coevo.search.algorithms.base import Algorithm, Exhausted, positive
from coevo.search.algorithms.coordinates import asked_of, discover
from coevo.search.canonical import Stream, stream
from coevo.search.design import Design, Origin
from coevo.search.objectives import Goals
from coevo.search.questions import MISSING, Question
from coevo.search.space import Space
from coevo.search.trial import Trial

BROUGHT = ("enqueued", "imported")
ROUNDING = 1e-7  # of a range: two draws that differ by less are one draw, rounded otherwise
FLAT = 1e-12  # a span of costs below it over many generations is no progress any more


class CMAES(Algorithm):
    """Covariance matrix adaptation in generations of `population` designs (4 + 3 ln n unless given).

    Spaces of real numbers get CMA-ES (Hansen 2016), mixed ones CatCMA with margin (Hamano et al. 2025); logarithmic
    reals are searched on their scale, integers of more than 256 steps as reals. `sigma` is the first step as a share of
    each range. Orders, subsets and choices that only rare designs ask have no coordinate: a design takes them from one
    of the better half of the latest generation, varied with a chance of one over the number of its answers.

    A generation is a fixed range of indices and `ask` sees exactly the outcomes of the generations before, whatever the
    lag. A generation is ranked by (hard violation, cost); failed trials come last, and one of failures alone teaches
    nothing. A draw that `check` refuses or that was asked before is drawn anew, up to 24 times, the later ones
    repaired where `check` says by how much; then chance or the enumeration gives a design.

    Designs that the distribution did not draw (enqueued, imported, from chance) are injected into their generation
    (Hansen 2011). Where the first generations are all of that kind, the best of them is the first mean.

    `restarts` "ipop" begins anew at a random mean with twice the population whenever the library says that nothing
    moves any more (Auger and Hansen 2005); such a generation takes several ranges of indices. "none" goes on.
    """

    name = "cmaes"
    barrier = True

    def __init__(self, population: int | None = None, sigma: float = 0.25, restarts: Literal["ipop", "none"] = "ipop"):
        gaussians.library()
        self.population = None if population is None else positive("population", population, least=4)
        if isinstance(sigma, bool) or not isinstance(sigma, (int, float)) or not 0.0 < sigma <= 1.0:
            raise ConfigError(f"sigma is a share of each range, expected more than 0 and at most 1, got {sigma!r}")
        if restarts not in ("ipop", "none"):
            raise unknown_name("restarts", restarts, ("ipop", "none"))
        self.sigma, self.restarts = sigma, restarts
        self._model: gaussians.Distribution | None = None
        self._ranges = 1  # how many ranges of indices make up a generation; doubled by every restart
        self._restarted = 0
        self._collected: list[Trial] = []
        self._known: list[Trial] = []  # brought from elsewhere, before the first draw
        self._parents: list[Design] = []
        self._spans: deque[tuple[float, float]] = deque()

    def bind(self, space: Space, goals: Goals, seed: int, lag: int, seen: Container[bytes]) -> None:
        wanted = [objective.metric for objective in goals.objectives]
        if len(wanted) > 1:
            raise ConfigError(
                f"algorithm 'cmaes' has one objective, got {len(wanted)} ({', '.join(wanted)}); take 'nsga2', or "
                "'nsga3' for four and more"
            )
        if goals.soft:
            raise ConfigError(
                f"algorithm 'cmaes' has one objective, and a soft constraint (on {goals.soft[0].metric!r}) is another; "
                "make it hard, or take 'nsga2'"
            )
        super().bind(space, goals, seed, lag, seen)
        self._coordinates = discover(space)
        if all(coordinate.kind == "category" for coordinate in self._coordinates):
            raise ConfigError(
                f"algorithm 'cmaes' needs choices that are numbers (pick.real, pick.integer), and space {space.id!r} "
                "has none; take 'regularized_evolution', 'local_search' or 'nsga2'"
            )
        self._place = {coordinate.name: place for place, coordinate in enumerate(self._coordinates)}
        self._size = self.population or 4 + math.floor(3 * math.log(len(self._coordinates)))

    @property
    def period(self) -> int:
        return self._size

    def horizon(self, i: int) -> int:
        return i - i % self._size

    # Asking -----------------------------------------------------------------------------------------------------

    def ask(self, i: int) -> Design | Exhausted:
        for attempt in range(self.attempts):
            # What `check` refuses is drawn anew at first; where valid designs are rare, a climb leads to one nearby.
            climb = attempt >= self.attempts // 2
            design = self._propose(stream(self.seed, "ask", i, attempt), climb)
            if design is not None and design.digest not in self.seen:
                return design
        return self.unseen(i)

    def _propose(self, rng: Stream, climb: bool) -> Design | None:
        model = self._started()
        values = model.values(model.draw(_seed(rng)))
        parent = self._parents[rng.below(len(self._parents))].mapping if self._parents else {}

        def choose(name: str, question: Question) -> Any:
            place = self._place.get(name)
            answer = MISSING if place is None else self._coordinates[place].answer(question, values[place])
            if answer is MISSING:
                answer = question.fits(parent.get(name, MISSING))
                if answer is MISSING:
                    return question.draw(rng)
                if rng.random() * len(parent) < 1.0:
                    answer = question.vary(answer, rng, 20.0)
            return answer

        return self.space.design_from(choose, Origin(self.name), rng if climb else None)

    # Telling ----------------------------------------------------------------------------------------------------

    def tell(self, trial: Trial) -> None:
        self._collected.append(trial)
        if len(self._collected) < self._size * self._ranges:
            return
        generation, self._collected = sorted(self._collected, key=lambda told: told.index), []
        if self._model is None and all(_how(told) in BROUGHT for told in generation):
            self._known += generation
        else:
            self._learn(generation)

    def _learn(self, generation: list[Trial]) -> None:
        model = self._started()
        ranked = sorted(generation, key=_rank)
        if ranked[0].score is None:
            return
        model.learn([self._point(model, trial) for trial in ranked])
        self._parents = [trial.design for trial in ranked[: len(ranked) // 2] if trial.score is not None]
        if self.restarts == "ipop" and (self._flat(ranked) or model.should_stop()):
            self._restarted += 1
            self._ranges *= 2
            self._model, self._parents = None, []
            self._spans.clear()

    def _point(self, model: gaussians.Distribution, trial: Trial) -> gaussians.Point:
        """The point that the trial's design was drawn as, found by drawing it again; else the design, injected."""
        asked = asked_of(self.space, trial.design)
        placed = [(self._place[name], question, answer) for name, question, answer in asked if name in self._place]
        if _how(trial) == self.name:
            # To the last digit first. A run resumed on another processor may round otherwise in its linear algebra.
            for tolerance in (0.0, ROUNDING):
                for attempt in range(self.attempts):
                    point = model.draw(_seed(stream(self.seed, "ask", trial.index, attempt)))
                    values = model.values(point)
                    if all(self._coordinates[at].agrees(q, values[at], answer, tolerance) for at, q, answer in placed):
                        return point
        known = {at: self._coordinates[at].value(question, answer) for at, question, answer in placed}
        numbers = {at: value for at, value in known.items() if value is not None}
        return model.inject(numbers, _seed(stream(self.seed, "inject", trial.index)))

    # The distribution -------------------------------------------------------------------------------------------

    def _started(self) -> gaussians.Distribution:
        """The distribution, begun at the best design known, at the middle, or after a restart anywhere."""
        if self._model is None:
            n = len(self._coordinates)
            mean = np.full(n, 0.5)
            if self._restarted:
                rng = stream(self.seed, "restart", self._restarted)
                mean = np.array([rng.random() for _ in range(n)])
            elif self._known and (best := min(self._known, key=_rank)).score is not None:
                for name, question, answer in asked_of(self.space, best.design):
                    if (place := self._place.get(name)) is not None:
                        value = self._coordinates[place].value(question, answer)
                        size = self._coordinates[place].size
                        if value is not None:
                            mean[place] = (value + 0.5) / size if size else value
                self._parents = [best.design]
            self._model = gaussians.make(self._coordinates, self._size * self._ranges, mean, self.sigma)
        return self._model

    def _flat(self, ranked: list[Trial]) -> bool:
        """No progress within the generations that the library's own test of it looks at (it is told ranks)."""
        costs = [t.score.costs[0] for t in ranked if t.score is not None and t.score.violation == 0.0]
        self._spans.append((min(costs), max(costs)) if costs else (-math.inf, math.inf))
        span = 10 + math.ceil(30 * len(self._coordinates) / len(ranked))
        if len(self._spans) <= span:
            return False
        self._spans.popleft()
        return max(high for _, high in self._spans) - min(low for low, _ in self._spans) < FLAT


def _seed(rng: Stream) -> int:
    """A seed for NumPy's generator: the stream's first number."""
    return int(rng.random() * 2**32)


def _how(trial: Trial) -> str:
    return trial.design.origin.how if trial.design.origin is not None else ""


def _rank(trial: Trial) -> tuple[float, ...]:
    """Successful ones first, the deeper stage first, then less hard violation, then the lower cost."""
    if trial.score is None:
        return (1.0,)
    return (0.0, -trial.score.depth, trial.score.violation, trial.score.costs[0])
