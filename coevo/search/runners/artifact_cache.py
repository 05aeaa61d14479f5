"""What `prepare` made, kept on a node that does not see the driver's files: a folder a digest, shared by all actors of
a user there, and by later runs.

Who makes or removes an entry holds DIGEST.lock; who uses one shares DIGEST.used for as long as its process lives. So an
entry is never removed under an actor, and an actor that is killed holds nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from coevo.errors import EvaluatorError
from coevo.search.folder import sha256

KEEP_DAYS = 14.0  # since it was last used
KEEP_GB = 20.0  # in all; the ones used last stay

_in_use: dict[tuple[str, str], int] = {}  # descriptors that hold a shared lock until this process ends


def kept(digest: str, file: str, fetch: Callable[[], bytes]) -> Path:
    """The file with this digest, under its own name; `fetch` gives the bytes where this node has them not."""
    home = cache_folder()
    if (digest, file) not in _in_use:
        _in_use[digest, file] = _make(home, digest, file, fetch)
        prune(home)
    return home / digest / file


def _make(home: Path, digest: str, file: str, fetch: Callable[[], bytes]) -> int:
    """Sees to it that the entry is there; the descriptor that keeps it there."""
    making = _locked(home / f"{digest}.lock", fcntl.LOCK_EX)
    try:
        using = _locked(home / f"{digest}.used", fcntl.LOCK_SH)
        path = home / digest / file
        if not _is(path, digest):
            path.parent.mkdir(exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(fetch())
            os.replace(part, path)
        os.utime(path.parent)
        return using
    finally:
        os.close(making)


def cache_folder() -> Path:
    """This user's own, in the node's temporary folder. EvaluatorError where somebody else made it: they could swap what
    evaluators load."""
    home = Path(tempfile.gettempdir()) / f"coevo-artifacts-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    if home.is_symlink() or home.stat().st_uid != os.getuid():
        raise EvaluatorError(f"{home} belongs to another user; remove it, or set TMPDIR on this node")
    return home


def prune(home: Path, keep_days: float = KEEP_DAYS, keep_gb: float = KEEP_GB) -> None:
    """Removes entries that nobody uses: those unused for `keep_days`, and the oldest ones beyond `keep_gb` in all."""
    entries = []
    for folder in home.iterdir():
        with contextlib.suppress(OSError):  # removed by another actor just now
            if folder.is_dir():
                size = sum(path.stat().st_size for path in folder.iterdir())
                entries.append((folder.stat().st_mtime, size, folder))
    total = 0
    for used_at, size, folder in sorted(entries, reverse=True):
        total += size
        if time.time() - used_at > keep_days * 86400 or total > keep_gb * 1e9:
            _remove(folder)


def _remove(folder: Path) -> None:
    making, using = (folder.with_name(f"{folder.name}.{suffix}") for suffix in ("lock", "used"))
    with contextlib.ExitStack() as held, contextlib.suppress(BlockingIOError):  # made or used just now
        for lock in (making, using):
            held.callback(os.close, _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
        shutil.rmtree(folder, ignore_errors=True)
        for lock in (using, making):
            lock.unlink(missing_ok=True)


def _locked(path: Path, how: int) -> int:
    """An open descriptor of the lock file, locked; of the one that is there when the lock is had."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was removed while this process waited for it


def _is(path: Path, digest: str) -> bool:
    try:
        return sha256(path) == digest
    except OSError:
        return False
