"""Local search: neighbours of the best so far, and a new start where none is better (White, Nolen and Savani 2021)."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.search.algorithms.base import Algorithm, Exhausted, positive
from coevo.search.algorithms.coordinates import asked_of
from coevo.search.canonical import Stream, stream
from coevo.search.design import Design, Origin
from coevo.search.questions import Integer, One, Order, Question, Real
from coevo.search.ranking import dominates
from coevo.search.trial import Trial
from coevo.search.variation import Variation


@dataclass(slots=True)
class Peak:
    """A trial of the present climb that nothing told since beats, and how many of its neighbours were told."""

    trial: Trial
    patience: int
    tried: int = 0


class LocalSearch(Algorithm):
    """Climbs from a random design by single changes of an answer, taking the first improvement ("query until lower"
    in the paper), and starts anew at a local optimum.

    With several objectives the climb keeps every trial that no other of it dominates, and looks around those of which
    the fewest neighbours are known (Pareto local search, Paquete, Chiarandini and Stuetzle 2004).

    A trial counts as a local optimum when as many of its neighbours were told as it has: the other options of each
    choice, the two next integers, two for a real number, the swaps of an order, the exchanges of a subset; or
    `patience` of them, where that is given. `starts` random designs begin a climb, and the best of them go on; with a
    lag there are at least lag + 1 of them. `eta` is the distribution index of polynomial mutation.
    """

    name = "local_search"
    attempts = 64  # the last neighbours that are left are hard to hit

    def __init__(self, patience: int | None = None, starts: int = 1, eta: float = 20.0):
        self.patience = None if patience is None else positive("patience", patience)
        self.starts = positive("starts", starts)
        self.eta = eta
        Variation(eta=eta)  # which refuses a bad index
        self._peaks: list[Peak] = []
        self._climb: set[int] = set()  # indices of the trials that belong to the present climb
        self._started = 0

    @property
    def members(self) -> list[Trial]:
        """What the present climb stands on: one trial, or a front of them."""
        return [peak.trial for peak in self._peaks]

    def ask(self, i: int) -> Design | Exhausted:
        if not self._peaks or self._started < self.starts:
            return self.unseen(i)
        for attempt in range(self.attempts):
            # Where an earlier climb knew the neighbours, the next circles: they are told as neighbours, so it ends too.
            design = self._propose(stream(self.seed, "ask", i, attempt), changes=1 + max(0, attempt - 40) // 8)
            if design is not None and design.digest not in self.seen:
                return design
        return self.unseen(i)

    def _propose(self, rng: Stream, changes: int) -> Design | None:
        """A neighbour of one of the peaks with the fewest neighbours known; those under way are not counted yet."""
        least = min(peak.tried for peak in self._peaks)
        near = [peak for peak in self._peaks if peak.tried <= least + self.lag // len(self._peaks)]
        parent = near[rng.below(len(near))].trial
        rate = (changes - 1) / max(len(parent.design.answers), 1)  # with none chosen by chance, one answer varies
        variation = Variation(0.0, min(rate, 1.0), "uniform", self.eta)
        return self.space.child(rng, variation, parent.design, None, Origin("mutation", (parent.index,)))

    def tell(self, trial: Trial) -> None:
        origin = trial.design.origin
        parents = origin.parents if origin is not None else ()
        if parents and not self._climb.issuperset(parents):
            return  # a late neighbour of a climb that ended: it would lead straight back
        for peak in self._peaks:
            peak.tried += peak.trial.index in parents
        if trial.score is not None:
            self._started += not parents
            self._climb.add(trial.index)
            self._take(trial)
        if self._peaks and all(peak.tried >= peak.patience for peak in self._peaks):
            self._peaks, self._climb, self._started = [], set(), 0

    def _take(self, trial: Trial) -> None:
        assert trial.score is not None
        for peak in self._peaks:
            assert peak.trial.score is not None
            if peak.trial.score == trial.score or dominates(peak.trial.score, trial.score):
                return
        self._peaks = [peak for peak in self._peaks if not dominates(trial.score, peak.trial.score)]  # type: ignore[arg-type]
        neighbours = sum(_neighbours(question) for _, question, _ in asked_of(self.space, trial.design))
        patience = self.patience or max(1, neighbours)
        self._peaks.append(Peak(trial, patience))


def _neighbours(question: Question) -> int:
    """How many answers are one step away."""
    if isinstance(question, One):
        return question.size - 1
    if isinstance(question, Integer):
        return min(question.size - 1, 2)
    if isinstance(question, Real):
        return 2 if question.size is None else 0
    n, k = len(question.items.answers), question.k
    swaps = k * (k - 1) // 2 if isinstance(question, Order) else 0
    return swaps + k * (n - k)
