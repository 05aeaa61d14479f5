"""Ends what a local Ray started once its driver is gone: `python -I reaper.py MARK FOLDER`, run by file name with the
standard library alone.

A driver that is killed takes Ray's head processes with it, but not their children, which live on for minutes. All of
them inherit MARK, an environment variable that no other process has, whoever their parent is by then (Linux). The
driver holds the other end of standard input: at its end this process kills them all and
removes FOLDER, Ray's session. A byte on standard input says that there is nothing to do.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LOOK_EVERY_MS = 1000
QUIET_S = 1.0  # with nothing left for so long, nothing more is on its way
AT_MOST_S = 60.0


def main(arguments: Sequence[str]) -> None:
    mark, folder = arguments
    driver = os.getppid()
    poller = select.poll()
    poller.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    # A fork of the driver may hold the other end open for longer than the driver lives; the parent's id tells.
    while not poller.poll(LOOK_EVERY_MS):
        if os.getppid() != driver:
            break
    else:
        if os.read(sys.stdin.fileno(), 1):
            return
    end(mark, folder, 0.0, QUIET_S)
    shutil.rmtree(folder, ignore_errors=True)


def marked(mark: str, folder: str) -> list[int]:
    """The processes, other than this one, that were started with this environment variable.

    Ray's processes write their title over their arguments and, as it happens, over the beginning of their environment;
    those are known by the files in `folder` that they have open.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to somebody else
            if int(entry.name) != os.getpid() and (_has(entry, mark) or _writes_in(entry, folder)):
                found.append(int(entry.name))
    return found


def _has(entry: Path, mark: str) -> bool:
    return f"\0{mark}=".encode() in b"\0" + (entry / "environ").read_bytes()


def _writes_in(entry: Path, folder: str) -> bool:
    if not (entry / "cmdline").read_bytes().startswith(b"ray::"):
        return False
    for descriptor in os.listdir(entry / "fd"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "fd" / descriptor).startswith(folder + os.sep):
                return True
    return False


def end(mark: str, folder: str, patience_s: float, quiet_s: float = 0.0) -> None:
    """Waits so long for the marked processes to end by themselves, then kills them until none came for `quiet_s`."""
    begun = last = time.monotonic()
    while time.monotonic() - begun < AT_MOST_S:
        left = marked(mark, folder)
        now = time.monotonic()
        if left:
            last = now
        elif now - last >= quiet_s:
            return
        if now - begun >= patience_s:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1:])
