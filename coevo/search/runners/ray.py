"""Evaluations in long-lived Ray actors, on this machine or a cluster. Needs the extra `ray`, imported on start."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import coevo.errors
from coevo.errors import CoevoError, ConfigError, EvaluatorError
from coevo.search.folder import sha256
from coevo.search.memo_book import MemoBook, MemoReader
from coevo.search.runners import wire
from coevo.search.runners.actor import Actor, packed, placed
from coevo.search.runners.base import WorkerSetup
from coevo.search.runners.calls import one_line
from coevo.search.runners.cluster import Cluster, require_ray
from coevo.search.runners.jobs import Job
from coevo.search.runners.process import THREADS, import_path
from coevo.search.runners.queueing import QueueingRunner

GRACE_S = 0.5  # beyond the deadline that the evaluator sees, for one that ends just in time
LOOK_EVERY_S = 1.0
PING_EVERY_S = 5.0  # an idle actor: whether it lives shows only when it is called
PLACED_WITHIN_S = 300.0  # for the first actor to find a node
IDLE_DEATHS = 3  # in one actor's place, with no answer between them
AHEAD_BELOW_S = 0.05  # shorter calls than this have the next one waiting at the actor; longer ones balance better here
BEGIN, SET_UP, PING, WORK = "begin", "set_up", "ping", "work"


class Call:
    """A method of an actor under way, or waiting there; `job` is what it works on, or what waits for its ping."""

    __slots__ = ("job", "kind", "reference")

    def __init__(self, reference: Any, kind: str, job: Job | None = None):
        self.reference, self.kind, self.job = reference, kind, job


class Seat:
    """One actor: its calls in their order, and since when the first of them runs."""

    __slots__ = ("calls", "handle", "memo", "number", "pid", "ready", "shares", "since")

    def __init__(self, number: int, handle: Any, memo: MemoReader):
        self.number, self.handle, self.memo = number, handle, memo
        self.pid = 0
        self.ready = False
        self.shares = True  # sees the driver's files
        self.calls: deque[Call] = deque()
        self.since = time.monotonic()

    def add(self, call: Call) -> None:
        if not self.calls:
            self.since = time.monotonic()
        self.calls.append(call)


class RayRunner(QueueingRunner):
    """`workers` actors, each of which sets the evaluator up once; one thread of the driver serves them all.

    Without an address (and with RAY_ADDRESS unset) a Ray is started on loopback, dashboard off, and ended by `close`;
    with one ("10.0.0.7:6379", "ray://10.0.0.7:10001", "auto") a cluster is joined, which has `wait_s` to answer (10,
    unless COEVO_RAY_WAIT_S says otherwise). Each actor reserves the evaluator's CPUs, GPUs and custom resources, `gpus`
    where that is more, and `resources`. Failures are treated as the local runner treats them, in the same words. Where
    an actor does not see the driver's files, what `prepare` made travels once a node, and the files of outcomes travel
    back. The evaluators' output goes to the run's logs, or to Ray's where those are out of reach.
    """

    name = "ray"

    def __init__(
        self,
        workers: int = 1,
        address: str | None = None,
        gpus: float = 0,
        resources: Mapping[str, float] | None = None,
        wait_s: float | None = None,
    ):
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise ConfigError(f"workers: expected a whole number from 1 on, got {workers!r}")
        require_ray()
        self.workers, self.address, self.gpus, self.wait_s = workers, address, gpus, wait_s
        self.resources = dict(resources or {})
        self.spec = "ray" if address is None else address if address.startswith("ray://") else f"ray:{address}"
        self._cluster: Cluster | None = None
        self._setup: WorkerSetup | None = None
        self._seats: list[Seat] = []

    @property
    def note(self) -> str:
        """What the user should be warned of; empty where nothing is."""
        return self._cluster.note if self._cluster is not None else ""

    def connect(self, cpus: int = 1, gpus: float = 0.0, custom: Mapping[str, float] | None = None) -> None:
        """Starts or joins Ray, and sees whether actors of this size fit. ConfigError where nobody answers, or where
        the cluster has not what one of them needs."""
        if self._cluster is not None:
            return
        self._need = {"CPU": cpus, "GPU": max(gpus, self.gpus), **(custom or {}), **self.resources}
        self._environment = worker_environment(cpus)
        cluster = Cluster(self.address, self.workers * cpus, self._environment, self.wait_s)
        try:
            cluster.require(self._need, self.workers)
        except BaseException:
            cluster.close()
            raise
        self._cluster = cluster

    def start(self, setup: WorkerSetup, memo: MemoBook | None = None) -> None:
        if self._setup is not None:
            raise EvaluatorError("this runner is started already; close it before starting it again")
        try:
            self._payload = wire.dump(setup)
        except Exception as error:
            raise EvaluatorError(
                f"the evaluator cannot travel to a worker process: {one_line(error)}. "
                "Open files, locks and devices in its setup(), or give it by name"
            ) from error
        self.connect(setup.cpus, setup.gpus, setup.custom)
        assert self._cluster is not None
        self._ray = self._cluster.ray
        # An actor with an environment of its own cannot have one of the processes that a local Ray holds ready.
        env_vars = dict(self._environment.items() - self._cluster.environment.items())
        self._class = self._ray.remote(Actor).options(
            num_cpus=self._need["CPU"],
            num_gpus=self._need["GPU"],
            resources={name: amount for name, amount in self._need.items() if name not in ("CPU", "GPU")} or None,
            max_restarts=0,  # a new actor is made here, where its lost work is known
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": env_vars} if env_vars else None,
        )
        self._artifacts = {name: (str(path), sha256(path)) for name, path in setup.artifacts.items()}
        self._probe = _probe(setup.logs)
        self._setup = setup
        self._memo = memo or MemoBook()
        self._put: dict[str, Any] = {}
        self._queue: deque[Job] = deque()
        self._alone: set[Job] = set()
        self._finished: list[Job] = []
        self._open = 0
        self._idle_deaths: Counter[int] = Counter()
        self._any_ready = self._any_placed = False
        self._call_s = inf
        self._look_again = self._began = time.monotonic()
        try:
            for number in range(self.workers):
                self._spawn(number)
            while not self._any_ready:
                self._turn(None)
        except BaseException:
            self.close(kill=True)
            raise

    def close(self, kill: bool = False) -> None:
        """Ends the actors at once, whatever `kill` says: nothing they do outlives them. Ends a Ray started here."""
        seats, self._seats, cluster, self._cluster = self._seats, [], self._cluster, None
        if self._setup is not None:
            self._setup = None
            self._open, self._finished = 0, []
            Path(self._probe[0]).unlink(missing_ok=True)
        if cluster is None:
            return
        try:
            for seat in seats:
                self._kill(seat)
        finally:  # a second Ctrl-C ends the patience, not the tidying up
            self._put = {}
            cluster.close()

    # Actors -----------------------------------------------------------------------------------------------------

    def _spawn(self, number: int) -> None:
        assert self._setup is not None
        seat = Seat(number, self._class.remote(number), self._memo.reader())
        logs = None if self._setup.logs is None else str(self._setup.logs)
        seat.add(Call(seat.handle.begin.remote(import_path(), self._probe, logs, self._artifacts), BEGIN))
        self._seats.append(seat)

    def _kill(self, seat: Seat) -> None:
        try:
            self._ray.kill(seat.handle, no_restart=True)
        except Exception:  # its node is gone, or Ray is
            return

    def _replace(self, seat: Seat, renew: bool = True) -> Call:
        """Kills the actor. Gives the call that it was at; what waited behind that goes back, since it never ran."""
        self._seats.remove(seat)
        self._kill(seat)
        head, *behind = seat.calls
        for call in reversed(behind):
            self._put_back(call)
        if renew:
            self._spawn(seat.number)
        return head

    def _put_back(self, call: Call) -> None:
        if call.job is not None:
            self._alone.add(call.job)
            self._queue.appendleft(call.job)

    def _log_of(self, seat: Seat) -> str:
        assert self._setup is not None
        return f"{self._setup.logs / f'worker-{seat.number}.log'}" if self._setup.logs and seat.shares else ""

    # Turns ------------------------------------------------------------------------------------------------------

    def _turn(self, timeout_s: float | None) -> None:
        """Wait for something to happen, at most so long, and see to it."""
        now = time.monotonic()
        wake = min([self._look_again, *map(self._deadline, self._seats)])
        patience = max(wake - now, 0.0)
        self._listen(patience if timeout_s is None else min(patience, timeout_s))
        # What had arrived was read first: an answer in time counts even where the driver looks late.
        now = time.monotonic()
        for seat in [seat for seat in self._seats if now >= self._deadline(seat)]:
            head = self._replace(seat)
            assert head.job is not None
            self._after(head.job, head.job.timed_out(self._limit(head.job) or 0.0, now - seat.since))
        if now >= self._look_again:
            self._look_again = now + LOOK_EVERY_S
            for seat in self._seats:
                if seat.ready and not seat.calls and now - seat.since > PING_EVERY_S:
                    seat.add(Call(seat.handle.ping.remote(), PING))
            if not self._any_placed and now - self._began > PLACED_WITHIN_S:
                raise EvaluatorError(
                    f"no actor could be placed in {PLACED_WITHIN_S:.0f} s: each needs {self._need}, and the cluster "
                    f"has {self._ray.available_resources()} free"
                )
        self._hand_out()

    def _listen(self, patience: float) -> None:
        while True:
            # An actor works in order, so its first call says whether there is anything to hear.
            heads = {seat.calls[0].reference: seat for seat in self._seats if seat.calls}
            if not heads:
                time.sleep(min(patience, LOOK_EVERY_S))
                return
            ready, _ = self._ray.wait(list(heads), num_returns=1, timeout=patience)
            if not ready:
                return
            if len(heads) > 1:
                ready, _ = self._ray.wait(list(heads), num_returns=len(heads), timeout=0)
            for reference in ready:
                seat = heads[reference]
                if seat in self._seats:
                    self._hear(seat)
                    self._hand_out()  # at once: it would idle while the others' answers are read
            patience = 0.0

    def _hear(self, seat: Seat) -> None:
        call = seat.calls[0]
        try:
            answer = self._ray.get(call.reference)
        except self._ray.exceptions.RayTaskError as error:  # Ray could not send the answer, or the call was interrupted
            answer = wire.dump((wire.RAISED, 0.0, one_line(error.cause or error), None)), {}
            if call.kind in (BEGIN, SET_UP):
                self._replace(seat, renew=False)
                raise EvaluatorError(
                    f"actor {seat.number} cannot be set up: {one_line(error.cause or error)}"
                ) from None
        except self._ray.exceptions.RayError as error:
            self._bury(seat, error)
            return
        seat.calls.popleft()
        seat.since = time.monotonic()
        if call.kind == BEGIN:
            self._any_placed = True
            seat.pid, seat.shares, missing = answer
            seat.add(Call(seat.handle.set_up.remote(self._payload, self._ship(missing)), SET_UP))
        elif call.kind == PING:
            if call.job is not None:
                self._send(seat, call.job)
        elif call.kind == SET_UP:
            self._read(seat, None, answer, {})
            seat.ready = self._any_ready = True
        else:
            self._read(seat, call.job, *answer)

    def _read(self, seat: Seat, job: Job | None, message: bytes, files: Mapping[int, Mapping[str, Any]]) -> None:
        try:
            kind, *said = wire.load(wire.unframed(message))
            outcomes = wire.unpack_outcomes(said[1]) if kind == wire.ANSWERED else []
        except Exception as error:  # a class that the worker can import and the driver cannot
            kind, said = wire.RAISED, [0.0, f"the outcome cannot be read by the driver: {one_line(error)}", None]
        if kind == wire.UNUSABLE:
            raise self._unusable(seat, *said)
        if job is None:
            return
        self._idle_deaths[seat.number] = 0
        seconds, reason, found = said
        seat.memo.take(found)
        self._call_s = seconds if self._call_s == inf else 0.8 * self._call_s + 0.2 * seconds
        if kind != wire.ANSWERED:
            self._after(job, job.raised(reason, seconds))
            return
        for position, brought in files.items():
            home = job.candidates[position].scratch
            artifacts = {name: placed(contents, home) for name, contents in brought.items()}
            outcomes[position] = type(outcomes[position])(
                outcomes[position].metrics, outcomes[position].failure, artifacts
            )
        job.answered(outcomes, seconds)
        self._after(job, [])

    def _unusable(self, seat: Seat, kind: str, message: str) -> CoevoError:
        error: type[CoevoError] = getattr(coevo.errors, kind)
        if error is EvaluatorError and self._log_of(seat):
            message += f". The worker's log is {self._log_of(seat)}"
        return error(message)

    def _bury(self, seat: Seat, error: BaseException) -> None:
        """An actor that ended without being told to: replace it and retry what it was working on."""
        ended, seconds = _said(error), time.monotonic() - seat.since
        call = seat.calls[0]
        if call.kind == WORK:
            self._replace(seat)
            assert call.job is not None
            self._after(call.job, call.job.lost(ended, seconds))
            return
        self._idle_deaths[seat.number] += 1
        hopeless = not self._any_ready or self._idle_deaths[seat.number] >= IDLE_DEATHS
        self._replace(seat, renew=not hopeless)
        self._put_back(call)
        if hopeless:
            log = self._log_of(seat)
            raise EvaluatorError(
                f"actor {seat.number} ended while {'waiting for work' if seat.ready else 'setting its evaluator up'}: "
                f"{one_line(error)}" + (f". Its log is {log}" if log else "")
            )

    # Work -------------------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        while self._queue:
            job = self._queue[0]
            # Retried and put-back jobs run on an actor that has just answered, with nothing ahead of them: so a loss
            # is never charged to a design that only stood near one.
            careful = job.retried or job in self._alone
            seat = next((seat for seat in self._seats if seat.ready and not seat.calls), None)
            if seat is None and not careful and self._call_s < AHEAD_BELOW_S:
                seat = next((seat for seat in self._seats if seat.ready and self._takes_another(seat)), None)
            if seat is None:
                return
            self._queue.popleft()
            if careful:
                seat.add(Call(seat.handle.ping.remote(), PING, job))
            else:
                self._send(seat, job)

    def _takes_another(self, seat: Seat) -> bool:
        if len(seat.calls) != 1:
            return False
        call = seat.calls[0]
        return call.kind == WORK and call.job is not None and not (call.job.retried or call.job in self._alone)

    def _send(self, seat: Seat, job: Job) -> None:
        try:
            message = wire.dump((job.batch.task.stage, wire.pack(job.candidates), seat.memo.owed()))
            sent = {} if seat.shares else _earlier(job)
        except Exception as error:
            self._after(job, job.raised(f"the design cannot be sent to a worker process: {one_line(error)}", 0.0))
            return
        seat.memo.sent()
        seat.add(Call(seat.handle.work.remote(message, sent), WORK, job))

    def _ship(self, names: Sequence[str]) -> dict[str, tuple[str, list[Any]]]:
        """File name and reference of the artefacts that an actor lacks; each is put into the object store once."""
        for name in names:
            if name not in self._put:
                self._put[name] = self._ray.put(Path(self._artifacts[name][0]).read_bytes())
        return {name: (Path(self._artifacts[name][0]).name, [self._put[name]]) for name in names}

    def _after(self, job: Job, retries: Sequence[Job]) -> None:
        """Retries go first: the study waits for the oldest design."""
        self._alone.discard(job)
        self._queue.extendleft(reversed(retries))
        if job.batch.complete:
            self._open -= 1
            self._finished.append(job)

    def _limit(self, job: Job) -> float | None:
        assert self._setup is not None
        return self._setup.stages[job.batch.task.stage].timeout_s

    def _deadline(self, seat: Seat) -> float:
        call = seat.calls[0] if seat.calls else None
        if call is None or call.kind != WORK or call.job is None:
            return inf
        limit = self._limit(call.job)
        return inf if limit is None else seat.since + limit * len(call.job.positions) + GRACE_S


def _earlier(job: Job) -> dict[int, dict[str, list[tuple[str, bytes]]]]:
    """The files that earlier stages left, for an actor that cannot see them."""
    return {
        position: {name: packed(Path(path), Path(path).parent) for name, path in candidate.artifacts.items()}
        for position, candidate in enumerate(job.candidates)
        if candidate.artifacts
    }


def _probe(logs: Path | None) -> tuple[str, str]:
    """A file beside what the actors will write, and the secret in it: who can read it shares the driver's files."""
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
    descriptor, path = tempfile.mkstemp(prefix=".probe-", dir=logs)
    secret = secrets.token_hex(16)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    return os.path.abspath(path), secret


def worker_environment(cpus: int) -> dict[str, str]:
    """What numerical libraries and hashes look at when a process starts; as in the local runner's workers."""
    # Without a seed every worker walks through sets in an order of its own.
    return {**dict.fromkeys(THREADS, str(cpus)), "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0")}


def _said(error: BaseException) -> str:
    """How the actor ended, in a few words: Ray's own take a page."""
    text = str(error)
    if "OutOfMemory" in type(error).__name__ or "low on memory" in text:
        return "killed by Ray, because its node ran low on memory"
    if "its node has died" in text or type(error).__name__ == "NodeDiedError":
        return "its node is gone"
    return "its actor died"
