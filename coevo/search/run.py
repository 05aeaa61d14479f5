"""A run folder to look at: no lock, no driver, nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coevo.errors import InputError, RunFolderError
from coevo.search import folder as folders
from coevo.search import records, store
from coevo.search.front import EQUALS_KEPT, Archive, Front
from coevo.search.objectives import Goals
from coevo.search.problem import Problem
from coevo.search.tables.history import History
from coevo.search.trial import Trial

if TYPE_CHECKING:
    import pandas


class Run:
    """What a run folder says, while a driver writes it or after."""

    def __init__(self, path: Path, config: dict[str, Any]):
        self.path = path
        self.config = config
        self.goals = Goals(config["objectives"], config.get("constraints", {}))
        self.space_id: str = config["recorded"]["space"]
        self.stages: list[str] = list(config["recorded"]["stages"])

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """RunFolderError where `path` holds no run, or one from a newer coevo."""
        path = Path(path).absolute()
        folders.check_run_folder(path)
        store.open_for_reading(path / store.FILE).close()
        config = folders.read_config(path)
        for key in ("objectives", "recorded", "search"):
            if key not in config:
                raise RunFolderError(f"{path / folders.CONFIG} lacks [{key}]; it was not written by coevo, or altered")
        return cls(path, config)

    @property
    def env(self) -> dict[str, Any]:
        return folders.read_environment(self.path)

    def rows(self) -> Iterator[store.Row]:
        """Every event in order."""
        database = store.open_for_reading(self.path / store.FILE)
        try:
            yield from store.read_rows(database)
        finally:
            database.close()

    def trials(self) -> Iterator[Trial]:
        """Every told trial in the order of the indices."""
        return records.trials_of(self.rows(), self.space_id, self.goals, self.path, self.stages)

    def memo(self) -> Iterator[records.InnerResult]:
        """The results of inner computations (`Context.memo`), in the order in which they came."""
        return (records.inner_result_of(row) for row in self.rows() if row.kind == "memo")

    def front(self) -> Front:
        archive = Archive(len(self.stages) - 1, EQUALS_KEPT)
        for trial in self.trials():
            archive.add(trial)
        return Front(self.goals, archive.trials, archive.left_out)

    @property
    def history(self) -> History:
        """What is recorded up to now, to be read more than once: later events of a running study stay out of it."""
        database = store.open_for_reading(self.path / store.FILE)
        try:
            last = store.last_sequence(database)
        finally:
            database.close()

        def rows() -> Iterator[store.Row]:
            return takewhile(lambda row: row.sequence <= last, self.rows())

        return History(rows, self.space_id, self.goals, tuple(self.stages), self.path)

    def dataframe(self) -> pandas.DataFrame:
        """Every told trial as a row of a pandas frame (`coevo.search.tables.frame` says what stands where)."""
        from coevo.search.tables.frame import dataframe

        return dataframe(self.history)

    def find(self, key: str) -> Trial:
        """The trial whose key begins with `key` (at least 4 digits); InputError where none or several do."""
        if len(key) < 4:
            raise InputError(f"a key needs at least 4 digits, got {key!r}")
        found = [trial for trial in self.trials() if trial.design.key.startswith(key.lower())]
        if len(found) != 1:
            what = "no trial" if not found else f"{len(found)} trials"
            raise InputError(f"{what} in {self.path} has a key that begins with {key!r}")
        return found[0]

    def told_before(self, index: int) -> list[int]:
        """The trials that were told before design `index` was asked, in the order of telling. In throughput mode that
        is what the ask had seen; in a deterministic run it saw those below its horizon."""
        told: list[int] = []
        for row in self.rows():
            if row.kind == "told" and row.trial is not None:
                told.append(row.trial)
            elif row.kind == "asked" and row.trial == index:
                return told
        raise InputError(f"{self.path} asked no design {index}")

    def notes(self) -> list[dict[str, Any]]:
        """What the study had to say: {"level", "text", "at"}."""
        return [{**row.body, "at": row.at} for row in self.rows() if row.kind == "note"]

    @property
    def prepared(self) -> dict[str, Any]:
        """{"artifacts": {name: {"path", "sha256"}}, "seconds"}; empty where nothing was prepared."""
        for row in self.rows():
            if row.kind == "prepared":
                return row.body
        return {}

    @property
    def status(self) -> dict[str, Any]:
        """Counts, evaluator seconds, and how the last session ended (None: it did not, or still runs)."""
        counts = {"asked": 0, "told": 0, "failed": 0, "infeasible": 0}
        cost_s, finished, seconds = 0.0, None, 0.0
        began: float | None = None
        last = 0.0
        for row in self.rows():
            if row.kind == "started":
                seconds += last - began if began is not None else 0.0
                began, finished = row.at, None
            elif row.kind == "asked":
                counts["asked"] += 1
            elif row.kind == "told":
                counts["told"] += 1
                body = row.body
                cost_s += body["cost_s"] + sum(cost for _, _, cost in body.get("earlier", ()))
                if "failure" in body:
                    counts["failed"] += 1
                elif self.goals.score(body["metrics"]).violation > 0:
                    counts["infeasible"] += 1
            elif row.kind == "finished":
                finished = row.body["reason"]
            last = row.at
        seconds += last - began if began is not None else 0.0
        return {**counts, "cost_s": cost_s, "finished": finished, "seconds": seconds}

    def problem(self) -> Problem:
        """Loads the problem that this run searches, with its options."""
        from coevo.search.registry import load_problem

        return load_problem(self.config["problem"], self.config.get("options", {}))
