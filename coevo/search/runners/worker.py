"""A worker process: `python -m coevo.search.runners.worker LINK LIFELINE`, two file descriptors it inherits.

It sets its evaluator up once and then answers until it is told to end. It never outlives its driver: not while it
evaluates, and not while a library holds the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import coevo.errors
from coevo.errors import CoevoError, EvaluatorError
from coevo.search.evaluator import Candidate, Outcome
from coevo.search.memo import Found
from coevo.search.runners.base import WorkerSetup
from coevo.search.runners.calls import Calls, Raised, one_line
from coevo.search.runners.wire import (
    ANSWERED,
    RAISED,
    READY,
    UNUSABLE,
    WorkerEnd,
    dump,
    load,
    pack_outcomes,
    unpack,
)

LOOK_EVERY_MS = 1000


def main(arguments: Sequence[str]) -> None:
    link, lifeline = socket.socket(fileno=int(arguments[0])), int(arguments[1])
    for descriptor in (link.fileno(), lifeline):
        os.set_inheritable(descriptor, False)  # a process of the evaluator's must not keep the link open
    _end_with_driver(link, lifeline)
    end = WorkerEnd(link)
    surroundings, payload = end.receive(), end.receive()
    if surroundings is None or payload is None:
        _die()
    path, logged = load(surroundings)
    sys.path[:] = path
    log = _log if logged else _keep_quiet
    if logged:
        faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # a killed worker must not take its last words with it
    try:
        setup = read(payload)
        limit_memory(setup.memory_gb)
        calls = Calls(setup)
        calls.set_up(0)
    except CoevoError as error:
        end.send(unusable(error, log))
        return
    end.send(dump((READY,)))
    _serve(end, calls, log)


def read(payload: bytes) -> WorkerSetup:
    try:
        setup: WorkerSetup = load(payload)
    except Exception as error:
        raise EvaluatorError(f"the evaluator cannot be loaded in a worker process: {one_line(error)}") from error
    return setup


def limit_memory(memory_gb: float | None, beside: int = 0) -> None:
    """Holds this process to so much data, `beside` bytes of which are not the evaluator's."""
    # RLIMIT_DATA counts private memory that is written, so that libraries which reserve address space still start.
    if memory_gb is not None:
        limit = int(memory_gb * 2**30) + beside
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _serve(end: WorkerEnd, calls: Calls, log: Callable[[BaseException], None]) -> None:
    while True:
        payload = end.receive()
        if payload is None:
            _die()
        try:
            message = load(payload)
            if message is None:
                return
            stage, rows, entries = message
            candidates = unpack(rows)
        except Exception as error:
            log(error)
            end.send(unloadable(error))
            continue
        calls.memo.learn(entries)
        end.send(answer(calls, stage, candidates, log))


def unloadable(error: Exception) -> bytes:
    """The framed message that says so of a design."""
    return dump((RAISED, 0.0, f"the design cannot be loaded in a worker process: {one_line(error)}", None))


def answer(
    calls: Calls,
    stage: int,
    candidates: Sequence[Candidate],
    log: Callable[[BaseException], object],
    collect: Callable[[Sequence[Outcome]], list[Outcome]] = list,
) -> bytes:
    """Calls the stage's evaluator; the framed message that says what became of it. `collect` may look the outcomes
    through before they leave."""
    try:
        outcomes, seconds = calls.call(stage, candidates)
    except CoevoError as error:  # a later stage's evaluator cannot be set up
        return unusable(error, log)
    if isinstance(outcomes, Raised):
        log(outcomes.error)
        return dump((RAISED, seconds, outcomes.reason, calls.memo.drain()))
    return _framed(collect(outcomes), seconds, calls.memo.drain())


def unusable(error: CoevoError, log: Callable[[BaseException], object]) -> bytes:
    """The framed message after which the driver ends the study with this error."""
    log(error)
    return dump((UNUSABLE, _public_class(error), str(error)))


def _framed(outcomes: list[Outcome], seconds: float, found: Found | None) -> bytes:
    try:
        return dump((ANSWERED, seconds, pack_outcomes(outcomes), found))
    except Exception:
        sendable = [_sendable(outcome) for outcome in outcomes]
        return dump((ANSWERED, seconds, pack_outcomes(sendable), found))


def _sendable(outcome: Outcome) -> Outcome:
    try:
        dump(pack_outcomes([outcome]))
    except Exception as error:
        return Outcome.failed(f"the outcome cannot be sent to the driver: {one_line(error)}")
    return outcome


def _log(error: BaseException) -> None:
    traceback.print_exception(error)


def _keep_quiet(error: BaseException) -> None:
    """Without a log file a traceback would land on the user's terminal."""


def _public_class(error: CoevoError) -> str:
    """The nearest class of the error that the driver can make anew from a message."""
    names: list[str] = [
        kind.__name__ for kind in type(error).__mro__ if getattr(coevo.errors, kind.__name__, None) is kind
    ]
    return names[0]


def _end_with_driver(link: socket.socket, lifeline: int) -> None:
    """However the driver ends, this process and those it started end with it.

    Nobody writes to the lifeline: it becomes readable when the driver, which alone holds its other end, is gone, and
    the system then sends SIGIO, whose default is to kill. That works even where the interpreter's lock is held. The
    thread sees the same by the link, where a system knows no such signal for pipes, and by the parent's id, where a
    fork of the driver keeps both open.
    """
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp() if _leads_its_group() else os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_watch, args=(link.fileno(), os.getppid()), daemon=True).start()


def _watch(link: int, driver: int) -> None:
    poller = select.poll()
    poller.register(link, 0)  # hang-ups alone are reported; messages are the main thread's
    while not poller.poll(LOOK_EVERY_MS) and os.getppid() == driver:
        pass
    _die()


def _die() -> NoReturn:
    if _leads_its_group():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _leads_its_group() -> bool:
    return os.getpgrp() == os.getpid()


if __name__ == "__main__":
    main(sys.argv[1:])
