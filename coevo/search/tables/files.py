"""Tables as files: each is whole or not there."""

from __future__ import annotations

import contextlib
import csv
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError, RunFolderError, missing_extra
from coevo.search.tables.columns import TIME, survey
from coevo.search.tables.frame import dataframe
from coevo.search.tables.history import History


@contextlib.contextmanager
def whole_file(path: Path | str, force: bool = False) -> Iterator[Path]:
    """A neighbour of `path` to write; it is synced and takes the name at the end, so that half a file never looks
    whole. ConfigError where `path` exists, unless `force`; RunFolderError where it cannot be written."""
    path = Path(path).absolute()
    check_target(path, force)
    part = path.with_name(f".{path.name}.part-{secrets.token_hex(4)}")
    try:
        part.touch(exist_ok=False)
    except OSError as problem:
        raise RunFolderError(
            f"{path} cannot be written ({problem.strerror}); give a place that you may write"
        ) from None
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_target(path: Path, force: bool) -> None:
    """ConfigError where a file would overwrite something that it must not."""
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; give the name of a file to write")
    if path.exists() and not force:
        raise ConfigError(f"{path} exists, and nothing is overwritten unasked; give another name, or --force")
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is no folder; make it first, or give another place")


def write_csv(history: History, path: Path | str, force: bool = False) -> int:
    """One line a told trial after a line of names, UTF-8; gives how many trials. Rows are written as they are read.

    Times are ISO 8601 in UTC, truth values "true" and "false", reals in full; an absent cell is empty.
    """
    count = 0
    with whole_file(path, force) as part:
        columns = survey(history)
        with open(part, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns.kinds)
            times = [place for place, kind in enumerate(columns.kinds.values()) if kind == TIME]
            for row in columns.rows(history):
                for place in times:
                    row[place] = _time(row[place])
                writer.writerow([_word(cell) for cell in row])
                count += 1
    return count


def write_parquet(history: History, path: Path | str, force: bool = False) -> int:
    """The frame of `dataframe` as Parquet: `pandas.read_parquet` gives it back with its dtypes. Gives how many trials.

    MissingExtra where pandas or pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise missing_extra("pyarrow", "tables") from None
    del pyarrow
    with whole_file(path, force) as part:
        made = dataframe(history)
        made.to_parquet(part, engine="pyarrow", index=False)
    return len(made)


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _word(cell: Any) -> Any:
    return ("true" if cell else "false") if isinstance(cell, bool) else cell
