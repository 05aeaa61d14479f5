"""A study as an Optuna journal, which `optuna.load_study` and optuna-dashboard open.

What stands where: the objectives are the study's values (a soft constraint's violation is one more, as in coevo's own
comparison), hard constraints stand under Optuna's `constraints` (at most 0 is feasible), choices are parameters. A
trial that reached the last stage is COMPLETE, one that ended at a gate PRUNED, one that failed FAIL, one that was asked
and not told RUNNING, so a trial's number is its index. With several stages, the first objective at stage s is the
intermediate value of step s. Key, origin, stage, cost, the reason of a failure and all other metrics are user
attributes.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from coevo.errors import CoevoError, missing_extra
from coevo.search.design import Design
from coevo.search.objectives import Goals
from coevo.search.space import Space
from coevo.search.tables.files import whole_file
from coevo.search.tables.history import History, Told
from coevo.search.tables.parameters import Parameter, Parameters

SOFT = "soft violation"


@dataclass
class Exported:
    """What was written; `notes` are for the user to read."""

    trials: int = 0
    open: int = 0
    notes: list[str] = field(default_factory=list)


def write_optuna(
    history: History,
    path: Path | str,
    name: str,
    space: Space | None = None,
    about: Mapping[str, Any] | None = None,
    force: bool = False,
    why_no_space: str = "the problem was not loaded",
) -> Exported:
    """Writes the journal of one study called `name`, with `about` as its user attributes; trials go out as they are
    read. The ranges of the parameters are those of `space`; where it is None, or does not rebuild the designs, they are
    those of the answers that were seen, and a note says so and why.

    MissingExtra where optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise missing_extra("optuna", "optuna") from None
    exported = Exported()
    with whole_file(path, force) as part, open(part, "w", encoding="utf-8") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        parameters, ranges = _parameters(history, space, why_no_space, exported)
        storage = optuna.storages.JournalStorage(Journal(file))
        goals = history.goals
        directions = ["maximize" if goal.direction == "max" else "minimize" for goal in goals.objectives]
        metric_names = [goal.metric for goal in goals.objectives]
        if goals.soft:
            directions, metric_names = [*directions, "minimize"], [*metric_names, SOFT]
        said = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        finally:
            optuna.logging.set_verbosity(said)
        study.set_metric_names(metric_names)
        described = {"coevo:space": history.space, "coevo:ranges": "space" if space and not exported.notes else "seen"}
        for key, value in {**described, **(about or {})}.items():
            study.set_user_attr(key, value)
        spelling = _Spelling(optuna, history, parameters, ranges)
        unfinished = history.open_designs()
        for told in history.told():
            while exported.trials + exported.open < told.trial.index:
                study.add_trial(spelling.open(*unfinished.pop(exported.trials + exported.open)))
                exported.open += 1
            study.add_trial(spelling.told(told))
            exported.trials += 1
        for _, waiting in sorted(unfinished.items()):
            study.add_trial(spelling.open(*waiting))
            exported.open += 1
    if parameters.left_whole:
        listed = ", ".join(parameters.left_whole)
        exported.notes.append(f"choices of many items are user attributes, not parameters: {listed}")
    return exported


def _parameters(
    history: History, space: Space | None, why: str, exported: Exported
) -> tuple[Parameters, list[Parameter]]:
    """The parameters of every design that was asked."""

    def gathered(known: Space | None) -> Parameters:
        found = Parameters(known)
        for row in history.designs():
            found.see(row)
        return found

    if space is not None and space.id != history.space:
        why = f"the space is now {space.id!r}, and the study is of {history.space!r}"
    elif space is not None:
        try:
            found = gathered(space)
            return found, found.settle()
        except CoevoError as problem:
            why = str(problem)
    exported.notes.append(f"the parameters' ranges are those of the answers seen, not those of the space: {why}")
    found = gathered(None)
    return found, found.settle()


class Journal:
    """A backend of Optuna's JournalStorage that appends to an open file. It is never read again here, so the storage
    is told no more of a trial than that it exists: 50,000 designs need not fit in memory."""

    _DROPPED: Mapping[str, Any] = {
        "params": {},
        "distributions": {},
        "user_attrs": {},
        "system_attrs": {},
        "intermediate_values": {},
    }

    def __init__(self, file: IO[str]):
        self._file = file
        self._unread: list[dict[str, Any]] = []

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        for log in logs:
            self._file.write(json.dumps(log, separators=(",", ":"), allow_nan=False) + "\n")
            self._unread.append({key: self._DROPPED.get(key, value) for key, value in log.items()})

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        unread, self._unread = self._unread, []
        return unread


class _Spelling:
    """Trials in Optuna's words."""

    def __init__(self, optuna: Any, history: History, parameters: Parameters, ranges: Iterable[Parameter]):
        self._optuna = optuna
        self._goals, self._stages = history.goals, history.stages
        self._parameters = parameters
        self._ranges = {parameter.name: _distribution(optuna, parameter) for parameter in ranges}

    def told(self, told: Told) -> Any:
        trial, states = told.trial, self._optuna.trial.TrialState
        metrics = trial.outcome.metrics
        values = None
        if trial.score is None:
            state = states.FAIL
        elif trial.stage != self._stages[-1]:
            state = states.PRUNED
        else:
            state, values = states.COMPLETE, _values(self._goals, metrics)
        origin = trial.design.origin
        notes: dict[str, Any] = {"key": trial.design.key, "stage": trial.stage, "cost_s": trial.total_cost_s}
        if origin is not None:
            notes["origin"] = " ".join([origin.how, *map(str, origin.parents)])
        if trial.outcome.failure is not None:
            notes["failure"] = trial.outcome.failure
        if trial.how:
            notes["how"] = trial.how
        wanted = {goal.metric for goal in self._goals.objectives} if values is not None else set()
        notes |= {f"metric.{name}": value for name, value in metrics.items() if name not in wanted}
        steps = {}
        if len(self._stages) > 1:
            first = self._goals.objectives[0].metric
            for result in trial.reached:
                notes[f"cost_s@{result.stage}"] = result.cost_s
                notes |= {f"metric.{name}@{result.stage}": value for name, value in result.metrics.items()}
                if first in result.metrics:
                    steps[self._stages.index(result.stage)] = result.metrics[first]
        limits = {}
        if self._goals.hard and trial.score is not None:
            limits["constraints"] = [limit.beyond(metrics[limit.metric]) for limit in self._goals.hard]
        return self._trial(
            trial.design,
            state,
            values=values,
            datetime_start=datetime.fromtimestamp(told.asked_at),
            datetime_complete=datetime.fromtimestamp(told.told_at),
            user_attrs=notes,
            system_attrs=limits,
            intermediate_values=steps,
        )

    def open(self, design: Design, asked_at: float) -> Any:
        return self._trial(
            design,
            self._optuna.trial.TrialState.RUNNING,
            values=None,
            datetime_start=datetime.fromtimestamp(asked_at),
            datetime_complete=None,
            user_attrs={"key": design.key},
            system_attrs={},
            intermediate_values={},
        )

    def _trial(self, design: Design, state: Any, user_attrs: dict[str, Any], **fields: Any) -> Any:
        values = self._parameters.spell(design)
        if self._parameters.left_whole:
            given = json.loads(design.text)
            user_attrs |= {f"choice.{name}": answer for name, answer in given if name in self._parameters.left_whole}
        return self._optuna.trial.FrozenTrial(
            number=0,  # both are given anew where the trial is added
            trial_id=0,
            state=state,
            value=None,
            params=values,
            distributions={name: self._ranges[name] for name in values},
            user_attrs=user_attrs,
            **fields,
        )


def _values(goals: Goals, metrics: Mapping[str, float]) -> list[float]:
    values = [metrics[goal.metric] for goal in goals.objectives]
    if goals.soft:
        values.append(sum(limit.violation(metrics[limit.metric]) for limit in goals.soft))
    return values


def _distribution(optuna: Any, parameter: Parameter) -> Any:
    made = optuna.distributions
    match parameter.kind:
        case "int":
            return made.IntDistribution(int(parameter.low), int(parameter.high), step=parameter.step)
        case "float":
            return made.FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        case _:
            return made.CategoricalDistribution(parameter.choices)
