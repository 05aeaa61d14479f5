"""The loop: asks an algorithm, has designs evaluated, tells the outcomes, and keeps all of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError, CorruptRun, InputError
from coevo.search import environment, records
from coevo.search.algorithms import Algorithm, Exhausted, make_algorithm
from coevo.search.canonical import derived_seed
from coevo.search.design import Design
from coevo.search.evaluator import Candidate, Evaluator, FunctionEvaluator, Outcome
from coevo.search.events import Asked, Event, Finished, Note, Prepared, Progress, Started, Told
from coevo.search.folder import RunFolder, sha256, sync
from coevo.search.front import Archive, Front
from coevo.search.objectives import Constraint, Goals, judge
from coevo.search.problem import Problem, Stage, WorkContext
from coevo.search.runners import make_runner
from coevo.search.runners.base import Done, EvaluatorSource, Runner, Task, WorkerSetup
from coevo.search.schedule import Schedule
from coevo.search.space import Space
from coevo.search.trial import Trial

EARLY_FAILURES = 20  # this many failures before the first success earn a warning


class Study:
    """Problem, objectives, constraints, algorithm, budget, runner and store, and the loop over them.

    `subject` is a `Problem`, or a `Space` together with `evaluate`: an `Evaluator`, a function of one value that
    returns a mapping of metrics, or "module:attribute" that names either. `folder` makes the study durable; a folder
    that already holds this study is resumed. `lag` settles how many outcomes `ask` may be without: `ask(i)` sees the
    outcomes 0..i-1-lag, whatever the number of workers. `settings` is merged into run.toml.

    Raises InputError (ConfigError, UnknownName, RunFolderError...) before anything is written where the input is wrong.
    """

    def __init__(
        self,
        subject: Problem | Space,
        evaluate: Evaluator | Callable[[Any], Any] | str | None = None,
        *,
        objectives: Mapping[str, str] | None = None,
        constraints: Mapping[str, str] | Sequence[Constraint] = (),
        algorithm: str | Algorithm = "nsga2",
        algorithm_options: Mapping[str, Any] | None = None,
        seed: int = 0,
        lag: int = 15,
        runner: str | Runner = "local",
        workers: int = 1,
        folder: Path | str | None = None,
        durability: str = "normal",
        settings: Mapping[str, Any] | None = None,
    ):
        self.seed, self.lag = _whole("seed", seed, 0), _whole("lag", lag, 0)
        self.workers = _whole("workers", workers, 1)
        self._listeners: list[Callable[[Event], Any]] = []
        self.goals, self.problem, self._source = _settle(subject, evaluate, objectives, constraints)
        self.space = self.problem.space
        self.stage: Stage = self.problem.stages[0]
        self.evaluator = self.stage.evaluator
        self.goals.require(self.evaluator.metrics, f"evaluator {self.evaluator.label}")
        self.algorithm = make_algorithm(algorithm, algorithm_options)
        self._seen: set[bytes] = set()
        self.algorithm.bind(self.space, self.goals, self.seed, self.lag, self._seen)
        self._schedule = Schedule(self.algorithm, self.evaluator, self.lag)
        self.runner_name = runner if isinstance(runner, str) else runner.name
        self._runner: Runner = make_runner(runner, self.workers)
        self._runner_started = False
        self._device = environment.cpu_fingerprint()
        self._device_id = environment.short(self._device)
        self._open_designs: dict[int, Design] = {}
        self._archive = Archive()
        self._artifacts: dict[str, Path] | None = None
        self._prepared_row: dict[str, Any] | None = None
        self._exhausted: Exhausted | None = None
        self._stop = self._said_all_failed = False
        self._needed = self.goals.needed
        self.told = self.failed = self.infeasible = 0
        self.cost_s = self._seconds_before = 0.0
        self._began: float | None = None
        self.config = self._configuration(settings)
        path = Path(folder) if folder is not None else None
        self._folder = RunFolder(path, durability, self.config, environment.describe() if path is not None else {})
        self._designs_folder = self._folder.path / "designs"
        self._notes = [
            f"the environment differs from the one this run began in: {change}" for change in self._folder.differences
        ]
        try:
            self._recall()
        except BaseException:
            self._folder.close()
            raise
        if self._folder.store.note:
            self._notes.append(self._folder.store.note)

    # Looking in -------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The run folder; a temporary one where none was given."""
        return self._folder.path

    @property
    def asked(self) -> int:
        """How many designs were asked."""
        return self._schedule.asked

    def listen(self, listener: Callable[[Event], Any]) -> None:
        """Have `listener` called with every event from now on, in the driver's thread."""
        self._listeners.append(listener)

    def front(self) -> Front:
        """The feasible designs that nothing beats, so far."""
        return Front(self.goals, self._archive.trials)

    def trials(self) -> Iterator[Trial]:
        """Every told trial in the order of the indices, read from the store."""
        self._folder.store.commit()
        folder = None if self._folder.is_private else self.folder
        return records.trials_of(self._folder.store.rows(), self.space.id, self.goals, folder)

    @property
    def artifacts(self) -> Mapping[str, Path]:
        """What `prepare` made, by name."""
        return dict(self._artifacts or {})

    # Asking and telling -----------------------------------------------------------------------------------------

    def ask(self) -> Candidate | None:
        """The next design to evaluate; None where the space is used up. It is stored with the next `tell`: a driver
        that dies before asks the same design again, because `ask` follows from what was told.

        InputError where its turn has not come: `lag` says how many outcomes may be outstanding.
        """
        self.prepare()
        if not self._schedule.may_ask(self._schedule.asked + 1):
            raise InputError(
                f"design {self._schedule.asked} needs the outcome of trial {self._schedule.told_prefix}, which was not "
                f"told yet (lag {self.lag}): tell it first, or make the study with a larger lag"
            )
        design = self._ask()
        if design is None:
            return None
        return self._candidate(self._schedule.asked - 1, design)

    def tell(self, index: int, result: Mapping[str, Any] | Outcome, cost_s: float = 0.0) -> Trial:
        """Records the outcome of an asked design; when this returns, it is durable."""
        if index not in self._open_designs:
            raise InputError(f"design {index} is not waiting for an outcome (asked so far: {self._schedule.asked})")
        outcome = result if isinstance(result, Outcome) else Outcome(metrics=result)
        trial = self._record(Done(index, outcome, cost_s), None)
        self._commit(trial)
        return trial

    def prepare(self) -> Mapping[str, Path]:
        """Makes what the problem needs before its first stage, once a run, and checks its digests ever after."""
        if self._artifacts is not None:
            return self._artifacts
        self._start_session()
        if self.problem.prepare is None:
            self._artifacts = {}
        elif self._prepared_row is not None:
            self._artifacts = check_prepared(self.folder, self._prepared_row)
        else:
            self._artifacts = self._prepare()
        return self._artifacts

    # The loop ---------------------------------------------------------------------------------------------------

    def run(self, trials: int | None = None, seconds: float | None = None, cost_s: float | None = None) -> Front:
        """Searches until a budget is used up, and returns the front.

        `trials` counts all designs of the study, those of earlier sessions included; so do `seconds` (of searching)
        and `cost_s` (evaluator seconds summed over workers). At least one is needed.
        """
        budget = {name: limit for name, limit in (("trials", trials), ("seconds", seconds), ("cost_s", cost_s)) if limit}
        if not budget:
            raise ConfigError("a budget is needed: run(trials=..., seconds=... or cost_s=...)")
        for name, limit in budget.items():
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
                raise ConfigError(f"budget {name}: expected a number above 0, got {limit!r}")
        self._stop = False
        self._start_session()
        self._emit(Started(self.told, {name: float(limit) for name, limit in budget.items()}, self.workers, self.runner_name))
        for text in self._notes + self._schedule.warnings(self.workers):
            self._note("warning", text)
        self._notes = []
        try:
            self.prepare()
            reason = self._loop(trials, seconds, cost_s)
        except BaseException as problem:
            self._runner.close(kill=True)
            self._runner_started = False
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
        self._runner.close()
        self._folder.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _loop(self, trials: int | None, seconds: float | None, cost_s: float | None) -> str:
        began = time.monotonic()
        waiting = self._interrupted_batches()
        outstanding = 0
        reason = ""
        while True:
            if not reason:
                reason = self._budget_spent(trials, seconds, cost_s, began)
            while waiting or not reason:
                if waiting:
                    candidates = waiting.pop(0)
                elif not self._schedule.may_ask(self._schedule.batch_end(trials)):
                    break
                else:
                    candidates = self._ask_batch(trials)
                    reason = reason or self._budget_spent(trials, seconds, cost_s, began)
                if candidates:
                    self._submit(candidates)
                    outstanding += 1
                if self._runner_started and self._runner.room() <= 0:
                    break
            if outstanding == 0 and (reason or self._exhausted):
                return reason
            if outstanding:
                for task, results in self._runner.wait():
                    outstanding -= 1
                    candidates_of = {candidate.index: candidate for candidate in task.candidates}
                    self._commit(*[self._record(done, candidates_of[done.index]) for done in results])

    def _budget_spent(self, trials: int | None, seconds: float | None, cost_s: float | None, began: float) -> str:
        if self._stop:
            return "interrupted"
        if self._exhausted:
            return "exhausted"
        if trials is not None and self._schedule.asked >= trials:
            return "trials"
        if seconds is not None and self._seconds_before + time.monotonic() - began >= seconds:
            return "seconds"
        if cost_s is not None and self.cost_s >= cost_s:
            return "cost"
        return ""

    def _ask_batch(self, trials: int | None) -> list[Candidate]:
        """The next range of indices, stored; those whose outcome the cache holds are told at once."""
        first, end = self._schedule.asked, self._schedule.batch_end(trials)
        batch = []
        for index in range(first, end):
            design = self._ask()
            if design is None:
                break
            batch.append(self._candidate(index, design))
        left, cached = [], []
        for candidate in batch:
            trial = self._from_cache(candidate, first)
            if trial is None:
                left.append(candidate)
            else:
                cached.append(trial)
        self._commit(*cached)
        return left

    def _interrupted_batches(self) -> list[list[Candidate]]:
        """Designs that an earlier session asked and never told, in their old batches."""
        batches: dict[int, list[Candidate]] = {}
        for index in sorted(self._open_designs):
            candidate = self._candidate(index, self._open_designs[index])
            trial = self._from_cache(candidate, index - index % self._schedule.batch)
            if trial is None:
                batches.setdefault(index // self._schedule.batch, []).append(candidate)
            else:
                self._commit(trial)
        return list(batches.values())

    def _submit(self, candidates: list[Candidate]) -> None:
        if not self._runner_started:
            source = self._source
            self._runner.start(
                WorkerSetup(
                    source=source,
                    resources_timeout_s=self.evaluator.resources.timeout_s,
                    batch=self._schedule.batch,
                    artifacts=dict(self._artifacts or {}),
                    seed=self.seed,
                    logs=None if self._folder.is_private else self.folder / "workers",
                )
            )
            self._runner_started = True
        self._runner.submit(Task(candidates[0].index, tuple(candidates)))

    # One design -------------------------------------------------------------------------------------------------

    def _ask(self) -> Design | None:
        index = self._schedule.asked
        for trial in self._schedule.due(index):
            self.algorithm.tell(trial)
        design = self.algorithm.ask(index)
        if isinstance(design, Exhausted):
            self._exhausted = design
            self._note("info", f"the space is used up after {index} designs: {design.reason}")
            return None
        self._seen.add(design.digest)
        self._schedule.asked += 1
        self._open_designs[index] = design
        self._folder.store.append_asked(index, design.key, records.asked_content(design))
        if self._listeners:
            self._emit(Asked(index, design))
        return design

    def _candidate(self, index: int, design: Design) -> Candidate:
        key = design.key
        return Candidate(
            index, key, self.space.build(design), derived_seed(self.seed, key), self._designs_folder
        )

    def _from_cache(self, candidate: Candidate, first: int) -> Trial | None:
        key = self._schedule.cache_key(candidate)
        source = self._schedule.cached(key, first) if key is not None else None
        if source is None:
            return None
        return self._record(Done(candidate.index, source.outcome, 0.0), candidate, cached_from=source.index)

    def _record(self, done: Done, candidate: Candidate | None, cached_from: int | None = None) -> Trial:
        design = self._open_designs.pop(done.index)
        outcome, score = done.outcome, None
        if outcome.failure is None:
            metrics, failure = judge(outcome.metrics, self._needed)
            outcome = Outcome(metrics, failure, outcome.artifacts)
            score = None if failure is not None else self.goals.score(metrics)
        trial = Trial(
            done.index,
            design,
            self.stage.name,
            outcome,
            done.cost_s,
            self.evaluator.label,
            self._device_id,
            derived_seed(self.seed, design.key),
            score,
            cached_from,
            done.how,
        )
        folder = None if self._folder.is_private else self.folder
        if outcome.artifacts and folder is not None:
            sync(outcome.artifacts.values())
        cache_key = self._schedule.cache_key(candidate) if candidate is not None and not done.how else None
        self._folder.store.append("told", done.index, records.told_body(trial, folder, cache_key))
        self._count(trial, cache_key)
        return trial

    def _commit(self, *trials: Trial) -> None:
        """Makes what was recorded durable, and only then says so."""
        self._folder.store.commit()
        for trial in trials:
            if self._listeners:
                self._emit(Told(trial))
        if trials and self.failed == self.told >= EARLY_FAILURES and not self._said_all_failed:
            self._said_all_failed = True
            self._note("warning", f"the first {self.told} trials all failed; the last one: {trials[-1].outcome.failure}")

    def _count(self, trial: Trial, cache_key: str | None) -> None:
        self.told += 1
        self.cost_s += trial.cost_s
        if trial.score is None:
            self.failed += 1
        elif trial.score.violation > 0:
            self.infeasible += 1
        self._archive.add(trial)
        self._schedule.completed(trial, cache_key)

    # Sessions ---------------------------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Feeds what is stored through `tell`, in the order and at the moments of the first time."""
        folder = None if self._folder.is_private else self.folder
        session: float | None = None
        last = 0.0
        for row in self._folder.store.rows():
            if row.kind == "asked" and row.trial is not None:
                for trial in self._schedule.due(row.trial):
                    self.algorithm.tell(trial)
                design = records.design_of(self.space.id, row)
                self._seen.add(design.digest)
                self._open_designs[row.trial] = design
                self._schedule.asked = row.trial + 1
            elif row.kind == "told" and row.trial is not None:
                if row.trial not in self._open_designs:
                    raise CorruptRun(f"event {row.sequence} tells trial {row.trial}, which is not open")
                design = self._open_designs.pop(row.trial)
                body = row.body
                self._count(records.trial_of(row.trial, design, body, self.goals, folder), body.get("cache"))
            elif row.kind == "prepared":
                self._prepared_row = row.body["artifacts"]
            if row.kind == "started":
                self._seconds_before += last - session if session is not None else 0.0
                session = row.at
            last = row.at
        self._seconds_before += last - session if session is not None else 0.0

    def _start_session(self) -> None:
        if self._began is None:
            self._began = time.monotonic()
            self._folder.store.append("started", None, {"told": self.told, "workers": self.workers, "runner": self.runner_name})
            self._folder.store.commit()

    def _prepare(self) -> dict[str, Path]:
        began = time.monotonic()
        folder = self.folder / "prepared"
        folder.mkdir(exist_ok=True)
        context = WorkContext(
            folder, self.seed, progress=lambda done, total, text: self._emit(Progress("prepare", done, total, text))
        )
        assert self.problem.prepare is not None
        made = {name: Path(path) for name, path in self.problem.prepare(context).items()}
        entries = {}
        for name, path in made.items():
            if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"prepare of {self.problem.name!r} names {name!r} as {path}, which is no file in {folder}")
            entries[name] = {"path": path.resolve().relative_to(folder.resolve()).as_posix(), "sha256": sha256(path)}
        sync(made.values())
        seconds = round(time.monotonic() - began, 3)
        self._folder.store.append("prepared", None, {"artifacts": entries, "seconds": seconds})
        self._folder.store.commit()
        self._emit(Prepared(entries, seconds))
        return made

    def _finish(self, reason: str) -> None:
        seconds = time.monotonic() - (self._began or time.monotonic()) + self._seconds_before
        failures = Counter(trial.outcome.failure for trial in self.trials() if trial.outcome.failure) if self.failed else {}
        details = {"failures": dict(Counter(failures).most_common(10))}
        self._folder.store.append("finished", None, {"reason": reason, "told": self.told, "seconds": round(seconds, 3)})
        self._folder.store.commit()
        self._emit(Finished(reason, self.told, seconds, details))

    def _note(self, level: str, text: str) -> None:
        self._folder.store.append("note", None, {"level": level, "text": text})
        self._folder.store.commit()
        self._emit(Note(level, text))

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _configuration(self, settings: Mapping[str, Any] | None) -> dict[str, Any]:
        config: dict[str, Any] = {key: dict(value) if isinstance(value, Mapping) else value for key, value in (settings or {}).items()}
        config["problem"] = self.problem.loaded_as or self.problem.name
        config["options"] = dict(self.problem.options)
        config |= self.goals.as_dict()
        config["search"] = config.get("search", {}) | {
            "algorithm": self.algorithm.name or type(self.algorithm).__name__,
            **self.algorithm.settings(),
            "seed": self.seed,
            "lag": self.lag,
        }
        config["run"] = {"workers": self.workers, "runner": self.runner_name} | config.get("run", {})
        config["recorded"] = {
            "space": self.space.id,
            "stages": [stage.name for stage in self.problem.stages],
            "evaluators": [stage.evaluator.label for stage in self.problem.stages],
            "batch": self._schedule.batch,
        }
        return config


def check_prepared(folder: Path, entries: Mapping[str, Mapping[str, str]]) -> dict[str, Path]:
    """The prepared files of a run folder; CorruptRun where one is gone or was altered."""
    found = {}
    for name, entry in entries.items():
        path = folder / "prepared" / entry["path"]
        if not path.is_file():
            raise CorruptRun(f"the prepared artefact {name!r} is gone: {path}. Restore it, or start a new run")
        if sha256(path) != entry["sha256"]:
            raise CorruptRun(f"the prepared artefact {name!r} was altered: {path}. Restore it, or start a new run")
        found[name] = path
    return found


def _settle(
    subject: Problem | Space,
    evaluate: Evaluator | Callable[[Any], Any] | str | None,
    objectives: Mapping[str, str] | None,
    constraints: Mapping[str, str] | Sequence[Constraint],
) -> tuple[Goals, Problem, EvaluatorSource]:
    """Reads the several ways of saying what is searched and who judges."""
    if isinstance(subject, Problem):
        if evaluate is not None:
            raise ConfigError("a Problem brings its evaluators; give `evaluate` only together with a Space")
        if len(subject.stages) != 1:
            raise ConfigError(
                f"problem {subject.name!r} has {len(subject.stages)} stages; this version evaluates exactly one"
            )
        goals = Goals(objectives or subject.objectives, constraints)
        if subject.loaded_as:
            return goals, subject, EvaluatorSource(problem=subject.loaded_as, options=subject.options)
        return goals, subject, EvaluatorSource(instance=subject.stages[0].evaluator)
    if not isinstance(subject, Space):
        raise ConfigError(f"expected a Problem or a Space, got {type(subject).__name__}")
    if objectives is None:
        raise ConfigError("a Space needs objectives, for example objectives={'accuracy': 'max'}")
    goals = Goals(objectives, constraints)
    attribute: str | None = None
    if isinstance(evaluate, str):
        from coevo.search.registry import load_attribute

        attribute, evaluate = evaluate, load_attribute(evaluate)
    if isinstance(evaluate, type) and issubclass(evaluate, Evaluator):
        evaluate = evaluate()
    if evaluate is None:
        evaluate = _Unattended()
        evaluate.metrics = {metric: "" for metric in goals.needed}
    if not isinstance(evaluate, Evaluator):
        if not callable(evaluate):
            raise ConfigError(f"expected an Evaluator or a function of one value, got {type(evaluate).__name__}")
        evaluate = FunctionEvaluator(evaluate, {metric: "" for metric in goals.needed})
    problem = Problem(subject.id, subject, (Stage("full", evaluate),), {o.metric: o.direction for o in goals.objectives})
    source = EvaluatorSource(attribute=attribute) if attribute else EvaluatorSource(instance=evaluate)
    return goals, problem, source


class _Unattended(Evaluator):
    """Stands where the caller asks and tells by hand."""

    id = "by-hand"

    def evaluate(self, candidates: Sequence[Candidate], context: Any) -> list[Outcome]:
        raise InputError("this study has no evaluator: use ask() and tell(), or give it one")


def _whole(name: str, number: Any, least: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ConfigError(f"{name}: expected a whole number of at least {least}, got {number!r}")
    return number
