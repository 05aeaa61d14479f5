"""What runners share that keep a queue of jobs for workers of their own: taking tasks in, and handing results out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from coevo.errors import EvaluatorError
from coevo.search.runners.base import Done, Task, WorkerSetup
from coevo.search.runners.jobs import Job


class QueueingRunner:
    """A subclass fills `_finished` in `_turn`, which waits at most so long for something to happen, and gives workers
    what stands in `_queue` in `_hand_out`. `_setup` is None while it is not started."""

    workers: int
    _setup: WorkerSetup | None
    _queue: deque[Job]
    _finished: list[Job]
    _open: int

    def room(self) -> int:
        """Each worker is kept busy with one task, and one more waits for it."""
        return 0 if self._setup is None else max(2 * self.workers - self._open, 0)

    def submit(self, task: Task) -> None:
        if self._setup is None:
            raise EvaluatorError("this runner is not started")
        self._open += 1
        self._queue.append(Job.whole(task))
        self._hand_out()

    def wait(self, timeout_s: float | None = None) -> Sequence[tuple[Task, Sequence[Done]]]:
        if not self._open and not self._finished:
            return []
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = None if until is None else max(until - time.monotonic(), 0.0)
            self._turn(0.0 if self._finished else left)
            if self._finished or left == 0.0:
                break
        finished, self._finished = self._finished, []
        return [(job.batch.task, job.batch.results()) for job in finished]

    def _turn(self, timeout_s: float | None) -> None:
        raise NotImplementedError

    def _hand_out(self) -> None:
        raise NotImplementedError
