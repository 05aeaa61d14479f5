"""A worker process as its driver sees it: started, spoken to, ended, and asked how it died."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from coevo.errors import EvaluatorError
from coevo.search.memo_book import MemoReader
from coevo.search.runners.jobs import Job
from coevo.search.runners.wire import DriverEnd

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)


class WorkerProcess:
    """One process. `ready` once its evaluator is set up; `job` is what it works on, since `busy_since`; `memo` knows
    which inner results it has got."""

    def __init__(self, number: int, logs: Path | None, cpus: int, memo: MemoReader):
        self.number = number
        self.memo = memo
        self.log = None if logs is None else logs / f"worker-{number}.log"
        self.ready = False
        self.job: Job | None = None
        self.busy_since = 0.0
        ours, theirs = socket.socketpair()
        watched, self._lifeline = os.pipe()
        try:
            self._process = _start(theirs.fileno(), watched, self.log, cpus)
        except OSError as error:
            ours.close()
            os.close(self._lifeline)
            raise EvaluatorError(f"worker process {number} cannot be started: {error}") from error
        finally:
            theirs.close()
            os.close(watched)
        self.link = DriverEnd(ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def dead(self) -> bool:
        """Whether the process ended, though something that it started may still hold its link open."""
        return self._process.poll() is not None

    def wait(self, patience_s: float) -> None:
        """Give it so long to end by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(patience_s, 0.0))

    def kill(self) -> None:
        """Kill the process and whatever it started and left behind; `end` must follow."""
        # Its process group is its own. Numbers are given out in a circle, so just after its end it is nobody else's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> str:
        """Kill it where it still runs, leave nothing of it, and say how it ended."""
        self.kill()
        code = self._process.wait()
        self.link.close()
        os.close(self._lifeline)
        return _said(code)


def _start(link: int, lifeline: int, log: Path | None, cpus: int) -> subprocess.Popen[bytes]:
    with contextlib.ExitStack() as opened:
        output = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = opened.enter_context(open(log, "ab"))
        return subprocess.Popen(
            # -P: the current folder is on the path only where the driver has it there.
            [sys.executable, "-P", "-m", "coevo.search.runners.worker", str(link), str(lifeline)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            pass_fds=(link, lifeline),
            env=_environment(cpus),
            start_new_session=True,  # Ctrl-C is for the driver alone
        )


def _environment(cpus: int) -> dict[str, str]:
    """The driver's, with its import path, and with what would make outcomes depend on the worker held fixed."""
    environment = {**os.environ, **dict.fromkeys(THREADS, str(cpus)), "PYTHONPATH": os.pathsep.join(import_path())}
    environment.setdefault("PYTHONHASHSEED", "0")  # else every worker walks through sets in an order of its own
    return environment


def import_path() -> list[str]:
    """`sys.path` as a process in any folder understands it."""
    return [entry or os.getcwd() for entry in sys.path if isinstance(entry, str)]


def _said(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
