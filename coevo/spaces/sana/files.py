"""Folders and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from coevo.errors import InputError


@contextlib.contextmanager
def whole_folder(target: Path | str) -> Iterator[Path]:
    """A new folder beside `target` to write into, which becomes `target` at the end, or is removed after an error.

    Raises:
        InputError: `target` is there already and is no empty folder.
    """
    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is there already; name a new folder, or remove it first")
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        yield part
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def whole_parts(target: Path | str, last: str) -> Iterator[Path]:
    """A new folder to write into, whose entries go into the folder `target` at the end, `last` after all others: a
    reader who asks for that one first never meets half of them. After an error before that nothing has changed.

    Raises:
        InputError: `target` holds an entry of such a name already.
    """
    target = Path(target)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        yield part
        names = sorted((each.name for each in part.iterdir()), key=lambda name: (name == last, name))
        taken = [name for name in names if (target / name).exists()]
        if taken:
            raise InputError(f"{target} holds {', '.join(taken)} already; name a new folder, or remove them first")
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(part / name, target / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_whole(path: Path | str, data: bytes) -> None:
    """Writes a file under another name and renames it, so that nobody ever sees half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
