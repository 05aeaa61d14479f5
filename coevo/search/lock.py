"""One driver a run folder: an advisory lock that the system lets go when the driver dies, however it dies."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import IO

from coevo.errors import RunFolderError

FILE = "driver.lock"


class DriverLock:
    """Holds the lock of a run folder until `release`. RunFolderError names the holder's host and process id."""

    def __init__(self, folder: Path):
        self._file: IO[str] | None = None
        path = folder / FILE
        try:
            file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (open for as long as the lock is held)
        except OSError as problem:
            raise RunFolderError(
                f"{folder} cannot be written ({problem.strerror}): give a folder that you may write, with --out"
            ) from None
        try:
            _take(file)
        except OSError:
            file.seek(0)
            holder = _describe(file.read())
            file.close()
            raise RunFolderError(
                f"{folder} is being driven by {holder}. Wait for it, or stop that process, then try again"
            ) from None
        file.seek(0)
        file.truncate()
        json.dump({"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}, file)
        file.flush()
        self._file = file

    def release(self) -> None:
        """Lets go; may be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


def holder(folder: Path) -> str | None:
    """Who drives a run folder, in words; None where nobody does. The lock itself is not touched, lest a driver that
    begins in this moment be refused: a driver on another host counts as alive, because that cannot be told from here.
    """
    try:
        content = (folder / FILE).read_text(encoding="utf-8")
        found = json.loads(content)
        host, pid = found["host"], int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if host == socket.gethostname() and not _alive(pid):
        return None
    return _describe(content)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is there, and another user's
        return True
    return True


def _take(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    # flock, not lockf: a second study in the same process must be refused too.
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _describe(content: str) -> str:
    try:
        holder = json.loads(content)
        return f"process {holder['pid']} on host {holder['host']} (since {holder['since']})"
    except (ValueError, KeyError, TypeError):
        return "another process"
