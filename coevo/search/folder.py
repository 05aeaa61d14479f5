"""A run folder: run.toml, env.json, the store and its lock, and the files beside them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError, CorruptRun, RunFolderError
from coevo.search import lock
from coevo.search import store as stores

CONFIG = "run.toml"
ENVIRONMENT = "env.json"
# What decides which designs are asked and what their numbers mean; the rest of run.toml may differ at a resume.
_BINDING = ("problem", "options", "objectives", "constraints", "recorded")
_OWN = {lock.FILE, CONFIG, ENVIRONMENT}
_BUDGETS = ("trials", "seconds", "cost_s")


class RunFolder:
    """An open run folder, locked for this driver; or a private temporary one where `path` is None.

    A new folder gets run.toml and env.json. In one that has them another study is refused with a ConfigError, and
    `differences` says what changed in the environment.
    """

    def __init__(self, path: Path | None, durability: str, config: Mapping[str, Any], environment: Mapping[str, Any]):
        stores.check_durability(durability)
        self.differences: list[str] = []
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._lock: lock.DriverLock | None = None
        self.is_private = path is None
        if path is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="coevo-", ignore_cleanup_errors=True)
            self.path = Path(self._temporary.name)
            self.store = stores.Store(None, durability)
            return
        self.path = path.absolute()
        _usable(self.path)
        self._lock = lock.DriverLock(self.path)
        try:
            # The configuration comes first: a store never stands without it, whenever the driver dies.
            self._freeze(without_none(config), environment)
            self.store = stores.Store(self.path / stores.FILE, durability)
        except BaseException:
            self._lock.release()
            raise

    def _freeze(self, config: dict[str, Any], environment: Mapping[str, Any]) -> None:
        if (self.path / stores.FILE).exists():
            _require_same(self.path, read_config(self.path), config)
            self.differences = _differences(read_environment(self.path), environment)
            return
        import tomli_w

        write_durably(self.path / ENVIRONMENT, json.dumps(environment, indent=2) + "\n")
        write_durably(self.path / CONFIG, tomli_w.dumps(config))

    def close(self) -> None:
        """Closes the store and lets the lock go; may be called twice."""
        self.store.close()
        if self._lock is not None:
            self._lock.release()
        if self._temporary is not None:
            self._temporary.cleanup()


def _usable(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"{path} is a file; a run needs a folder of its own")
    if path.is_dir() and not (path / stores.FILE).exists():
        strangers = sorted({entry.name for entry in path.iterdir() if not entry.name.endswith(".part")} - _OWN)
        if strangers:
            raise RunFolderError(
                f"{path} is not empty and no run folder (it holds {', '.join(strangers[:3])}); give a new folder"
            )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise RunFolderError(f"{path} cannot be made ({problem.strerror}); give a folder that you may write") from None


def check_run_folder(path: Path) -> None:
    """RunFolderError where `path` is no run folder."""
    if not path.exists():
        raise RunFolderError(f"{path} does not exist; expected a run folder, as `coevo run` makes it")
    if not (path / stores.FILE).is_file():
        raise RunFolderError(f"{path} is no run folder: it holds no {stores.FILE}")


def holds_events(path: Path) -> bool:
    """Does a study with events stand here already?"""
    if not (path / stores.FILE).is_file():
        return False
    database = stores.open_for_reading(path / stores.FILE)
    try:
        return next(stores.read_rows(database), None) is not None
    finally:
        database.close()


def read_config(path: Path) -> dict[str, Any]:
    """The frozen configuration of a run folder."""
    try:
        return tomllib.loads((path / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(f"{path} is no run folder: it holds no {CONFIG}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise CorruptRun(f"{path / CONFIG} cannot be read: {problem}") from None


def read_environment(path: Path) -> dict[str, Any]:
    """What env.json says; empty where it is missing."""
    try:
        found = json.loads((path / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_durably(path: Path, content: str) -> None:
    """Writes the whole file or nothing: a temporary neighbour, synced, then renamed."""
    temporary = path.with_name(f".{path.name}.part")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def sync(paths: Iterable[Path]) -> None:
    """Forces files to the disk, so that a row that names them never outlives them."""
    for path in paths:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """The hexadecimal digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_none(value: Any) -> Any:
    """TOML knows no null: keys whose value is None are left out."""
    if isinstance(value, Mapping):
        return {str(key): without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [without_none(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _require_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    def binding(config: dict[str, Any]) -> dict[str, Any]:
        kept = {key: config.get(key, {}) for key in _BINDING}
        kept["search"] = {key: value for key, value in config.get("search", {}).items() if key not in _BUDGETS}
        return flat(kept)

    before, after = binding(old), binding(new)
    changed = [
        f"{key} was {before.get(key, 'absent')!r}, now {after.get(key, 'absent')!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
    if changed:
        raise ConfigError(
            f"{path} holds another study: {'; '.join(changed)}. Resume it with its own settings, or give a new folder"
        )


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with dotted keys."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found |= flat(item, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = item
    return found


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = old.get("packages", {}), new.get("packages", {})
    changed = [
        f"{name} was {before.get(name, 'absent')}, is {after.get(name, 'absent')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    if set(old.get("devices", {})) != set(new.get("devices", {})):
        changed.append("the device is another one")
    return changed
