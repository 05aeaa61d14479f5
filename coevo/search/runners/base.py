"""The contract between the study and whoever runs its evaluators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from coevo.search.evaluator import Candidate, Evaluator, Outcome
from coevo.search.memo_book import MemoBook


@dataclass(frozen=True, slots=True)
class Task:
    """A batch on its way to a worker: a fixed range of the study's indices, at one stage."""

    id: int
    candidates: tuple[Candidate, ...]
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one candidate. `how` is "" for an undisturbed evaluation, else "retried", "timeout" or "lost"."""

    index: int
    outcome: Outcome
    cost_s: float
    how: str = ""


@dataclass(frozen=True, slots=True)
class EvaluatorSource:
    """How a worker gets its evaluator: by name where there is one, else the object itself, in memory.

    Either `problem` (a registered name) with `options` and `stage`, or `attribute` ("module:attribute", an Evaluator,
    a function of no arguments that makes one, or a plain function of one value), or `instance`.
    """

    instance: Evaluator | None = None
    problem: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    stage: int = 0
    attribute: str | None = None


@dataclass(frozen=True, slots=True)
class StageSetup:
    """A rung of the ladder as a worker sees it: whose evaluator, how long one candidate may take, and the budget that
    `context.budget` holds there."""

    source: EvaluatorSource
    timeout_s: float | None = None
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What every worker is started with. It sets the first stage's evaluator up at once, the others when they are
    first needed.

    `logs` is a folder for the workers' standard output, or None to inherit. `cpus` is how many threads the numerical
    libraries of a worker may take; it is fixed so that no outcome depends on how many workers share the machine.
    A worker that wants more data than `memory_gb` gets a MemoryError, which fails its candidate. `gpus` and `custom`
    are what a runner that shares them out gives each worker. `memo=False` has inner results computed anew whenever they
    are asked for.
    """

    stages: tuple[StageSetup, ...]
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    device: str = "cpu"
    seed: int = 0
    logs: Path | None = None
    cpus: int = 1
    memory_gb: float | None = None
    gpus: float = 0.0
    memo: bool = True
    custom: Mapping[str, float] = field(default_factory=dict)


class Runner(Protocol):
    """Runs tasks. The study submits while `room() > 0`, then waits.

    `start` returns when the first worker has set its first evaluator up, or raises EvaluatorError with the worker's
    own words; `wait` raises it where a later stage's cannot be set up. `wait` returns the results of every task that
    ended, at least one unless `timeout_s` passed first; a task's results come together, one `Done` a candidate in
    their order. A lost or failed batch is retried one candidate at a time inside the runner; only a candidate that
    loses its worker twice fails. `close` ends every worker; it may be called twice, and `kill=True` does not wait for
    running evaluations.

    `memo` is the driver's book of inner results (a new one where none is given): every worker has a reader of it, is
    sent what that owes with each task, and returns with its answer, also where that is an exception, what it computed.

    A runner may also have `connect(cpus, gpus, custom)`, which the study calls before it prepares anything, so that a
    cluster that is absent or too small is refused before it costs anything; `note`, a warning that the study passes on;
    and `spec`, the text that `make_runner` makes it from, where that is more than its name.
    """

    name: str
    workers: int

    def start(self, setup: WorkerSetup, memo: MemoBook | None = None) -> None: ...

    def room(self) -> int:
        """How many more tasks it wants now."""
        ...

    def submit(self, task: Task) -> None: ...

    def wait(self, timeout_s: float | None = None) -> Sequence[tuple[Task, Sequence[Done]]]: ...

    def close(self, kill: bool = False) -> None: ...
