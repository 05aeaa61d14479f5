"""The loop: asks an algorithm, has designs evaluated, tells the outcomes, and keeps all of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coevo.errors import CoevoError, ConfigError, InputError
from coevo.search import environment, preparation
from coevo.search.agreement import Agreement, agreements
from coevo.search.algorithms import Algorithm, Exhausted, make_algorithm
from coevo.search.budget import Budget
from coevo.search.cache import OutcomeCache
from coevo.search.crew import Crew
from coevo.search.design import Design
from coevo.search.evaluator import Candidate, Outcome
from coevo.search.events import Asked, Event, Finished, Note, Prepared, Progress, Staged, Started, Told
from coevo.search.folder import RunFolder, holds_events
from coevo.search.front import Front
from coevo.search.ledger import Ledger
from coevo.search.memo_book import MemoCounts
from coevo.search.objectives import Constraint
from coevo.search.problem import Problem
from coevo.search.runners import make_runner
from coevo.search.runners.base import Done, Runner
from coevo.search.schedule import Schedule, Unordered
from coevo.search.space import Space
from coevo.search.subject import Judge, settle
from coevo.search.tables.history import History
from coevo.search.trial import Trial
from coevo.search.warm_start import Source, WarmStart, gather, said

if TYPE_CHECKING:
    import pandas

EARLY_FAILURES = 20  # this many failures before the first success earn a warning


class Study:
    """Problem, objectives, constraints, algorithm, budget, runner and store, and the loop over them.

    `subject` is a `Problem`, or a `Space` together with `evaluate`: an `Evaluator`, a function of one value that
    returns a mapping of metrics, or "module:attribute" that names either. `folder` makes the study durable; a folder
    that already holds this study is resumed. `lag` settles how many outcomes `ask` may be without: `ask(i)` sees the
    outcomes 0..i-1-lag, whatever the number of workers. `deterministic=False` is throughput mode: `ask` sees whatever
    was told by then, nobody waits, and the designs depend on who was quicker; the store keeps what each ask had seen.
    `warm_start` is the folder of another run of this problem: its trials are told first, and count as trials of this
    study. `enqueue` holds designs, answers by name, folders of exported designs, and run folders (their fronts): they
    are evaluated first. `settings` is merged into run.toml. `memo=False` has every inner result (`Context.memo`)
    computed anew: the slow reference that a search with them must equal.

    Raises InputError (ConfigError, UnknownName, RunFolderError...) before anything is written where the input is wrong.
    """

    def __init__(
        self,
        subject: Problem | Space,
        evaluate: Judge = None,
        *,
        objectives: Mapping[str, str] | None = None,
        constraints: Mapping[str, str] | Sequence[Constraint] = (),
        algorithm: str | Algorithm = "nsga2",
        algorithm_options: Mapping[str, Any] | None = None,
        seed: int = 0,
        lag: int = 15,
        deterministic: bool = True,
        warm_start: Path | str | None = None,
        enqueue: Sequence[Source] = (),
        runner: str | Runner = "local",
        workers: int = 1,
        folder: Path | str | None = None,
        durability: str = "normal",
        settings: Mapping[str, Any] | None = None,
        memo: bool = True,
    ):
        self.seed, self.lag = _whole("seed", seed, 0), _whole("lag", lag, 0)
        self.workers = _whole("workers", workers, 1)
        self.goals, self.problem, sources = settle(subject, evaluate, objectives, constraints)
        self.space, self.stages = self.problem.space, self.problem.stages
        for stage in self.stages:
            where = f"evaluator {stage.evaluator.label}" + (f" of stage {stage.name!r}" if len(self.stages) > 1 else "")
            self.goals.require(stage.evaluator.metrics, where)
        self.algorithm = make_algorithm(algorithm, algorithm_options)
        seen: set[bytes] = set()
        self.algorithm.bind(self.space, self.goals, self.seed, self.lag, seen)
        caches = [OutcomeCache(stage.evaluator) for stage in self.stages]
        self.deterministic = deterministic
        self._schedule = (
            Schedule(self.algorithm, self.stages, self.lag, any(cache.in_use for cache in caches))
            if deterministic
            else Unordered(self.algorithm, self.stages, self.lag)
        )
        self._crew = Crew(make_runner(runner, self.workers), self.stages, sources, self.seed, memo)
        self._listeners: list[Callable[[Event], Any]] = []
        self._artifacts: dict[str, Path] | None = None
        self._exhausted: Exhausted | None = None
        self._stop = self._said_all_failed = self._said_conflict = False
        self._torn = False  # interrupted while it recorded: memory and store may differ
        self._began: float | None = None
        device = environment.short(environment.cpu_fingerprint())
        self._ledger = Ledger(
            self.space,
            self.stages,
            self.goals,
            self.algorithm,
            caches,
            self._schedule,
            seen,
            self.seed,
            device,
            in_order=deterministic,
        )
        enqueue = [enqueue] if isinstance(enqueue, (str, Path, Design, Mapping)) else list(enqueue)
        begins_with: dict[str, Any] = {"warm_start": None if warm_start is None else str(warm_start)}
        if enqueue:
            begins_with["enqueue"] = [said(source) for source in enqueue]
        self.config = self._configuration(settings or {}, begins_with)
        path = Path(folder) if folder is not None else None
        begins = path is None or not holds_events(path)
        known = gather(self.problem, self.goals, device, self.seed, warm_start, enqueue) if begins else WarmStart()
        self._folder = RunFolder(path, durability, self.config, environment.describe() if path is not None else {})
        try:
            self._ledger.attach(self._folder)
            self._unsaid = known.begin(self._ledger, self._folder)
        except BaseException:
            self._folder.close()
            raise

    # Looking in -------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The run folder; a temporary one where none was given."""
        return self._folder.path

    @property
    def asked(self) -> int:
        """How many designs were asked."""
        return self._schedule.asked

    @property
    def told(self) -> int:
        """How many trials were told, failed ones included."""
        return self._ledger.told

    @property
    def failed(self) -> int:
        """How many trials failed."""
        return self._ledger.failed

    @property
    def infeasible(self) -> int:
        """How many trials succeeded and break a hard constraint."""
        return self._ledger.infeasible

    @property
    def cost_s(self) -> float:
        """Evaluator seconds, summed over workers."""
        return self._ledger.cost_s

    @property
    def memo(self) -> MemoCounts:
        """How often inner results were asked for, and how many there are."""
        return replace(self._ledger.memo.counts)

    def listen(self, listener: Callable[[Event], Any]) -> None:
        """Have `listener` called with every event from now on, in the driver's thread."""
        self._listeners.append(listener)

    def front(self) -> Front:
        """The feasible designs that nothing beats, so far."""
        archive = self._ledger.archive
        return Front(self.goals, archive.trials, archive.left_out)

    def trials(self) -> Iterator[Trial]:
        """Every told trial in the order of the indices, read from the store."""
        return self._history.trials()

    def dataframe(self) -> pandas.DataFrame:
        """Every told trial as a row of a pandas frame (`coevo.search.tables.frame` says what stands where)."""
        from coevo.search.tables.frame import dataframe

        return dataframe(self._history)

    @property
    def _history(self) -> History:
        self._folder.store.commit()
        folder = None if self._folder.is_private else self.folder
        return History(self._folder.store.rows, self.space.id, self.goals, tuple(self._ledger.names), folder)

    def agreements(self) -> list[Agreement]:
        """How well each stage ranks designs as the next one does (Kendall's tau), over those that reached both."""
        return agreements(self.trials(), self._ledger.names, self.goals) if len(self.stages) > 1 else []

    @property
    def artifacts(self) -> Mapping[str, Path]:
        """What `prepare` made, by name."""
        return dict(self._artifacts or {})

    # Asking and telling -----------------------------------------------------------------------------------------

    @property
    def may_ask(self) -> bool:
        """Whether the next design's turn has come: `ask` raises where it has not."""
        return self._schedule.may_ask(self.asked + 1)

    def ask(self) -> Candidate | None:
        """The next design to evaluate; None where the space is used up. It is stored with the next `tell`: a driver
        that dies before asks the same design again, because `ask` follows from what was told.

        InputError where its turn has not come: `lag`, or the algorithm's generation, says how many outcomes may be
        outstanding.
        """
        self._require_whole()
        self.prepare()
        if not self.may_ask:
            raise InputError(
                f"design {self.asked} needs the outcome of trial {self._schedule.told_prefix}, which was not "
                f"told yet ({self._schedule.why}"
            )
        with self._recording():
            return self._ask()

    def tell(self, index: int, result: Mapping[str, Any] | Outcome, cost_s: float = 0.0) -> Trial:
        """Records the outcome of an asked design; when this returns, it is durable. For problems with one stage."""
        if len(self.stages) > 1:
            raise InputError("a ladder of stages cannot be told by hand; use run()")
        if index not in self._ledger.open:
            raise InputError(f"design {index} is not waiting for an outcome (asked so far: {self.asked})")
        outcome = result if isinstance(result, Outcome) else Outcome(metrics=result)
        with self._recording():
            trials = self._ledger.record(Done(index, outcome, cost_s), None)
            self._commit(trials)
        return trials[0]

    def enqueue(self, design: Design | Mapping[str, Any]) -> str:
        """Has a design, or the one with these answers, asked before the algorithm's next one; gives its key.

        InputError where it does not belong to the space, or was asked or enqueued before.
        """
        with self._recording():
            enqueued = self._ledger.enqueue(design if isinstance(design, Design) else self.space.design(design))
            self._folder.store.commit()
        return enqueued.key

    def add(self, design: Design | Mapping[str, Any], result: Mapping[str, Any] | Outcome) -> Trial:
        """Tells a design whose outcome is known from elsewhere (a paper, another tool), as the last stage would judge
        it. It becomes the next trial, at no cost."""
        trial = Trial(
            index=self.asked,
            design=design if isinstance(design, Design) else self.space.design(design),
            stage=self.stages[-1].name,
            outcome=result if isinstance(result, Outcome) else Outcome(metrics=result),
            cost_s=0.0,
            evaluator="by-hand",
            device="",
            seed=0,
        )
        with self._recording():
            told = self._ledger.add(trial)
            self._commit([told])
        return told

    def prepare(self) -> Mapping[str, Path]:
        """Makes what the problem needs before its first stage, once a run, and checks its digests ever after."""
        if self._artifacts is None:
            self._start_session()
            if self.problem.prepare is None:
                self._artifacts = {}
            elif self._ledger.prepared is not None:
                self._artifacts = preparation.check(self.folder, self._ledger.prepared)
            else:
                self._artifacts = self._prepare()
        return self._artifacts

    def _prepare(self) -> dict[str, Path]:
        began = time.monotonic()
        made, entries = preparation.make(
            self.problem,
            self.folder,
            self.seed,
            lambda done, total, text: self._emit(Progress("prepare", done, total, text)),
        )
        seconds = round(time.monotonic() - began, 3)
        self._folder.store.append("prepared", None, {"artifacts": entries, "seconds": seconds})
        self._folder.store.commit()
        self._emit(Prepared(entries, seconds))
        return made

    # The loop ---------------------------------------------------------------------------------------------------

    def run(self, trials: int | None = None, seconds: float | None = None, cost_s: float | None = None) -> Front:
        """Searches until a budget is used up, and returns the front.

        `trials` counts all designs of the study, those of earlier sessions included; so do `seconds` (of searching)
        and `cost_s` (evaluator seconds summed over workers). At least one is needed.
        """
        budget = Budget(trials, seconds, cost_s)
        self._require_whole()
        self._stop = False
        self._start_session()
        self._emit(Started(self.told, budget.limits, self.workers, self._crew.runner.name))
        while self._unsaid:
            self._emit(self._unsaid.pop(0))  # what was stored before anybody listened
        try:
            if not self._spent(budget, time.monotonic()):
                self._crew.connect()
            for text in self._warnings():
                self._note("warning", text)
            self.prepare()
            with self._recording():
                reason = self._loop(budget)
        except BaseException as problem:
            self._crew.close(kill=True)
            if isinstance(problem, KeyboardInterrupt):
                self._finish("interrupted")
            raise
        self._finish(reason)
        return self.front()

    def stop(self) -> None:
        """Ask for no further designs; `run` returns when the ones under way are told. A listener may call it."""
        self._stop = True

    def close(self) -> None:
        """Ends the workers, closes the store and lets the folder go; may be called twice."""
        self._crew.close()
        self._folder.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _loop(self, budget: Budget) -> str:
        began = time.monotonic()
        # (stage, batch): designs that were handed out and never evaluated come first.
        waiting = [(stage, list(map(self._ledger.candidate, batch))) for stage, batch in self._ledger.unevaluated()]
        outstanding = 0
        while True:
            reason = self._spent(budget, began)
            while waiting or not reason:
                if waiting:
                    stage, batch = waiting.pop(0)
                elif self._schedule.may_ask(self._schedule.batch_end(budget.trials)):
                    stage, batch = 0, self._ask_batch(budget.trials)
                    reason = self._spent(budget, began)
                else:
                    break
                batch = self._without_cached(stage, batch)
                if batch:
                    logs = None if self._folder.is_private else self.folder / "workers"
                    self._crew.submit(stage, batch, self.artifacts, logs, self._ledger.memo)
                    outstanding += 1
                    if self._crew.room() <= 0:
                        break
            if outstanding:
                self._idle = True
                ended = self._crew.wait()
                self._idle = False
                for task, results in ended:
                    outstanding -= 1
                    candidates = {candidate.index: candidate for candidate in task.candidates}
                    self._commit([t for done in results for t in self._ledger.record(done, candidates[done.index])])
            promoted = self._promoted(no_more=bool(reason))
            waiting = promoted + waiting  # the deepest first: the oldest designs wait for them
            if outstanding or waiting:
                continue
            if reason:
                return reason
            if not self._schedule.may_ask(self._schedule.batch_end(budget.trials)):
                raise CoevoError(
                    f"the search stands still: design {self.asked} waits for trial {self._schedule.told_prefix}, which "
                    "nobody evaluates. This is a fault of coevo or of the algorithm's horizon, not of your input"
                )

    def _recording(self) -> _Recording:
        return _Recording(self)

    def _begin_recording(self) -> None:
        self._require_whole()
        self._idle = False

    def _interrupted(self) -> None:
        if not self._idle:
            self._torn = True
            self._folder.store.discard()

    def _require_whole(self) -> None:
        if self._torn:
            raise InputError(
                "this study was interrupted while it recorded; what it told is kept. "
                + ("Start it anew" if self._folder.is_private else f"Go on with a new Study on folder {self.folder}")
            )

    def _promoted(self, no_more: bool) -> list[tuple[int, list[Candidate]]]:
        """The batches of later stages that are decided by now."""
        batches = self._ledger.promoted(no_more)
        return [(stage, [self._ledger.candidate(index) for index in indices]) for stage, indices in batches]

    def _spent(self, budget: Budget, began: float) -> str:
        """Why no further design is asked; empty while the search goes on."""
        if self._stop:
            return "interrupted"
        if self._exhausted:
            return "exhausted"
        return budget.spent(self.asked, self._ledger.seconds_before + time.monotonic() - began, self.cost_s)

    def _ask_batch(self, trials: int | None) -> list[Candidate]:
        """The next range of indices."""
        batch: list[Candidate] = []
        for _ in range(self.asked, self._schedule.batch_end(trials)):
            candidate = self._ask()
            if candidate is None:
                break
            batch.append(candidate)
        return batch

    def _without_cached(self, stage: int, batch: list[Candidate]) -> list[Candidate]:
        """The candidates to evaluate, everything stored; those whose outcome the cache holds are told at once."""
        if not batch:
            return []
        size = self.stages[stage].evaluator.batch
        first = batch[0].index - batch[0].index % size
        left, touched = [], []
        for candidate in batch:
            trials = self._ledger.from_cache(candidate, stage, first)
            if trials is None:
                left.append(candidate)
            else:
                touched += trials
        self._commit(touched)
        return left

    def _ask(self) -> Candidate | None:
        candidate = self._ledger.ask()
        if isinstance(candidate, Exhausted):
            if self._exhausted is None:
                self._note("info", f"the space is used up after {self.asked} designs: {candidate.reason}")
            self._exhausted = candidate
            return None
        if self._listeners:
            self._emit(Asked(candidate.index, self._ledger.open[candidate.index].design))
        return candidate

    def _commit(self, trials: Sequence[Trial]) -> None:
        """Makes what was recorded durable, and only then says so."""
        self._folder.store.commit()
        if self._listeners:
            for trial in trials:
                self._emit(Staged(trial) if trial.index in self._ledger.open else Told(trial))
        if self._ledger.memo.conflict is not None and not self._said_conflict:
            self._said_conflict = True
            self._note("warning", self._ledger.memo.conflict)
        if self.failed == self.told >= EARLY_FAILURES and trials and not self._said_all_failed:
            self._said_all_failed = True
            self._note(
                "warning", f"the first {self.told} trials all failed; the last one: {trials[-1].outcome.failure}"
            )

    # Sessions ---------------------------------------------------------------------------------------------------

    def _start_session(self) -> None:
        if self._began is None:
            self._began = time.monotonic()
            body = {"told": self.told, "workers": self.workers, "runner": self._crew.runner.name}
            self._folder.store.append("started", None, body)
            self._folder.store.commit()

    def _finish(self, reason: str) -> None:
        seconds = time.monotonic() - (self._began or time.monotonic()) + self._ledger.seconds_before
        failures: Counter[str] = Counter()
        if self.failed:
            failures.update(trial.outcome.failure for trial in self.trials() if trial.outcome.failure)
        found = self.agreements()
        for agreement in found:
            if not agreement.better_than_chance:
                self._note("warning", f"stage {agreement.cheaper!r} ranks no better than chance: {agreement}")
        details = {"failures": dict(failures.most_common(10)), "agreements": [asdict(agreement) for agreement in found]}
        body = {"reason": reason, "told": self.told, "seconds": round(seconds, 3)}
        if found:
            body["agreements"] = [str(agreement) for agreement in found]
        if self.memo.entries:
            body["memo"] = details["memo"] = asdict(self.memo)
        self._folder.store.append("finished", None, body)
        self._folder.store.commit()
        self._emit(Finished(reason, self.told, seconds, details))

    def _warnings(self) -> list[str]:
        changed = [f"the environment differs from the one this run began in: {it}" for it in self._folder.differences]
        self._folder.differences = []
        note = [text for text in (self._folder.store.note, self._crew.note) if text]
        return changed + note + self._schedule.warnings(self.workers)

    def _note(self, level: str, text: str) -> None:
        self._folder.store.append("note", None, {"level": level, "text": text})
        self._folder.store.commit()
        self._emit(Note(level, text))

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _configuration(self, settings: Mapping[str, Any], begins_with: Mapping[str, Any]) -> dict[str, Any]:
        """What run.toml freezes."""
        config = dict(settings)
        config["problem"] = self.problem.loaded_as or self.problem.name
        config["options"] = dict(self.problem.options)
        config |= self.goals.as_dict()
        algorithm = {"algorithm": self.algorithm.name or type(self.algorithm).__name__, **self.algorithm.settings()}
        own = {
            "seed": self.seed,
            "lag": self.lag,
            "deterministic": None if self.deterministic else False,
            **begins_with,
        }
        config["search"] = {**config.get("search", {}), **algorithm, **own}
        config["run"] = {"workers": self.workers, "runner": self._crew.spec, **config.get("run", {})}
        config["recorded"] = {
            "space": self.space.id,
            "stages": [stage.name for stage in self.stages],
            "evaluators": [stage.evaluator.label for stage in self.stages],
            "batches": [stage.evaluator.batch for stage in self.stages],
        }
        return config


class _Recording:
    """An interruption in here, but for the waiting, leaves memory ahead of the store: the store is the truth.

    Two of these a trial: a class takes a quarter of the time of contextlib's generators."""

    __slots__ = ("_study",)

    def __init__(self, study: Study):
        self._study = study

    def __enter__(self) -> None:
        self._study._begin_recording()

    def __exit__(self, kind: type[BaseException] | None, problem: object, trace: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self._study._interrupted()


def _whole(name: str, number: Any, least: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ConfigError(f"{name}: expected a whole number of at least {least}, got {number!r}")
    return number
