"""Who was asked and what was told: designs, trials, the front and the counts, held in memory and in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coevo.errors import CorruptRun
from coevo.search import records
from coevo.search.algorithms import Algorithm, Exhausted
from coevo.search.canonical import derived_seed
from coevo.search.design import Design
from coevo.search.evaluator import Candidate, Outcome
from coevo.search.folder import RunFolder, sync
from coevo.search.front import Archive
from coevo.search.objectives import Goals, judge
from coevo.search.problem import Stage
from coevo.search.runners.base import Done
from coevo.search.schedule import Schedule
from coevo.search.space import Space
from coevo.search.trial import Trial


class Ledger:
    """Asks the algorithm in order, records what comes back, and recalls all of it from a store.

    Nothing here waits, evaluates or prints. What `ask` and `record` did becomes durable with `folder.store.commit()`.
    """

    def __init__(
        self,
        space: Space,
        stage: Stage,
        goals: Goals,
        algorithm: Algorithm,
        schedule: Schedule,
        seen: set[bytes],
        seed: int,
        device: str,
    ):
        self.space, self.stage, self.goals, self.algorithm = space, stage, goals, algorithm
        self.schedule, self.seed, self.device = schedule, seed, device
        self.archive = Archive()
        self.open: dict[int, Design] = {}  # asked and not yet told
        self.told = self.failed = self.infeasible = 0
        self.cost_s = 0.0
        self.prepared: dict[str, dict[str, str]] | None = None
        self.seconds_before = 0.0  # of earlier sessions
        self._seen = seen
        self._needed = goals.needed
        self._evaluator = stage.evaluator.label
        self._folder: RunFolder
        self._designs_folder: Path

    def attach(self, folder: RunFolder) -> None:
        """Keeps its records in this folder from now on, and recalls those that are there."""
        self._folder = folder
        self._designs_folder = folder.path / "designs"
        self._recall()

    @property
    def _home(self) -> Path | None:
        return None if self._folder.is_private else self._folder.path

    def ask(self) -> Candidate | Exhausted:
        """The next design, after the algorithm was told exactly what it may know by now."""
        index = self.schedule.asked
        for trial in self.schedule.due(index):
            self.algorithm.tell(trial)
        design = self.algorithm.ask(index)
        if isinstance(design, Exhausted):
            return design
        self._asked(index, design)
        self._folder.store.append_asked(index, design.key, records.asked_content(design))
        return self.candidate(index, design)

    def candidate(self, index: int, design: Design) -> Candidate:
        """The design as an evaluator gets it."""
        key = design.key
        return Candidate(index, key, self.space.build(design), derived_seed(self.seed, key), self._designs_folder)

    def record(self, done: Done, candidate: Candidate | None, cached_from: int | None = None) -> Trial:
        """Judges an outcome and makes a trial of it."""
        design = self.open[done.index]
        outcome, score = done.outcome, None
        if outcome.failure is None:
            metrics, failure = judge(outcome.metrics, self._needed)
            outcome = Outcome(metrics, failure, outcome.artifacts)
            score = None if failure is not None else self.goals.score(metrics)
        trial = Trial(
            index=done.index,
            design=design,
            stage=self.stage.name,
            outcome=outcome,
            cost_s=done.cost_s,
            evaluator=self._evaluator,
            device=self.device,
            seed=derived_seed(self.seed, design.key) if candidate is None else candidate.seed,
            score=score,
            cached_from=cached_from,
            how=done.how,
        )
        if outcome.artifacts and self._home is not None:
            sync(outcome.artifacts.values())
        cache_key = self.schedule.cache_key(candidate) if candidate is not None and not done.how else None
        self._folder.store.append("told", done.index, records.told_body(trial, self._home, cache_key))
        self._told(trial, cache_key)
        return trial

    def from_cache(self, candidate: Candidate, first: int) -> Trial | None:
        """The trial of a candidate whose outcome the batch that begins at `first` may take over, recorded."""
        key = self.schedule.cache_key(candidate)
        source = self.schedule.cached(key, first) if key is not None else None
        if source is None:
            return None
        return self.record(Done(candidate.index, source.outcome, 0.0), candidate, cached_from=source.index)

    def _asked(self, index: int, design: Design) -> None:
        self._seen.add(design.digest)
        self.open[index] = design
        self.schedule.asked = index + 1

    def _told(self, trial: Trial, cache_key: str | None) -> None:
        del self.open[trial.index]
        self.told += 1
        self.cost_s += trial.cost_s
        if trial.score is None:
            self.failed += 1
        elif trial.score.violation > 0:
            self.infeasible += 1
        self.archive.add(trial)
        self.schedule.completed(trial, cache_key)

    def _recall(self) -> None:
        """Feeds what is stored through `tell`, in the order and at the moments of the first time."""
        session: float | None = None
        last = 0.0
        for row in self._folder.store.rows():
            if row.kind == "asked" and row.trial is not None:
                for trial in self.schedule.due(row.trial):
                    self.algorithm.tell(trial)
                self._asked(row.trial, records.design_of(self.space.id, row))
            elif row.kind == "told" and row.trial is not None:
                if row.trial not in self.open:
                    raise CorruptRun(f"event {row.sequence} tells trial {row.trial}, which is not open")
                body: dict[str, Any] = row.body
                trial = records.trial_of(row.trial, self.open[row.trial], body, self.goals, self._home)
                self._told(trial, body.get("cache"))
            elif row.kind == "prepared":
                self.prepared = row.body["artifacts"]
            elif row.kind == "started":
                self.seconds_before += last - session if session is not None else 0.0
                session = row.at
            last = row.at
        self.seconds_before += last - session if session is not None else 0.0
