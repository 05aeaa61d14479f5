"""Evaluations in worker processes of this machine: the reference runner and the default."""

from __future__ import annotations

import os
import selectors
import time
import weakref
from collections import Counter, deque
from collections.abc import Sequence
from math import inf

import coevo.errors
from coevo.errors import CoevoError, ConfigError, EvaluatorError
from coevo.search.memo_book import MemoBook
from coevo.search.runners import wire
from coevo.search.runners.base import WorkerSetup
from coevo.search.runners.calls import one_line
from coevo.search.runners.jobs import Job
from coevo.search.runners.process import WorkerProcess, import_path
from coevo.search.runners.queueing import QueueingRunner

GRACE_S = 0.5  # beyond the deadline that the evaluator sees, for one that ends just in time
CLOSING_S = 2.0
LOOK_EVERY_S = 1.0
IDLE_DEATHS = 3  # in one worker's place, with no answer between them


class LocalRunner(QueueingRunner):
    """`workers` processes, each of which sets the evaluator up once; one thread of the driver serves them all.

    Scripts need no `if __name__ == "__main__"` guard, and notebooks work: a worker starts afresh and gets its evaluator
    by name, or by value where it stands in `__main__`. A worker that hangs is killed and replaced, one that dies is
    replaced; what it was working on is retried one candidate at a time. POSIX systems only.
    """

    name = "local"

    def __init__(self, workers: int = 1):
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise ConfigError(f"workers: expected a whole number from 1 on, got {workers!r}")
        self.workers = workers
        self._processes: list[WorkerProcess] = []
        self._setup: WorkerSetup | None = None
        # For a driver that ends without `close`: workers notice that by themselves, this only makes it tidy.
        self._tidy = weakref.finalize(self, _end_all, self._processes, os.getpid())

    def start(self, setup: WorkerSetup, memo: MemoBook | None = None) -> None:
        if self._setup is not None:
            raise EvaluatorError("this runner is started already; close it before starting it again")
        try:
            self._greeting = wire.dump((import_path(), setup.logs is not None)) + wire.dump(setup)
        except Exception as error:
            raise EvaluatorError(
                f"the evaluator cannot travel to a worker process: {one_line(error)}. "
                "Open files, locks and devices in its setup(), or give it by name"
            ) from error
        self._setup = setup
        self._memo = memo or MemoBook()
        self._limited = any(stage.timeout_s is not None for stage in setup.stages)
        self._selector = selectors.DefaultSelector()
        self._queue: deque[Job] = deque()
        self._idle: deque[WorkerProcess] = deque()
        self._finished: list[Job] = []
        self._open = 0
        self._idle_deaths: Counter[int] = Counter()
        self._any_ready = False
        self._look_again = time.monotonic() + LOOK_EVERY_S
        try:
            for number in range(self.workers):
                self._spawn(number)
            while not self._any_ready:
                self._turn(None)
        except BaseException:
            self.close(kill=True)
            raise

    def close(self, kill: bool = False) -> None:
        if self._setup is None:
            return
        self._setup = None
        self._selector.close()
        self._open, self._finished = 0, []
        try:
            for process in self._processes:
                if kill or not process.ready:
                    process.kill()
                else:
                    process.link.send(wire.dump(None))
            until = time.monotonic() + CLOSING_S
            for process in self._processes:
                process.wait(until - time.monotonic())
        finally:  # a second Ctrl-C ends the patience, not the tidying up
            _end_all(self._processes, os.getpid())

    def _turn(self, timeout_s: float | None) -> None:
        """Wait for something to happen, at most so long, and see to it."""
        assert self._setup is not None
        now = time.monotonic()
        wake = self._look_again
        if self._limited:
            wake = min([wake, *(self._deadline(process) for process in self._processes if process.job)])
        patience = max(wake - now, 0.0)
        for key, ready in self._selector.select(patience if timeout_s is None else min(patience, timeout_s)):
            process: WorkerProcess = key.data
            if ready & selectors.EVENT_WRITE:
                process.link.flush()
                self._listen(process)
            if ready & selectors.EVENT_READ:
                self._read(process)
        # What had arrived was read first: an answer in time counts even where the driver looks late.
        now = time.monotonic()
        if now >= wake:
            if self._limited:
                self._stop_the_late(now)
            if now >= self._look_again:
                self._look_again = now + LOOK_EVERY_S
                for process in [process for process in self._processes if process.dead]:
                    self._read(process)
                    if process in self._processes:
                        self._bury(process)
        self._hand_out()

    def _limit(self, job: Job) -> float | None:
        assert self._setup is not None
        return self._setup.stages[job.batch.task.stage].timeout_s

    def _deadline(self, process: WorkerProcess) -> float:
        assert process.job is not None
        limit = self._limit(process.job)
        return inf if limit is None else process.busy_since + limit * len(process.job.positions) + GRACE_S

    def _spawn(self, number: int) -> None:
        assert self._setup is not None
        process = WorkerProcess(number, self._setup.logs, self._setup.cpus, self._memo.reader())
        self._processes.append(process)
        self._selector.register(process.link, selectors.EVENT_READ, process)
        process.link.send(self._greeting)
        self._listen(process)

    def _listen(self, process: WorkerProcess) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if process.link.unsent else 0)
        if self._selector.get_key(process.link).events != wanted:
            self._selector.modify(process.link, wanted, process)

    def _hand_out(self) -> None:
        while self._queue and self._idle:
            job, process = self._queue.popleft(), self._idle[0]
            try:
                message = wire.dump((job.batch.task.stage, wire.pack(job.candidates), process.memo.owed()))
            except Exception as error:
                self._after(job, job.raised(f"the design cannot be sent to a worker process: {one_line(error)}", 0.0))
                continue
            self._idle.popleft()
            process.memo.sent()
            process.job, process.busy_since = job, time.monotonic()
            process.link.send(message)
            if process.link.unsent:
                self._listen(process)

    def _after(self, job: Job, retries: Sequence[Job]) -> None:
        """Retries go first: the study waits for the oldest design."""
        self._queue.extendleft(reversed(retries))
        if job.batch.complete:
            self._open -= 1
            self._finished.append(job)

    def _read(self, process: WorkerProcess) -> None:
        messages, gone = process.link.receive()
        for message in messages:
            self._hear(process, message)
        if gone:
            self._bury(process)

    def _hear(self, process: WorkerProcess, message: bytes) -> None:
        job, process.job = process.job, None
        try:
            kind, *said = wire.load(message)
            outcomes = wire.unpack_outcomes(said[1]) if kind == wire.ANSWERED else []
        except Exception as error:  # a class that the worker can import and the driver cannot
            kind, said = wire.RAISED, [0.0, f"the outcome cannot be read by the driver: {one_line(error)}", None]
        if kind == wire.UNUSABLE:
            raise self._unusable(process, *said)
        self._idle.append(process)
        if kind == wire.READY:
            process.ready = self._any_ready = True
            return
        assert job is not None
        self._idle_deaths[process.number] = 0
        seconds, reason, found = said
        process.memo.take(found)
        if kind == wire.ANSWERED:
            job.answered(outcomes, seconds)
            self._after(job, [])
        else:
            self._after(job, job.raised(reason, seconds))

    def _unusable(self, process: WorkerProcess, kind: str, message: str) -> CoevoError:
        error: type[CoevoError] = getattr(coevo.errors, kind)
        if error is EvaluatorError and process.log is not None:
            message += f". The worker's log is {process.log}"
        return error(message)

    def _stop_the_late(self, now: float) -> None:
        for process in list(self._processes):
            if process.job is not None and now >= self._deadline(process):
                job = process.job
                self._replace(process)
                self._after(job, job.timed_out(self._limit(job) or 0.0, now - process.busy_since))

    def _bury(self, process: WorkerProcess) -> None:
        """A worker that ended without being told to: replace it and retry what it was working on."""
        job, seconds = process.job, time.monotonic() - process.busy_since
        if job is not None:
            self._after(job, job.lost(self._replace(process), seconds))
            return
        self._idle_deaths[process.number] += 1
        hopeless = not self._any_ready or self._idle_deaths[process.number] >= IDLE_DEATHS
        ready = process.ready
        ended = self._replace(process, renew=not hopeless)
        if hopeless:
            raise EvaluatorError(
                f"worker process {process.number} {'was' if ended.startswith('killed') else 'has'} {ended} "
                f"while {'waiting for work' if ready else 'setting its evaluator up'}"
                + (f". Its log is {process.log}" if process.log else "")
            )

    def _replace(self, process: WorkerProcess, renew: bool = True) -> str:
        self._selector.unregister(process.link)
        self._processes.remove(process)
        if process in self._idle:
            self._idle.remove(process)
        ended = process.end()
        if renew:
            self._spawn(process.number)
        return ended


def _end_all(processes: list[WorkerProcess], owner: int) -> None:
    if os.getpid() != owner:  # a fork of the driver: the workers are not its own
        return
    for process in processes:
        process.kill()
    while processes:
        processes.pop().end()
