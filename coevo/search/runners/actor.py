"""What runs inside a Ray actor: the same calls as in a worker process, and files where the driver's are out of reach.

Messages are those of `wire`, made by cloudpickle here rather than by Ray, so that a design or an evaluator that cannot
travel says so in the same words whichever runner carries it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from coevo.errors import CoevoError, EvaluatorError
from coevo.search.evaluator import Candidate, Outcome
from coevo.search.folder import sha256
from coevo.search.runners.artifact_cache import kept
from coevo.search.runners.calls import Calls, one_line
from coevo.search.runners.wire import READY, dump, load, unframed, unpack
from coevo.search.runners.worker import answer, limit_memory, read, unloadable, unusable

Files = list[tuple[str, bytes]]  # relative POSIX path and content; a lone "" is the file itself


class Actor:
    """One worker. The driver calls `begin`, `set_up`, then `work` as often as it likes; `ping` shows that it lives."""

    def __init__(self, number: int):
        self._number = number

    def begin(
        self, path: Sequence[str], probe: tuple[str, str], logs: str | None, artifacts: Mapping[str, tuple[str, str]]
    ) -> tuple[int, bool, list[str]]:
        """Fits this process to its driver. Its process id, whether it sees the driver's files (the probe file holds
        the secret), and which prepared artefacts, given as (path, digest), are not here.
        """
        here = [entry for entry in path if os.path.exists(entry)]
        sys.path[:] = here + [entry for entry in sys.path if entry not in here]
        self._shares = _holds(Path(probe[0]), probe[1])
        if logs is not None and self._shares:
            _redirect(Path(logs) / f"worker-{self._number}.log")
        faulthandler.enable()
        self._digests = {name: digest for name, (_, digest) in artifacts.items()}
        self._paths = {name: _at_hand(Path(file), digest) for name, (file, digest) in artifacts.items()}
        return os.getpid(), self._shares, [name for name, found in self._paths.items() if found is None]

    def set_up(self, payload: bytes, shipped: Mapping[str, tuple[str, list[Any]]]) -> bytes:
        """Loads the setup and the first stage's evaluator. `shipped` has (file name, [reference to its bytes]) of each
        artefact that was missing; only the first actor of a node fetches the bytes.
        """
        import ray

        try:
            paths = {name: path for name, path in self._paths.items() if path is not None}
            for name, (file, reference) in shipped.items():
                paths[name] = kept(self._digests[name], file, partial(ray.get, reference[0]))
            setup = replace(read(unframed(payload)), artifacts=paths)
            limit_memory(setup.memory_gb, beside=_data_bytes())
            self._calls = Calls(setup)
            self._calls.set_up(0)
        except CoevoError as error:
            return unusable(error, traceback.print_exception)
        return dump((READY,))

    def ping(self) -> None:
        """Nothing: an answer says enough."""

    def work(
        self, payload: bytes, sent: Mapping[int, Mapping[str, Files]]
    ) -> tuple[bytes, dict[int, dict[str, Files]]]:
        """The framed answer to a batch, and the files of its outcomes by position where the driver cannot see them.
        `sent` has the files of earlier stages, for an actor that cannot see those.
        """
        try:
            stage, rows, entries = load(unframed(payload))
            candidates = unpack(rows)
        except Exception as error:
            traceback.print_exception(error)
            return unloadable(error), {}
        self._calls.memo.learn(entries)
        if self._shares:
            return answer(self._calls, stage, candidates, traceback.print_exception), {}
        return self._apart(stage, candidates, sent)

    def _apart(
        self, stage: int, candidates: Sequence[Candidate], sent: Mapping[int, Mapping[str, Files]]
    ) -> tuple[bytes, dict[int, dict[str, Files]]]:
        """The same in a folder of this node's, whose files travel."""
        made: dict[int, dict[str, Files]] = {}

        def collect(outcomes: Sequence[Outcome]) -> list[Outcome]:
            checked = []
            for position, outcome in enumerate(outcomes):
                try:
                    made[position] = {
                        name: packed(Path(path), moved[position].scratch) for name, path in outcome.artifacts.items()
                    }
                except OSError as error:
                    outcome = Outcome.failed(f"an artefact cannot be sent to the driver: {one_line(error)}")
                checked.append(replace(outcome, artifacts={}))
            return checked

        with tempfile.TemporaryDirectory(prefix="coevo-", ignore_cleanup_errors=True) as folder:
            moved = [
                replace(
                    candidate,
                    designs_folder=Path(folder) / "designs",
                    artifacts={
                        name: placed(files, Path(folder) / "earlier" / str(position) / name)
                        for name, files in sent.get(position, {}).items()
                    },
                )
                for position, candidate in enumerate(candidates)
            ]
            return answer(self._calls, stage, moved, traceback.print_exception, collect), made


def packed(path: Path, home: Path) -> Files:
    """A file, or all files of a folder, named as they lie in `home`; a file from elsewhere by its name alone."""
    inside = path.resolve().relative_to(home.resolve()) if path.resolve().is_relative_to(home.resolve()) else path.name
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file()]
        return [(f"{inside}/", b"")] + [
            (f"{inside}/{file.relative_to(path).as_posix()}", file.read_bytes()) for file in files
        ]
    return [(Path(inside).as_posix(), path.read_bytes())]


def placed(files: Files, home: Path) -> Path:
    """Writes what was packed under `home`; where the file or the folder lies now."""
    first = home / files[0][0]
    for name, content in files:
        target = home / name
        if not target.resolve().is_relative_to(home.resolve()):
            raise EvaluatorError(f"an artefact of a worker is called {name!r}, which lies outside of {home}")
        if name.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return first


def _holds(path: Path, secret: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == secret
    except OSError:
        return False


def _at_hand(path: Path, digest: str) -> Path | None:
    try:
        return path if sha256(path) == digest else None
    except OSError:
        return None


def _redirect(log: Path) -> None:
    """Standard output and error to the run's own log, as a worker process has it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _data_bytes() -> int:
    """The data that Ray's own part of this process holds already (Linux), which is not the evaluator's."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0
