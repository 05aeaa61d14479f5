"""What a study recorded, to be read from the start as often as it is needed: told trials and when they were told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from coevo.search import records
from coevo.search.design import Design
from coevo.search.objectives import Goals
from coevo.search.store import Row
from coevo.search.trial import Trial


@dataclass(frozen=True, slots=True)
class Told:
    """A told trial; `asked_at` and `told_at` are seconds since the epoch."""

    trial: Trial
    asked_at: float
    told_at: float


@dataclass(frozen=True)
class History:
    """`rows()` gives every event of the study in order, anew at each call. Reading holds back only what is open and
    what finished ahead of its turn, so a long study does not fill the memory."""

    rows: Callable[[], Iterable[Row]]
    space: str
    goals: Goals
    stages: tuple[str, ...]
    folder: Path | None = None

    def told(self) -> Iterator[Told]:
        """Every told trial in the order of the indices."""
        asked: dict[int, float] = {}
        ended: dict[int, float] = {}
        rows = _noting(self.rows(), asked, ended)
        for trial in records.trials_of(rows, self.space, self.goals, self.folder, self.stages):
            yield Told(trial, asked.pop(trial.index), ended.pop(trial.index))

    def trials(self) -> Iterator[Trial]:
        """The same without the times."""
        return records.trials_of(self.rows(), self.space, self.goals, self.folder, self.stages)

    def designs(self) -> Iterator[Design]:
        """Every design that was asked, told or not, in the order of asking."""
        for row in self.rows():
            if row.kind == "asked":
                yield records.design_of(self.space, row)

    def open_designs(self) -> dict[int, tuple[Design, float]]:
        """{index: (design, asked_at)} of the designs that were asked and not told."""
        found: dict[int, tuple[Design, float]] = {}
        for row in self.rows():
            if row.kind == "asked" and row.trial is not None:
                found[row.trial] = records.design_of(self.space, row), row.at
            elif row.kind == "told" and row.trial is not None:
                found.pop(row.trial, None)
        return found


def _noting(rows: Iterable[Row], asked: dict[int, float], ended: dict[int, float]) -> Iterator[Row]:
    for row in rows:
        if row.trial is not None and row.kind in ("asked", "told"):
            (asked if row.kind == "asked" else ended)[row.trial] = row.at
        yield row
