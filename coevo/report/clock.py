"""What a run's events say beside its trials, in one pass: when each design was told, notes, preparing, the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from coevo.search.store import Row


@dataclass
class Log:
    """`told_s` are seconds of searching until each trial was told, by its index; the pauses between sessions do not
    count. `finished` is how the last session ended, None where it did not end or still runs."""

    told_s: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0
    finished: str | None = None
    notes: list[dict[str, Any]] = field(default_factory=list)
    prepare_s: float = 0.0


def read_log(rows: Iterable[Row]) -> Log:
    """The log of a run; bodies of trials are not read."""
    log = Log()
    before, began, last = 0.0, None, 0.0
    for row in rows:
        if row.kind == "started":
            before += last - began if began is not None else 0.0
            began, log.finished = row.at, None
        elif row.kind == "told" and row.trial is not None:
            log.told_s[row.trial] = before + (row.at - began if began is not None else 0.0)
        elif row.kind == "note":
            log.notes.append({**row.body, "at": row.at})
        elif row.kind == "prepared":
            log.prepare_s = float(row.body.get("seconds", 0.0))
        elif row.kind == "finished":
            log.finished = str(row.body["reason"])
        last = row.at
    log.seconds = before + (last - began if began is not None else 0.0)
    return log
