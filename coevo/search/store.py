"""The truth of a study: one row an event in SQLite, written by the driver alone.

Every committed row survives SIGKILL of the driver (WAL, synchronous=NORMAL). `durability="power"` also survives the
loss of power (synchronous=FULL; a task's results share one commit). On a network file system, where WAL is unsafe, the
journal is DELETE with FULL.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from coevo.errors import ConfigError, CorruptRun, RunFolderError
from coevo.search.canonical import encoder

FORMAT = 1
FILE = "study.sqlite"
_DURABILITIES = ("normal", "power")
_NETWORK_FILE_SYSTEMS = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "fuse.sshfs",
    "afs",
    "glusterfs",
)

_INSERT = "INSERT INTO event (kind, trial, at, key, content) VALUES (?, ?, ?, ?, ?)"
_decoder = json.JSONDecoder()
_INSERT_TWO = f"{_INSERT}, (?, ?, ?, ?, ?)"
_dumps = encoder(ensure_ascii=False)


class Row(NamedTuple):
    """One event: `kind` is "started", "asked", "told", "staged", "memo", "prepared", "note" or "finished"; `trial` its
    index or None.

    An "asked" row has the design's `key`, and in `content` the canonical text of its answers with, before a line break,
    its origin. A "memo" row has in `key` the evaluator's label, a line break and the key as canonical JSON, and in
    `content` the result as JSON. The content of every other row is a JSON object, which `body` reads.
    """

    sequence: int
    kind: str
    trial: int | None
    at: float  # seconds since the epoch
    key: str | None
    content: str

    @property
    def body(self) -> dict[str, Any]:
        try:
            found, end = _decoder.raw_decode(self.content)
            if end != len(self.content):
                raise ValueError(f"more than one object in {len(self.content)} characters")
        except ValueError as problem:
            raise CorruptRun(f"{FILE}: event {self.sequence} cannot be read ({problem})") from None
        if not isinstance(found, dict):
            raise CorruptRun(f"{FILE}: event {self.sequence} is no JSON object")
        return found


_row = partial(tuple.__new__, Row)  # as Row._make does, in a quarter of the time


class Store:
    """Appends events and reads them back in order. `path=None` keeps a private file that goes with the process."""

    def __init__(self, path: Path | None, durability: str = "normal"):
        check_durability(durability)
        self.path = path
        self.note: str | None = None
        try:
            # An empty name is SQLite's private temporary file: spilled to disk, so that it does not fill the memory.
            self._database = sqlite3.connect(
                "" if path is None else path, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA cache_size=-2000")
            self._begin(path, durability)
        except sqlite3.DatabaseError as problem:
            raise _explained(problem, path) from None
        self._pending: list[tuple[str, int | None, float, str | None, str]] = []

    def _begin(self, path: Path | None, durability: str) -> None:
        execute = self._database.execute
        if path is None:
            execute("PRAGMA journal_mode=OFF")
            execute("PRAGMA synchronous=OFF")
        elif (kind := file_system(path.parent)).startswith(_NETWORK_FILE_SYSTEMS):
            execute("PRAGMA journal_mode=DELETE")
            execute("PRAGMA synchronous=FULL")
            self.note = f"{path.parent} is on a network file system ({kind}): the slower DELETE journal keeps it safe"
        else:
            execute("PRAGMA journal_mode=WAL")
            execute(f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'}")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            execute(
                "CREATE TABLE IF NOT EXISTS event (sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, trial INTEGER, "
                "at REAL NOT NULL, key TEXT, content TEXT NOT NULL)"
            )
            execute(f"PRAGMA user_version={FORMAT}")
        else:
            check_format(version, path)

    def append(self, kind: str, trial: int | None, body: dict[str, Any]) -> None:
        """Adds an event; `commit` makes it durable."""
        self._pending.append((kind, trial, time.time(), None, _dumps(body)))

    def append_asked(self, trial: int, key: str, content: str) -> None:
        """Adds an "asked" event; `commit` makes it durable."""
        self._pending.append(("asked", trial, time.time(), key, content))

    def append_memo(self, entry: tuple[str, str]) -> None:
        """Adds a "memo" event; `commit` makes it durable."""
        self._pending.append(("memo", None, time.time(), *entry))

    def commit(self) -> None:
        """Writes what was appended in one transaction. When it returns, the events survive the driver's death.

        A KeyboardInterrupt may come at any moment: then the events are on the disk or they are gone, never both.
        """
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        try:
            # A single statement is a transaction of its own; two events are an ask and a tell, the usual case.
            if len(pending) == 1:
                self._database.execute(_INSERT, pending[0])
            elif len(pending) == 2:
                self._database.execute(_INSERT_TWO, pending[0] + pending[1])
            else:
                self._database.execute("BEGIN")
                self._database.executemany(_INSERT, pending)
                self._database.execute("COMMIT")
        except sqlite3.DatabaseError as problem:
            self.discard()
            self._pending = pending  # a disk may have room again
            raise _explained(problem, self.path) from None
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Forgets what was appended and not committed."""
        self._pending = []
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def rows(self) -> Iterator[Row]:
        """All committed events in order."""
        return read_rows(self._database)

    def close(self) -> None:
        """Commits and closes; may be called twice."""
        if self._database is not None:
            self.commit()
            self._database.close()
            self._database = None  # type: ignore[assignment]


def check_durability(durability: str) -> None:
    """ConfigError for anything but "normal" and "power"."""
    if durability not in _DURABILITIES:
        raise ConfigError(f"durability: expected 'normal' or 'power', got {durability!r}")


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that never writes, beside a driver that does."""
    uri = path.resolve().as_uri()
    try:
        database = sqlite3.connect(f"{uri}?mode=ro", uri=True)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.OperationalError:
            # A folder that may not be written cannot hold WAL's shared memory; with no log beside it nothing is missed.
            if path.with_name(path.name + "-wal").exists():
                raise
            database.close()
            database = sqlite3.connect(f"{uri}?immutable=1", uri=True)
            version = database.execute("PRAGMA user_version").fetchone()[0]
        check_format(version, path)
        return database
    except sqlite3.DatabaseError as problem:
        raise _explained(problem, path) from None


def read_rows(database: sqlite3.Connection, after: int = 0) -> Iterator[Row]:
    """The events beyond number `after` in order; CorruptRun names the row that cannot be read."""
    sequence = after
    query = "SELECT sequence, kind, trial, at, key, content FROM event WHERE sequence > ? ORDER BY sequence"
    try:
        for fields in database.execute(query, (after,)):
            row = _row(fields)
            sequence = row.sequence
            yield row
    except sqlite3.DatabaseError as problem:
        raise CorruptRun(f"{FILE}: the event after number {sequence} cannot be read ({problem})") from None


def last_sequence(database: sqlite3.Connection) -> int:
    """The number of the latest event; 0 where there is none."""
    try:
        return int(database.execute("SELECT coalesce(max(sequence), 0) FROM event").fetchone()[0])
    except sqlite3.DatabaseError as problem:
        raise CorruptRun(f"{FILE} cannot be read ({problem})") from None


def check_format(version: int, path: Path | None) -> None:
    """Refuses a study file from a newer coevo, and one that is none."""
    where = path.parent if path is not None else "this study"
    if version > FORMAT:
        raise RunFolderError(
            f"{where} was written by a newer coevo (format {version}; this one reads up to {FORMAT}). "
            "Update coevo: pip install -U coevo"
        )
    if version < 1:
        raise RunFolderError(f"{where} holds a {FILE} that coevo did not write")


def _explained(problem: sqlite3.DatabaseError, path: Path | None) -> Exception:
    where = path.parent if path is not None else "the temporary folder"
    text = str(problem)
    if "readonly" in text or "unable to open" in text:
        return RunFolderError(f"{where} cannot be written ({text}): give a folder that you may write, with --out")
    if "full" in text:
        return RunFolderError(f"{where}: the disk is full ({text}). What was told is safe; free some space and resume")
    if "not a database" in text or "malformed" in text:
        return CorruptRun(f"{where}/{FILE} is damaged ({text}); restore it from a copy")
    if "locked" in text:
        return RunFolderError(f"{where} is being written by another program ({text})")
    return CorruptRun(f"{where}/{FILE}: {text}")


def file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`, as Linux names it; "" where it cannot be told."""
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    target = str(folder.resolve())
    for line in mounts:
        fields = line.split()
        point = fields[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
