"""How a search went: the best of each objective and the hypervolume, over designs and over seconds, beside random
search's band where a control is known.

Only outcomes of the last stage count: an estimate of a cheaper one is no result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from coevo.report.control import Control, band_of_the_best
from coevo.report.data import DOMINATED, FRONT, Table
from coevo.report.volume import Box, growth, permuted_growth
from coevo.report.words import number
from coevo.search.objectives import Goals, Objective
from coevo.search.ranking import Floats
from coevo.search.trial import Trial

CHECKPOINTS = 100
BAND_POINTS = 60
VOLUME = "hypervolume"


def histories(table: Table, told_s: Mapping[int, float], control: Control | None = None) -> list[dict[str, Any]]:
    """One series for the hypervolume where there are several objectives, and one an objective:

    {"metric", "label", "direction", "note", "designs": {"x", "y"}, "seconds": {"x", "y"}, "total": [designs, seconds],
    "band": None or {"designs", "seconds", "mean", "low", "high", "sure": how many designs half of the outcomes are},
    "verdict": what the two say at the same number of trials}.
    """
    rows = [row for row, state in enumerate(table.states) if state in (FRONT, DOMINATED)]
    if not rows:
        return []
    clock = np.array([told_s.get(table.trials[row].index, 0.0) for row in rows])
    places = np.array(rows) + 1
    by_time = np.argsort(clock, kind="stable")
    totals = [len(table.trials), max(told_s.values(), default=0.0)]
    measured = [table.trials[row] for row in rows]
    found = []
    if len(table.goals.objectives) > 1:
        found.append(_volume(measured, places, clock, by_time, table.goals, control, table.depth))
    for goal in table.goals.objectives:
        found.append(_best(measured, places, clock, by_time, goal, control, table.depth))
    for series in found:
        series["total"] = [totals[0], _short(totals[1])]
        for axis, total in zip(("designs", "seconds"), totals, strict=True):
            line = series[axis]
            line["x"], line["y"] = [*map(_short, line["x"]), _short(total)], [*line["y"], line["y"][-1]]
        series["verdict"] = _verdict(series)
    return found


def _best(
    trials: Sequence[Trial],
    places: Any,
    clock: Floats,
    by_time: Any,
    goal: Objective,
    control: Control | None,
    depth: int,
) -> dict[str, Any]:
    """Only where it changes: a line of steps needs no more points."""
    values = np.array([trial.outcome.metrics[goal.metric] for trial in trials])
    largest = goal.direction == "max"

    def steps(xs: Floats, ys: Floats) -> dict[str, Any]:
        best = (np.maximum if largest else np.minimum).accumulate(ys)
        change = np.flatnonzero(np.concatenate(([True], best[1:] != best[:-1])))
        return {"x": xs[change].tolist(), "y": best[change].tolist()}

    band = None
    if control is not None:
        ends = band_ends(control, len(trials) and int(places[-1]))
        members = [trial.outcome.metrics[goal.metric] for trial in control.trials if counts(trial, depth)]
        band = _placed(band_of_the_best(members, len(control.trials), ends, largest), ends, control)
    return {
        "metric": goal.metric,
        "label": f"best {goal.metric} so far ({goal.direction})",
        "direction": goal.direction,
        "note": "",
        "designs": steps(places, values),
        "seconds": steps(clock[by_time], values[by_time]),
        "band": band,
    }


def _volume(
    trials: Sequence[Trial],
    places: Any,
    clock: Floats,
    by_time: Any,
    goals: Goals,
    control: Control | None,
    depth: int,
) -> dict[str, Any]:
    costs = costs_of(trials, goals)
    others = [trial for trial in control.trials if counts(trial, depth)] if control else []
    control_costs = costs_of(others, goals)
    box = Box.around(np.concatenate([costs, control_costs]))
    ends = np.unique(np.linspace(1, len(costs), min(CHECKPOINTS, len(costs))).astype(int))
    scaled = box.scaled(costs)
    band = None
    if control is not None:
        at = band_ends(control, int(places[-1]))
        curves = permuted_growth(box.scaled(control_costs), len(control.trials), at)
        low, high = np.percentile(curves, [2.5, 97.5], axis=0)
        lines = {"mean": curves.mean(axis=0).tolist(), "low": low.tolist(), "high": high.tolist()}
        band = _placed({name: [_short(value) for value in values] for name, values in lines.items()}, at, control)

    def line(xs: Floats, points: Floats) -> dict[str, Any]:
        shares = growth(points, ends.tolist())
        return {"x": xs[ends - 1].tolist(), "y": [_short(share) for share in shares]}

    return {
        "metric": VOLUME,
        "label": VOLUME,
        "direction": "max",
        "note": _reference_words(box, goals, len(others) > 0, len(goals.objectives) > 2),
        "designs": line(places, scaled),
        "seconds": line(clock[by_time], scaled[by_time]),
        "band": band,
    }


def costs_of(trials: Sequence[Trial], goals: Goals) -> Floats:
    """[n, objectives], all minimised."""
    signs = np.array([-1.0 if goal.direction == "max" else 1.0 for goal in goals.objectives])
    rows = [[trial.outcome.metrics[goal.metric] for goal in goals.objectives] for trial in trials]
    costs: Floats = np.array(rows, dtype=np.float64).reshape(len(trials), len(signs)) * signs
    return costs


def counts(trial: Trial, depth: int) -> bool:
    """Whether a trial's outcome is a result: feasible, and of the last stage."""
    return trial.score is not None and trial.score.violation <= 0 and trial.score.depth == depth


def band_ends(control: Control, wanted: int) -> list[int]:
    """The numbers of trials at which the band is reckoned: dense at the start, up to the control's longest run."""
    longest = control.longest
    ends = np.concatenate(
        [
            np.geomspace(1, longest, BAND_POINTS // 2),
            np.linspace(1, longest, BAND_POINTS // 2),
            [min(wanted, longest, max(len(control.trials) // 2, 1))],
        ]
    )
    found: list[int] = np.unique(ends.round().astype(int)).tolist()
    return found


def _placed(band: Mapping[str, list[Any]], ends: Sequence[int], control: Control) -> dict[str, Any]:
    seconds = [_short(end * control.pace_s) for end in ends]
    return {"designs": list(ends), "seconds": seconds, **band, "sure": len(control.trials) // 2}


def _reference_words(box: Box, goals: Goals, compared: bool, counted: bool) -> str:
    def words(corner: Floats) -> str:
        return ", ".join(
            f"{goal.metric} {number(float(-cost if goal.direction == 'max' else cost))}"
            for goal, cost in zip(goals.objectives, corner, strict=True)
        )

    whose = "of both searches" if compared else "of the run"
    text = (
        f"The share of the box between the reference point ({words(box.reference)}) and the best values "
        f"({words(box.best)}) that the front dominates. The box spans the front {whose}, widened by 10 %."
    )
    return text + (" Counted over 8,192 evenly spread points of the box." if counted else "")


def _verdict(series: Mapping[str, Any]) -> str:
    """Both at the largest number of trials that both had and where the band has its full width; empty without a
    control."""
    band = series["band"]
    if band is None:
        return ""
    reach = [end for end in band["designs"] if end <= min(series["total"][0], band["sure"])]
    if not reach or band["mean"][len(reach) - 1] is None:
        return ""
    at, n = len(reach) - 1, reach[-1]
    line = series["designs"]
    value = [y for x, y in zip(line["x"], line["y"], strict=True) if x <= n]
    if not value:
        return f"After {n} designs: nothing feasible here, {number(band['mean'][at])} by random search."
    low, high = band["low"][at], band["high"][at]
    better = value[-1] > high if series["direction"] == "max" else value[-1] < low
    worse = value[-1] < low if series["direction"] == "max" else value[-1] > high
    how = "better than" if better else "worse than" if worse else "within the band of"
    return (
        f"After {n} designs: {number(value[-1])}, {how} random search "
        f"({number(band['mean'][at])}, 95 % [{number(low)}, {number(high)}])."
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
