"""What a running study has come to, kept up from its events: numbers for the live view, no drawing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coevo.cli.rungs import Rungs
from coevo.search.events import Asked, Event, Finished, Prepared, Progress, Staged, Started, Told
from coevo.search.front import EQUALS_KEPT, Archive
from coevo.search.objectives import Goals
from coevo.search.trial import Trial

PHASES = ("prepare", "search", "export")
WINDOW_S = 30.0


@dataclass
class Phase:
    """One bar: `share` of it is done, `text` says what it is at."""

    name: str
    state: str = "waits"  # "waits", "runs", "done" or "skipped"
    share: float = 0.0
    text: str = ""
    began: float = 0.0
    seconds: float = 0.0
    left_s: float | None = None


class Tally:
    """Counts, bests, rates and what is left. `clock` is seconds that only go forward."""

    def __init__(
        self,
        goals: Goals,
        budget: Mapping[str, float],
        units: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        stages: Sequence[str] = ("full",),
    ):
        self.goals = goals
        self.budget = dict(budget)
        self.units = dict(units or {})
        self.phases = {name: Phase(name) for name in PHASES}
        self.told = self.failed = self.infeasible = self.cached = self.troubled = 0
        self.workers = 1
        self.runner = "local"
        self.best: dict[str, tuple[float, int]] = {}
        self.earlier_s = 0.0
        self.rungs = Rungs(stages, goals)
        self._archive = Archive(len(stages) - 1, EQUALS_KEPT)
        self._clock = clock
        self._samples: deque[tuple[float, int, float]] = deque()

    @property
    def cost_s(self) -> float:
        """Evaluator seconds so far, of designs under way too."""
        return self.rungs.cost_s

    @property
    def front(self) -> int:
        return len(self._archive.trials) + self._archive.left_out

    def catch_up(self, trials: Iterable[Trial], seconds: float = 0.0) -> None:
        """Takes in what an earlier process told, before the study goes on."""
        for trial in trials:
            self._count(trial)
        self.earlier_s = seconds
        self._samples.clear()

    def begin_session(self) -> None:
        """A driver goes on with what an earlier one began: its seconds count, the pause does not."""
        search = self.search_progress()
        self.earlier_s += search.seconds
        self.phases["search"] = Phase("search")
        if self.phases["prepare"].state == "runs":
            self.phases["prepare"] = Phase("prepare")
        self._samples.clear()

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.workers, self.runner = event.workers, event.runner
                if self.phases["prepare"].state == "waits":
                    self.begin("prepare")
            case Progress():
                self.advance(event.phase, event.done, event.total, event.text)
            case Prepared():
                self.end("prepare")
            case Asked():
                self._search_runs()
            case Staged():
                self._search_runs()
                self.rungs.take(event.trial, told=False)
            case Told():
                self._search_runs()
                self._count(event.trial)
                self._sample()
            case Finished():
                self.end("search")
            case _:
                pass

    def begin(self, name: str) -> None:
        phase = self.phases[name]
        if phase.state != "runs":
            phase.state, phase.began = "runs", self._clock()

    def end(self, name: str) -> None:
        phase = self.phases[name]
        if phase.state == "runs":
            phase.seconds = self._clock() - phase.began
        phase.state, phase.share, phase.left_s, phase.text = "done", 1.0, 0.0, ""

    def skip(self, name: str) -> None:
        self.phases[name].state = "skipped"

    def advance(self, name: str, done: float, total: float, text: str) -> None:
        """A phase is at `done` of `total`; what is left is reckoned from what it took so far."""
        self.begin(name)
        phase = self.phases[name]
        phase.text = text
        phase.share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
        spent = self._clock() - phase.began
        phase.left_s = spent * (1 - phase.share) / phase.share if phase.share > 0.01 and spent > 0.5 else None

    def _search_runs(self) -> None:
        if self.phases["prepare"].state in ("waits", "runs"):
            if self.phases["prepare"].state == "waits":
                self.skip("prepare")
            else:
                self.end("prepare")
        self.begin("search")

    def search_progress(self) -> Phase:
        """The search's bar as of now: the share of whichever budget ends first."""
        phase = self.phases["search"]
        if phase.state != "runs":
            return phase
        spent = self._clock() - phase.began + self.earlier_s
        rate, cost_rate = self.rates()
        shares = {"trials": float(self.told), "seconds": spent, "cost_s": self.cost_s}
        speeds = {"trials": rate, "seconds": 1.0, "cost_s": cost_rate}
        lefts = []
        phase.share = 0.0
        for name, limit in self.budget.items():
            phase.share = max(phase.share, min(shares[name] / limit, 1.0))
            if speeds[name] > 0:
                lefts.append(max(limit - shares[name], 0.0) / speeds[name])
        phase.left_s = min(lefts) if lefts else None
        phase.seconds = self._clock() - phase.began
        return phase

    def rates(self) -> tuple[float, float]:
        """Trials and evaluation seconds a second, over the last half minute."""
        now = self._clock()
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()
        if not self._samples or now - self._samples[0][0] < 1e-3:
            return 0.0, 0.0
        then, told, cost = self._samples[0]
        return (self.told - told) / (now - then), (self.cost_s - cost) / (now - then)

    def _sample(self) -> None:
        now = self._clock()
        if not self._samples:  # the first trial took as long as the search has run
            self._samples.append((self.phases["search"].began, self.told - 1, 0.0))
        if now - self._samples[-1][0] >= 0.5:
            self._samples.append((now, self.told, self.cost_s))

    def _count(self, trial: Trial) -> None:
        self.told += 1
        self.rungs.take(trial, told=True)
        self.troubled += bool(trial.how)
        self.cached += trial.cached_from is not None
        if trial.score is None:
            self.failed += 1
            return
        if trial.score.violation > 0:
            self.infeasible += 1
            return
        if trial.score.depth < self._archive.depth:  # a cheaper stage's numbers are not the last one's
            return
        self._archive.add(trial)
        for goal in self.goals.objectives:
            value = trial.outcome.metrics[goal.metric]
            known = self.best.get(goal.metric)
            if known is None or (value > known[0] if goal.direction == "max" else value < known[0]):
                self.best[goal.metric] = (value, trial.index)
