"""Arrays from and to files: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from coevo.errors import InputError

Array = np.ndarray[Any, Any]


def read_rows(path: Path, dtype: str, columns: int, what: str) -> Array:
    """A headerless file of rows of `columns` numbers, [rows, columns].

    Raises:
        InputError: no such file, an empty one, or one that ends within a row.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"expected {what} in {path}, but it cannot be read: {error.strerror}") from error
    size = np.dtype(dtype).itemsize * columns
    if not data:
        raise InputError(f"{path} is empty: expected {what}, {size} bytes each; an empty scan cannot be used")
    if len(data) % size:
        raise InputError(
            f"{path} has {len(data)} bytes, which is no whole number of {what} of {size} bytes each: it is truncated "
            f"({len(data) % size} bytes beyond row {len(data) // size - 1}) or of another format; copy it again"
        )
    return np.frombuffer(data, dtype=dtype).reshape(-1, columns)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file under another name and renames it, so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
