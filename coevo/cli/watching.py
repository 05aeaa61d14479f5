"""`coevo watch`: the view of a search that another process drives, read from its run folder."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from coevo.cli.guard import DONE, INTERRUPTED
from coevo.cli.output import emit, err
from coevo.cli.progress import View, view_for
from coevo.cli.tally import Tally
from coevo.config import BUDGETS
from coevo.search import lock, records, store
from coevo.search.design import Design
from coevo.search.events import Asked, Event, Finished, Note, Prepared, Staged, Started, Told
from coevo.search.run import Run
from coevo.search.store import Row

EVERY_S = 0.5


class Follower:
    """Turns the rows that a driver appends into the events that it emitted, and keeps a tally of them. The tally's
    clock is that of the rows, so a view that begins late shows what one would that was there from the start."""

    def __init__(self, run: Run, clock: Callable[[], float] = time.time):
        self.run = run
        self.finished = ""  # how the latest session ended; empty while it goes on
        self._clock = clock
        self._row_at: float | None = None
        self._last = 0
        self._designs: dict[int, Design] = {}
        budget = {name: float(limit) for name in BUDGETS if (limit := run.config["search"].get(name)) is not None}
        self.tally = Tally(run.goals, budget, run.config.get("units", {}), self._now, run.stages)
        self.tally.skip("export")  # not a part of the search, and not on record

    def _now(self) -> float:
        return self._clock() if self._row_at is None else self._row_at

    def poll(self, take: Callable[[Event], None]) -> None:
        """Hands over every event since the last call, each at the time of its row."""
        try:
            for row in self._rows():
                self._row_at = row.at
                for event in self._events(row):
                    take(event)
        finally:
            self._row_at = None

    def _rows(self) -> Iterator[Row]:
        database = store.open_for_reading(self.run.path / store.FILE)
        try:
            for row in store.read_rows(database, self._last):
                yield row
                self._last = row.sequence
        finally:
            database.close()

    def _events(self, row: Row) -> Iterator[Event]:
        match row.kind:
            case "started":
                if self.tally.phases["search"].state != "waits":
                    self.tally.begin_session()
                self.finished = ""
                body = row.body
                yield Started(body["told"], self.tally.budget, body["workers"], body["runner"])
            case "prepared":
                yield Prepared(row.body["artifacts"], row.body["seconds"])
            case "asked" if row.trial is not None:
                design = self._designs[row.trial] = records.design_of(self.run.space_id, row)
                yield Asked(row.trial, design)
            case "told" | "staged" if row.trial is not None:
                told = row.kind == "told"
                design = self._designs.pop(row.trial) if told else self._designs[row.trial]
                run = self.run
                trial = records.trial_of(row.trial, design, row.body, run.goals, run.path, run.stages)
                yield Told(trial) if told else Staged(trial)
            case "note":
                yield Note(row.body["level"], row.body["text"])
            case "finished":
                self.finished = str(row.body["reason"])
                yield Finished(self.finished, row.body["told"], row.body["seconds"])


def watch_run(folder: Path, as_json: bool) -> None:
    """Follows the run to its end; with `as_json` says where it is and ends. Exit code 4 where nobody drives it and it
    did not end by itself."""
    follower = Follower(Run.open(folder))
    follower.poll(follower.tally.take)
    if as_json:
        emit(True, state_json(folder, follower), lambda _: None)
        return
    console = err()
    with view_for(follower.tally, console) as view:
        driven = _follow(follower, view)
    if follower.finished and follower.finished != "interrupted":
        raise typer.Exit(DONE)
    if driven:  # whoever watches has seen enough
        raise typer.Exit(DONE)
    told = follower.tally.told
    console.print(Text(f"nobody drives this run; {told} trials are told. ", style="bold yellow"))
    console.print(Text(f"go on with: coevo resume {shlex.quote(str(folder))}"), soft_wrap=True)
    raise typer.Exit(INTERRUPTED)


def _follow(follower: Follower, view: View) -> bool:
    """Until the run ends or its driver is gone (False), or whoever watches presses Ctrl-C (True)."""
    try:
        view.refresh()
        while not follower.finished:
            driven = lock.holder(follower.run.path)
            follower.poll(view.take)  # after the look at the lock: a driver's last rows come before it lets go
            if not driven and not follower.finished:
                return False
            if not follower.finished:
                time.sleep(EVERY_S)
    except KeyboardInterrupt:
        return True
    return follower.finished != "interrupted"


def state_json(folder: Path, follower: Follower) -> dict[str, Any]:
    """Where the run is, as plain JSON."""
    tally = follower.tally
    search = tally.search_progress()
    return {
        "run": str(folder),
        "driver": None if follower.finished else lock.holder(follower.run.path),
        "finished": follower.finished or None,
        "told": tally.told,
        "failed": tally.failed,
        "infeasible": tally.infeasible,
        "budget": tally.budget,
        "share": search.share,
        "left_s": search.left_s,
        "trials_per_s": None if follower.finished else tally.rates()[0],
        "cost_s": tally.cost_s,
        "front": tally.front,
        "best": {name: {"value": value, "index": index} for name, (value, index) in tally.best.items()},
        **tally.rungs.as_json(),
    }
