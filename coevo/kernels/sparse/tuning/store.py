"""Where measured plans are kept: a JSON file a device and set of versions, in the user's cache folder.

Reading and writing need neither torch nor a device, so that `coevo doctor` can tell what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coevo.errors import InputError

FOLDER_VARIABLE = "COEVO_CACHE"
VERSION = 1


def folder() -> Path:
    """$COEVO_CACHE/sparse, else $XDG_CACHE_HOME/coevo/sparse, else ~/.cache/coevo/sparse."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given) / "sparse"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coevo" / "sparse"


def digest(of: Any) -> str:
    """16 hexadecimal digits of the canonical JSON."""
    text = json.dumps(of, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def read(device: Mapping[str, Any], at: Path | None = None) -> dict[str, Any]:
    """{network's digest: entry} of a device's file; nothing where there is none.

    Raises:
        InputError: the file is damaged; it names it.
    """
    path = _path(device, at)
    if not path.exists():
        return {}
    return _document(path)["networks"]  # type: ignore[no-any-return]


def write(device: Mapping[str, Any], network: str, entry: Mapping[str, Any], at: Path | None = None) -> Path:
    """Add or replace a network's entry; the file is whole at any moment. The file's path."""
    path = _path(device, at)
    path.parent.mkdir(parents=True, exist_ok=True)
    networks = read(device, at)
    networks[network] = dict(entry)
    document = {"version": VERSION, "device": dict(device), "networks": networks}
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
    return path


def state(at: Path | None = None) -> list[dict[str, Any]]:
    """What is there: for each device its name and versions, and each network's name, times (ms) and date.

    A damaged file is an entry with `error`.
    """
    found: list[dict[str, Any]] = []
    for path in sorted((at or folder()).glob("*.json")):
        try:
            document = _document(path)
        except InputError as error:
            found.append({"file": str(path), "error": str(error)})
            continue
        shown = ("name", "tuned_on", "default_ms", "tuned_ms", "complete")
        networks = [{key: entry.get(key) for key in shown} for entry in document["networks"].values()]
        found.append({"file": str(path), "device": document["device"], "networks": networks})
    return found


def _path(device: Mapping[str, Any], at: Path | None) -> Path:
    return (at or folder()) / f"{digest(dict(device))}.json"


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION or not isinstance(document["networks"], dict):
            raise ValueError(f"version {document['version']}, expected {VERSION}")
        if not isinstance(document["device"], dict):
            raise ValueError("no device")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no tuned plans ({error}); delete it, and tune again") from error
    return document  # type: ignore[no-any-return]
