"""Evaluations in this process: the cheapest runner, for debugging, for tests and for evaluators of microseconds."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Sequence

from coevo.errors import EvaluatorError
from coevo.search.memo_book import MemoBook
from coevo.search.runners.base import Done, Task, WorkerSetup
from coevo.search.runners.calls import Calls, Raised
from coevo.search.runners.jobs import Job


class InlineRunner:
    """Evaluates in this process, one task a `wait`.

    Exceptions are retried as the local runner does. Timeouts are not enforced, because nobody could interrupt the
    call: `context.deadline` is set, and an evaluator that reads it can end in time. An evaluator that kills its process
    takes the study with it. The numerical libraries keep the threads that this process gives them, so the last digit
    may differ from the local runner's.
    """

    name = "inline"
    workers = 1
    enforces_timeouts = False

    def __init__(self) -> None:
        self._calls: Calls | None = None
        self._setup: WorkerSetup | None = None
        self._tasks: deque[Task] = deque()

    def start(self, setup: WorkerSetup, memo: MemoBook | None = None) -> None:
        if self._calls is not None:
            raise EvaluatorError("this runner is started already; close it before starting it again")
        calls = Calls(setup)
        calls.set_up(0)
        self._calls, self._setup = calls, setup
        self._memo = (memo or MemoBook()).reader()

    def room(self) -> int:
        return 0 if self._tasks or self._calls is None else 1

    def submit(self, task: Task) -> None:
        if self._calls is None:
            raise EvaluatorError("this runner is not started")
        self._tasks.append(task)

    def wait(self, timeout_s: float | None = None) -> Sequence[tuple[Task, Sequence[Done]]]:
        """The results of the next task; a `timeout_s` changes nothing, since the evaluation runs in this very call."""
        if not self._tasks:
            return []
        task = self._tasks.popleft()
        job = Job.whole(task)
        jobs = [job]
        while jobs:
            jobs += self._run(jobs.pop())
        return [(task, job.batch.results())]

    def close(self, kill: bool = False) -> None:
        self._tasks.clear()
        self._calls = None

    def _run(self, job: Job) -> list[Job]:
        assert self._calls is not None
        self._calls.memo.learn(self._memo.owed())
        self._memo.sent()
        answer, seconds = self._calls.call(job.batch.task.stage, job.candidates)
        self._memo.take(self._calls.memo.drain())
        if isinstance(answer, Raised):
            self._log(answer.error)
            return job.raised(answer.reason, seconds)[::-1]  # popped from the end, so run in their order
        job.answered(answer, seconds)
        return []

    def _log(self, error: BaseException) -> None:
        """The traceback goes where a worker process would leave it."""
        assert self._setup is not None
        if self._setup.logs is not None:
            self._setup.logs.mkdir(parents=True, exist_ok=True)
            with open(self._setup.logs / "worker-0.log", "a", encoding="utf-8") as log:
                traceback.print_exception(error, file=log)
