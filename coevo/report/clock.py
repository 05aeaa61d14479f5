"""When each design was told, in seconds of searching: the pauses between sessions do not count."""

from __future__ import annotations

from collections.abc import Iterable

from coevo.search.store import Row


def searched_seconds(rows: Iterable[Row]) -> dict[int, float]:
    """Seconds of searching until each trial was told, by the trial's index."""
    before, began, last = 0.0, None, 0.0
    told: dict[int, float] = {}
    for row in rows:
        if row.kind == "started":
            before += last - began if began is not None else 0.0
            began = row.at
        elif row.kind == "told" and row.trial is not None:
            told[row.trial] = before + (row.at - began if began is not None else 0.0)
        last = row.at
    return told
