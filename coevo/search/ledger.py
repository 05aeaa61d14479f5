"""Who was asked and what was told: designs, outcomes by stage, the front and the counts, in memory and in the store."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coevo.errors import CorruptRun, InputError
from coevo.search import records
from coevo.search.algorithms import Algorithm, Exhausted
from coevo.search.cache import OutcomeCache
from coevo.search.canonical import derived_seed
from coevo.search.design import Design, Origin
from coevo.search.evaluator import Candidate, Outcome
from coevo.search.folder import RunFolder, sync
from coevo.search.front import EQUALS_KEPT, Archive
from coevo.search.memo_book import MemoBook
from coevo.search.objectives import Goals, Score, judge
from coevo.search.problem import Stage
from coevo.search.promotion import Ladder
from coevo.search.runners.base import Done
from coevo.search.schedule import Schedule
from coevo.search.space import Space
from coevo.search.store import Row
from coevo.search.trial import StageResult, Trial


@dataclass(slots=True)
class Open:
    """A design that was asked and not yet told: its seed, its stage, its outcome there once known, and those before."""

    design: Design
    seed: int | None = None  # of its evaluation, once somebody asked
    stage: int = 0
    latest: Trial | None = None
    earlier: tuple[StageResult, ...] = ()
    artifacts: dict[str, Path] = field(default_factory=dict)


class Ledger:
    """Asks the algorithm in order, records what comes back, and recalls all of it from a store.

    Nothing here waits, evaluates or prints. What `ask` and `record` did becomes durable with `folder.store.commit()`.
    """

    def __init__(
        self,
        space: Space,
        stages: Sequence[Stage],
        goals: Goals,
        algorithm: Algorithm,
        caches: Sequence[OutcomeCache],
        schedule: Schedule,
        seen: set[bytes],
        seed: int,
        device: str,
        in_order: bool = True,
    ):
        self.space, self.stages, self.goals, self.algorithm = space, stages, goals, algorithm
        self.schedule, self.seed, self.device = schedule, seed, device
        self.names = [stage.name for stage in stages]
        batches = [stage.evaluator.batch for stage in stages]
        self.ladder = Ladder([stage.share for stage in stages], batches, in_order=in_order)
        self.archive = Archive(self.ladder.last, EQUALS_KEPT)
        self.memo = MemoBook()
        self.open: dict[int, Open] = {}
        self.queue: deque[Design] = deque()  # enqueued and not asked yet
        self.told = self.failed = self.infeasible = 0
        self.cost_s = 0.0
        self.prepared: dict[str, dict[str, str]] | None = None
        self.seconds_before = 0.0  # of earlier sessions
        self._caches = caches
        self._seen = seen
        self._needed = goals.needed
        self._labels = [stage.evaluator.label for stage in stages]
        self._folder: RunFolder
        self._designs_folder: Path

    def attach(self, folder: RunFolder) -> None:
        """Keeps its records in this folder from now on, and recalls those that are there."""
        self._folder = folder
        self._designs_folder = folder.path / "designs"
        self.memo.attach(folder.store.append_memo)
        collecting = gc.isenabled()
        gc.disable()  # a hundred thousand rows make many objects and no cycles
        try:
            self._recall()
        finally:
            if collecting:
                gc.enable()

    @property
    def _home(self) -> Path | None:
        return None if self._folder.is_private else self._folder.path

    # Asking ------------------------------------------------------------------------------------------------------

    def ask(self) -> Candidate | Exhausted:
        """The next design, after the algorithm was told exactly what it may know by now. Enqueued ones come first."""
        index = self.schedule.asked
        for trial in self.schedule.due(index):
            self.algorithm.tell(trial)
        design = self.queue.popleft() if self.queue else self.algorithm.ask(index)
        if isinstance(design, Exhausted):
            return design
        self._asked(index, design)
        self._folder.store.append_asked(index, design.key, records.asked_content(design))
        return self.candidate(index)

    def enqueue(self, design: Design) -> Design:
        """Has a design asked before the algorithm's next one."""
        design = self._brought(design, "enqueued")
        self.queue.append(design)
        self._folder.store.append("enqueued", None, {"key": design.key, "answers": design.answers})
        return design

    def add(self, trial: Trial) -> Trial:
        """Records a trial that was evaluated elsewhere: asked and told at once, at the next index and at no cost. Its
        outcome is judged by this study's goals; its files stay where they are."""
        design = self._brought(trial.design, "imported")
        index = self.schedule.asked
        for due in self.schedule.due(index):
            self.algorithm.tell(due)
        outcome, score = self._judged(trial.outcome, self.names.index(trial.stage))
        outcome = Outcome(outcome.metrics, outcome.failure)
        told = trial._replace(index=index, design=design, outcome=outcome, score=score, cost_s=0.0, cached_from=None)
        self._asked(index, design)
        self._folder.store.append_asked(index, design.key, records.asked_content(design))
        self._folder.store.append("told", index, records.told_body(told, None, None) | {"imported": True})
        self._imported(told)
        return told

    def _brought(self, design: Design, how: str) -> Design:
        grown = self.space.replay(design)
        if grown.refusal is not None:
            raise InputError(f"design {design.key[:8]} is not valid here: {grown.refusal.reason}")
        design = Design(self.space.id, grown.design.answers, Origin(how))
        if self.knows(design):
            raise InputError(f"design {design.key[:8]} was already asked or enqueued; no design is evaluated twice")
        return design

    def knows(self, design: Design) -> bool:
        """Was it asked, or does it wait in the queue?"""
        return design.digest in self._seen or any(design.digest == waiting.digest for waiting in self.queue)

    def candidate(self, index: int) -> Candidate:
        """An open design as the evaluator of its stage gets it."""
        entry = self.open[index]
        design = entry.design
        value = self.space.build(design)
        return Candidate(index, design.key, value, self._seed_of(entry), self._designs_folder, entry.artifacts)

    def _seed_of(self, entry: Open) -> int:
        if entry.seed is None:
            entry.seed = derived_seed(self.seed, entry.design.key)
        return entry.seed

    def unevaluated(self) -> list[tuple[int, list[int]]]:
        """(stage, indices) of the batches that were handed out and have no outcome, the deepest first: asked by an
        earlier session or by hand, or interrupted. What still waits for its batch to be decided is not among them."""
        batches: dict[tuple[int, int], list[int]] = {}
        for index, entry in sorted(self.open.items()):
            if entry.latest is None and not self.ladder.holds(index, entry.stage):
                group = index // self.stages[entry.stage].evaluator.batch
                batches.setdefault((-entry.stage, group), []).append(index)
        return [(-stage, indices) for (stage, _), indices in sorted(batches.items())]

    def promoted(self, no_more: bool) -> list[tuple[int, list[int]]]:
        """(stage, indices) of the batches of later stages that are decided by now, the deepest first, each once."""
        found = []
        for stage, indices in self.ladder.ready(self.schedule.asked, no_more):
            # After a recall the ladder also names those that an earlier session evaluated.
            entries = [(index, self.open.get(index)) for index in indices]
            waiting = [i for i, entry in entries if entry and entry.stage == stage and entry.latest is None]
            if waiting:
                found.append((stage, waiting))
        return found

    def from_cache(self, candidate: Candidate, stage: int, first: int) -> list[Trial] | None:
        """What recording the outcome led to, where the batch that begins at `first` may take one over; else None."""
        cache = self._caches[stage]
        key = cache.key(candidate)
        source = cache.get(key, self.schedule.shown(first)) if key is not None else None
        if source is None:
            return None
        return self.record(Done(candidate.index, source.outcome, 0.0), candidate, cached_from=source.index)

    # Telling -----------------------------------------------------------------------------------------------------

    def record(self, done: Done, candidate: Candidate | None, cached_from: int | None = None) -> list[Trial]:
        """Judges an outcome and stores it. Gives the trial first, and then those that it let end: designs that wait at
        a gate for their turn. A trial that is still open goes on or waits."""
        entry = self.open[done.index]
        trial = self._trial(done, entry, self._seed_of(entry), cached_from)
        if trial.outcome.artifacts and self._home is not None:
            sync(trial.outcome.artifacts.values())
        cache_key = self._caches[entry.stage].key(candidate) if candidate is not None and not done.how else None
        final = trial.score is None or entry.stage == self.ladder.last
        body = records.told_body(trial, self._home, cache_key)
        self._folder.store.append("told" if final else "staged", done.index, body)
        touched = [trial]
        for index in self._settle(trial, cache_key, final):
            waiting = self.open[index].latest
            assert waiting is not None
            self._folder.store.append("told", index, records.told_body(waiting, self._home, None))
            self._told(waiting)
            if waiting is not trial:
                touched.append(waiting)
        return touched

    def _trial(self, done: Done, entry: Open, seed: int, cached_from: int | None) -> Trial:
        outcome, score = self._judged(done.outcome, entry.stage)
        return Trial(
            index=done.index,
            design=entry.design,
            stage=self.names[entry.stage],
            outcome=outcome,
            cost_s=done.cost_s,
            evaluator=self._labels[entry.stage],
            device=self.device,
            seed=seed,
            score=score,
            cached_from=cached_from,
            how=done.how,
            earlier=entry.earlier,
        )

    def _judged(self, outcome: Outcome, stage: int) -> tuple[Outcome, Score | None]:
        if outcome.failure is not None:
            return outcome, None
        metrics, failure = judge(outcome.metrics, self._needed)
        score = None if failure is not None else self.goals.score(metrics, stage)
        return Outcome(metrics, failure, outcome.artifacts), score

    def _settle(self, trial: Trial, cache_key: str | None, final: bool) -> list[int]:
        """Moves the trial's design and those that waited for it; gives the indices that end at their stage."""
        entry = self.open[trial.index]
        stage = entry.stage
        self.cost_s += trial.cost_s
        self._caches[stage].hold(trial, cache_key)
        entry.latest = trial
        if final:
            self._told(trial)
        if self.ladder.last == 0:
            return []
        ended, promoted = self.ladder.settle(trial.index, stage, trial.score)
        for index, to in promoted:
            moved = self.open[index]
            before = moved.latest
            assert before is not None
            moved.earlier += (StageResult(before.stage, before.outcome.metrics, before.cost_s),)
            moved.artifacts |= before.outcome.artifacts
            moved.stage, moved.latest = to, None
        return ended

    def _asked(self, index: int, design: Design) -> None:
        self._seen.add(design.digest)
        self.open[index] = Open(design)
        self.schedule.asked = index + 1

    def _imported(self, trial: Trial) -> None:
        self.ladder.settle(trial.index, 0, None)  # it takes part at no gate
        self._told(trial)

    def _told(self, trial: Trial) -> None:
        del self.open[trial.index]
        self.told += 1
        if trial.score is None:
            self.failed += 1
        elif trial.score.violation > 0:
            self.infeasible += 1
        self.archive.add(trial)
        self.schedule.told(trial)

    # Recalling ---------------------------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Feeds what is stored through `tell`, in the order and at the moments of the first time."""
        session: float | None = None
        last = 0.0
        for row in self._folder.store.rows():
            kind, index = row.kind, row.trial
            if kind == "asked" and index is not None:
                for trial in self.schedule.due(index):
                    self.algorithm.tell(trial)
                design = records.design_of(self.space.id, row)
                if self.queue and self.queue[0].digest == design.digest:
                    self.queue.popleft()
                self._asked(index, design)
            elif index is not None and kind in ("told", "staged"):
                self._recall_outcome(row, index, row.body)
            elif kind == "enqueued":
                design = Design.from_json({"space": self.space.id, **row.body})
                self.queue.append(Design(design.space, design.answers, Origin("enqueued")))
            elif kind == "memo" and row.key is not None:
                self.memo.recall((row.key, row.content))
            elif kind == "prepared":
                self.prepared = row.body["artifacts"]
            elif kind == "started":
                self.seconds_before += last - session if session is not None else 0.0
                session = row.at
            last = row.at
        self.seconds_before += last - session if session is not None else 0.0

    def _recall_outcome(self, row: Row, index: int, body: dict[str, Any]) -> None:
        entry = self.open.get(index)
        if entry is None:
            raise CorruptRun(f"event {row.sequence} tells trial {index}, which is not open")
        if "imported" in body:
            self._imported(records.trial_of(index, entry.design, body, self.goals, None, self.names))
            return
        if body["stage"] != self.names[entry.stage]:
            raise CorruptRun(f"event {row.sequence} is of stage {body['stage']!r}, but trial {index} is not there")
        trial = records.trial_of(index, entry.design, body, self.goals, self._home, self.names)
        if row.kind == "told" and entry.latest is not None:  # it waited at a gate, and ended there
            self._told(trial)
            return
        # Who ends is not acted on: the rows that say so follow in the same commit.
        self._settle(trial, body.get("cache"), row.kind == "told")
