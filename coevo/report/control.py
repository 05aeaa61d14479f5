"""Random search as the control: runs of the same problem, and the band that their outcomes give.

Random search learns nothing, so its trials are exchangeable: any order of its outcomes was as likely as the one that
came. The outcomes of all control runs together, in all orders, therefore say how good the best of any n random trials
is: the mean, and the band that holds 95 % of the orders. The mean has no bias. The width is that of draws without
replacement from the outcomes at hand: it shrinks to nothing where all of them are used, so beyond half of the outcomes
it is a lower bound, and the page draws it so. Several control runs push that point out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coevo.errors import CoevoError, InputError
from coevo.report.clock import read_log
from coevo.search import store
from coevo.search.folder import CONFIG, read_config
from coevo.search.run import Run
from coevo.search.trial import Trial

MOST_NEIGHBOURS = 500
BROUGHT = ("enqueued", "imported")


@dataclass(frozen=True)
class Control:
    """The outcomes of random search on the same problem, of one or several runs.

    `trials` are all of them, `longest` the number of trials of the longest run, `pace_s` the mean seconds from one
    trial to the next."""

    folders: tuple[str, ...]
    trials: tuple[Trial, ...]
    longest: int
    pace_s: float
    workers: tuple[int, ...]


def control_of(run: Run, given: Sequence[Path | str] = ()) -> Control | None:
    """The given control runs, each checked, or those that lie beside the run; None where there are none.

    InputError where a given run is no random search of the same problem.
    """
    runs = [_checked(run, Run.open(path)) for path in given] if given else beside(run)
    merged: list[Trial] = []
    longest, seconds, workers = 0, 0.0, []
    for control in runs:
        trials = [trial for trial in control.trials() if _drawn(trial)]
        merged += trials
        longest = max(longest, len(trials))
        seconds += max(read_log(control.rows()).told_s.values(), default=0.0)
        workers.append(int(control.config.get("run", {}).get("workers", 1)))
    if not merged:
        return None
    names = tuple(str(control.path) for control in runs)
    return Control(names, tuple(merged), longest, seconds / len(merged), tuple(workers))


def _drawn(trial: Trial) -> bool:
    """Whether chance brought a trial: one that was enqueued or imported was chosen by somebody."""
    origin = trial.design.origin
    return origin is None or origin.how not in BROUGHT


def beside(run: Run) -> list[Run]:
    """The finished or unfinished random searches of the same problem in the folder that holds the run."""
    found = []
    for neighbour in sorted(run.path.parent.iterdir())[:MOST_NEIGHBOURS]:
        if neighbour == run.path or not (neighbour / CONFIG).is_file() or not (neighbour / store.FILE).is_file():
            continue
        try:
            if not differences(run.config, read_config(neighbour)):
                found.append(Run.open(neighbour))
        except CoevoError:
            continue  # a stranger's folder that cannot be read is none of ours
    return found


def _checked(run: Run, control: Run) -> Run:
    wrong = differences(run.config, control.config)
    if wrong:
        raise InputError(
            f"{control.path} is no control of {run.path}: expected random search of the same problem, but "
            f"{'; '.join(wrong)}"
        )
    return control


def differences(config: Mapping[str, Any], control: Mapping[str, Any]) -> list[str]:
    """Why the control's outcomes cannot stand beside the run's, a line each; none where they can."""
    wrong = []
    algorithm = control.get("search", {}).get("algorithm")
    if algorithm != "random":
        wrong.append(f"its algorithm is {algorithm!r}")
    for name in ("problem", "options", "objectives", "constraints"):
        mine, other = config.get(name) or {}, control.get(name) or {}
        if mine != other:
            wrong.append(f"its {name} are {_words(other)} instead of {_words(mine)}")
    for name in ("space", "stages", "evaluators"):
        mine, other = config.get("recorded", {}).get(name), control.get("recorded", {}).get(name)
        if mine != other:
            wrong.append(f"its {name} is {_words(other)} instead of {_words(mine)}")
    return wrong


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {value[name]!r}" for name in value) + "}"
    return repr(value)


def band_of_the_best(values: Iterable[float], total: int, ends: Sequence[int], largest: bool) -> dict[str, list[Any]]:
    """{"mean", "low", "high"} of the best of n outcomes for each n of `ends`, exact over all orders.

    `values` are those of the trials that count, of `total`. None where fewer than 97.5 % of the orders hold one by
    then. P(the best of n is the k-th best or better) = 1 - C(total - k, n) / C(total, n).
    """
    ordered = np.sort(np.fromiter(values, dtype=np.float64))
    if largest:
        ordered = ordered[::-1]
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, total + 1)))))
    rank = np.arange(1, len(ordered) + 1)
    band: dict[str, list[Any]] = {"mean": [], "low": [], "high": []}
    for n in ends:
        left = total - rank - n
        missing = np.zeros(len(rank))
        some = left >= 0
        missing[some] = np.exp(logs[total - rank[some]] - logs[left[some]] - logs[total] + logs[total - n])
        reached = 1.0 - missing
        if not len(reached) or reached[-1] < 0.975:
            for line in band.values():
                line.append(None)
            continue
        weights = np.diff(np.concatenate(([0.0], reached)))
        lucky, unlucky = (ordered[int(np.searchsorted(reached, share))] for share in (0.025, 0.975 - 1e-12))
        band["mean"].append(float((ordered * weights).sum() / weights.sum()))
        band["low"].append(float(min(lucky, unlucky)))
        band["high"].append(float(max(lucky, unlucky)))
    return band
