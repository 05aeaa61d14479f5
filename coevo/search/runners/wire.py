"""Messages between the driver and its worker processes: cloudpickle in memory, each framed by its length.

Driver to worker: (`sys.path`, whether output is logged); the WorkerSetup; then (stage, `pack`ed candidates, inner
results that it has not got), or None to end.
Worker to driver: READY, or (UNUSABLE, error class, message); then (ANSWERED, seconds, outcomes, inner results found) or
(RAISED, seconds, reason, inner results found) for each message of candidates.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle

from coevo.search.evaluator import Candidate, Outcome

READY, UNUSABLE, ANSWERED, RAISED = "ready", "unusable", "answered", "raised"

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 18


def dump(message: Any) -> bytes:
    """The framed message. Functions and classes of `__main__` travel by value, those of modules by name."""
    payload: bytes = cloudpickle.dumps(message)
    return _LENGTH.pack(len(payload)) + payload


def unframed(message: bytes) -> bytes:
    """The payload of one whole framed message."""
    return message[_LENGTH.size :]


def load(payload: bytes) -> Any:
    return cloudpickle.loads(payload)


def pack(candidates: Sequence[Candidate]) -> list[tuple[Any, ...]]:
    """Candidates as plain tuples: a fifth of the time that pickling the dataclasses takes."""
    return [
        (c.index, c.key, c.value, c.seed, str(c.designs_folder), {name: str(c.artifacts[name]) for name in c.artifacts})
        for c in candidates
    ]


def unpack(rows: Sequence[tuple[Any, ...]]) -> list[Candidate]:
    return [
        Candidate(index, key, value, seed, Path(folder), {name: Path(artifacts[name]) for name in artifacts})
        for index, key, value, seed, folder, artifacts in rows
    ]


def pack_outcomes(outcomes: Sequence[Outcome]) -> list[tuple[Any, ...]]:
    return [(o.metrics, o.failure, o.artifacts) for o in outcomes]


def unpack_outcomes(rows: Sequence[tuple[Any, ...]]) -> list[Outcome]:
    return [Outcome(*row) for row in rows]


class WorkerEnd:
    """The worker's end: blocking, one message at a time."""

    def __init__(self, link: socket.socket):
        self._link = link

    def send(self, framed: bytes) -> None:
        self._link.sendall(framed)

    def receive(self) -> bytes | None:
        """The next message, or None where the driver is gone."""
        header = self._exactly(_LENGTH.size)
        return None if header is None else self._exactly(_LENGTH.unpack(header)[0])

    def _exactly(self, size: int) -> bytes | None:
        data = self._link.recv(size, socket.MSG_WAITALL)
        if len(data) == size:
            return data
        buffer = bytearray(data)  # a signal may cut even MSG_WAITALL short
        while len(buffer) < size:
            data = self._link.recv(min(size - len(buffer), _CHUNK))
            if not data:
                return None
            buffer += data
        return bytes(buffer)


class DriverEnd:
    """The driver's end: never blocks, so that one slow or stopped worker does not hold up the others."""

    def __init__(self, link: socket.socket):
        link.setblocking(False)
        self._link = link
        self._arrived = bytearray()
        self._unsent: deque[memoryview] = deque()

    def fileno(self) -> int:
        return self._link.fileno()

    @property
    def unsent(self) -> bool:
        """Whether something waits for the link to take more; `flush` when it can."""
        return bool(self._unsent)

    def send(self, framed: bytes) -> None:
        self._unsent.append(memoryview(framed))
        self.flush()

    def flush(self) -> None:
        while self._unsent:
            try:
                taken = self._link.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError:  # the worker is gone; `receive` reports it
                self._unsent.clear()
                return
            rest = self._unsent[0][taken:]
            if rest:
                self._unsent[0] = rest
            else:
                self._unsent.popleft()

    def receive(self) -> tuple[list[bytes], bool]:
        """Every message that has arrived whole, and whether the worker is gone."""
        gone = False
        while True:
            try:
                data = self._link.recv(_CHUNK)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self._arrived += data
            if len(data) < _CHUNK:
                gone = not data
                break
        messages = []
        while len(self._arrived) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._arrived)[0]
            if len(self._arrived) < end:
                break
            messages.append(bytes(self._arrived[_LENGTH.size : end]))
            del self._arrived[:end]
        return messages, gone

    def close(self) -> None:
        self._link.close()
