"""One run as it is compared: its front, and what every feasible design had taken to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coevo.search.front import Archive, Front
from coevo.search.objectives import Goals
from coevo.search.ranking import Floats
from coevo.search.run import Run

AXES = ("trials", "seconds", "cost_s")


@dataclass(frozen=True)
class Sheet:
    """One run as it is compared. `points` are the minimised costs [n, m] of the feasible designs of the last stage in
    the order of the indices; `at` says for each how many trials, seconds of search and seconds of evaluation it had
    taken to know it."""

    label: str
    run: Run
    front: Front
    keys: frozenset[str]
    points: Floats
    at: Mapping[str, Floats]
    spent: Mapping[str, float]
    prepare_s: float
    failed: int
    infeasible: int
    imported: int
    status: str

    @property
    def seed(self) -> int:
        return int(self.run.config["search"].get("seed", 0))

    @property
    def front_costs(self) -> Floats:
        costs = [trial.score.costs for trial in self.front.trials if trial.score is not None]
        return np.array(costs, dtype=np.float64).reshape(len(costs), self.points.shape[1])

    def best(self, metric: str) -> float | None:
        """The best value of an objective on the front."""
        return self.front.best(metric).outcome.metrics[metric] if self.front.trials else None


def sheet_of(run: Run, label: str) -> Sheet:
    sessions, prepare_s, finished = _sessions(run)
    archive = Archive(len(run.stages) - 1)
    costs: list[tuple[float, ...]] = []
    known: list[tuple[float, float, int]] = []  # (told_at, total cost, index) of every trial
    feasible: list[int] = []
    keys = set()
    failed = infeasible = imported = 0
    for place, told in enumerate(run.history.told()):
        trial = told.trial
        archive.add(trial)
        keys.add(trial.design.key)
        known.append((told.told_at, trial.total_cost_s, trial.index))
        imported += trial.imported
        if trial.score is None:
            failed += 1
        elif trial.score.violation > 0:
            infeasible += 1
        elif trial.score.depth == len(run.stages) - 1:
            costs.append(trial.score.costs)
            feasible.append(place)
    count = len(cost_names(run.goals))
    spent = {"trials": float(len(known)), "seconds": _elapsed(sessions, float("inf"))}
    spent["cost_s"] = sum(cost for _, cost, _ in known)
    # What evaluation had cost when a trial was told is what all that was told by then had cost.
    order = np.argsort([at for at, _, _ in known], kind="stable")
    running = np.empty(len(known))
    running[order] = np.cumsum(np.array([cost for _, cost, _ in known])[order]) if known else 0.0
    at = {
        "trials": np.array([place + 1 for place in feasible], dtype=np.float64),
        "seconds": np.array([_elapsed(sessions, known[place][0]) for place in feasible]),
        "cost_s": running[feasible],
    }
    return Sheet(
        label=label,
        run=run,
        front=Front(run.goals, archive.trials),
        keys=frozenset(keys),
        points=np.array(costs, dtype=np.float64).reshape(len(costs), count),
        at=at,
        spent=spent,
        prepare_s=prepare_s,
        failed=failed,
        infeasible=infeasible,
        imported=imported,
        status=finished,
    )


def _sessions(run: Run) -> tuple[list[tuple[float, float]], float, str]:
    """(when searching began, when it was last heard of) of each session without its preparation, the seconds of
    preparation, and how the last session ended ("" where it did not)."""
    sessions: list[tuple[float, float]] = []
    prepare_s, finished = 0.0, ""
    for row in run.rows():
        if row.kind == "started":
            sessions.append((row.at, row.at))
            finished = ""
        elif row.kind == "prepared" and sessions:
            prepare_s += float(row.body.get("seconds", 0.0))
            sessions[-1] = (row.at, row.at)
        elif sessions:
            sessions[-1] = (sessions[-1][0], row.at)
            if row.kind == "finished":
                finished = str(row.body["reason"])
    return sessions, prepare_s, finished


def _elapsed(sessions: Sequence[tuple[float, float]], at: float) -> float:
    return sum(max(min(at, end) - begin, 0.0) for begin, end in sessions)


def cost_names(goals: Goals) -> list[str]:
    return [goal.metric for goal in goals.objectives] + (["soft violation"] if goals.soft else [])
