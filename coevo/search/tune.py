"""coevo's algorithms for people who live in Ray Tune: a `Searcher` over any coevo space. Needs the extra `ray`.

    from ray import tune
    from coevo.search.tune import CoevoSearch, value_of

    def trainable(config):
        tune.report({"accuracy": train(value_of(space, config))})

    search = CoevoSearch(space, {"accuracy": "max", "latency_ms": "min"}, lag=8)
    tune.Tuner(trainable, tune_config=tune.TuneConfig(search_alg=search, num_samples=100)).fit()

Tune starts a process a trial, so this is for evaluations of minutes; `Study` on the Ray runner is for all others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError, CorruptRun, InputError, RunFolderError, missing_extra
from coevo.search.algorithms import Algorithm
from coevo.search.evaluator import Outcome
from coevo.search.events import Asked, Event
from coevo.search.front import Front
from coevo.search.objectives import Constraint, judge
from coevo.search.space import Space
from coevo.search.study import Study

try:
    from ray.tune.search import Searcher
except ImportError as error:
    raise missing_extra("ray[tune]", "ray") from error

ANSWERS = "design"  # where a trial's configuration holds the answers, beside Tune's constants


def value_of(space: Space, config: Mapping[str, Any]) -> Any:
    """What the space builds from a trial's configuration: the value to evaluate."""
    if not isinstance(config.get(ANSWERS), Mapping):
        raise InputError(
            f"config[{ANSWERS!r}]: expected the answers of a design, as CoevoSearch suggests them, got "
            f"{config.get(ANSWERS)!r}"
        )
    return space.build(space.design(config[ANSWERS]))


class CoevoSearch(Searcher):  # type: ignore[misc]
    """A search over `space`, one design a trial, under config["design"] (see `value_of`).

    `objectives` maps metrics to "max" or "min"; without them, Tune's metric and mode are the one objective. A trial
    counts with the last metrics that it reported, also where a scheduler stopped it; one that ended in an error, or
    reported no objective, or no number for it, has failed. `ask(i)` sees the outcomes 0..i-1-lag, so at most lag + 1
    trials run at once, and which designs are tried does not depend on which of them end first. A space that is used up
    ends the search. What Tune saves of it is JSON: the answers asked and the outcomes told, which a restored search is
    taken through again.

    `algorithm` is a name or a class, not an object: every restored search gets a new one. Raises InputError where the
    input is wrong, as `Study` does; CorruptRun where what was saved is not what this search would have asked.
    """

    CKPT_FILE_TMPL = "searcher-state-{}.json"
    _finished: bool

    def __init__(
        self,
        space: Space,
        objectives: Mapping[str, str] | None = None,
        *,
        constraints: Mapping[str, str] | Sequence[Constraint] = (),
        algorithm: str | type[Algorithm] = "nsga2",
        algorithm_options: Mapping[str, Any] | None = None,
        seed: int = 0,
        lag: int = 15,
    ):
        metrics = list(objectives or {})
        super().__init__(metrics or None, [objectives[name] for name in metrics] if objectives else None)
        if not isinstance(algorithm, str) and not (isinstance(algorithm, type) and issubclass(algorithm, Algorithm)):
            raise ConfigError(
                f"algorithm: expected a name or a subclass of Algorithm, got {algorithm!r}; options go into "
                "algorithm_options"
            )
        self._arguments: dict[str, Any] = {
            "space": space,
            "objectives": objectives,
            "constraints": constraints,
            "algorithm": algorithm,
            "algorithm_options": algorithm_options,
            "seed": seed,
            "lag": lag,
        }
        self._begin()

    def front(self) -> Front:
        """The feasible designs that nothing beats, so far."""
        return self._ready().front()

    def set_search_properties(self, metric: str | None, mode: str | None, config: Mapping[str, Any], **_: Any) -> bool:
        """Takes Tune's metric and mode where the search has no objectives of its own. A parameter space of Tune's is
        refused: the space is coevo's."""
        if self._study is None and metric and mode:
            self._arguments["objectives"] = {metric: mode}
            self._metric, self._mode = metric, mode
            self._begin()
        return False

    def suggest(self, trial_id: str) -> Any:
        """A design's answers for this trial; None while `lag` has it wait, FINISHED where the space is used up."""
        study = self._ready()
        if self._finished:
            return self.FINISHED
        if not study.may_ask:
            return None
        candidate = study.ask()
        if candidate is None:
            self._finished = True
            return self.FINISHED
        answers = self._asked
        self._open[trial_id] = candidate.index
        self._history.append({"asked": trial_id, "answers": answers})
        return {ANSWERS: answers}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Nothing: a design has one outcome, and that is the last one."""

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Tells the outcome. A trial that Tune runs again after it was told changes nothing."""
        if trial_id not in self._open:
            return
        outcome = self._outcome(result, error)
        self._tell(trial_id, outcome)
        told = {"failure": outcome.failure} if outcome.failure is not None else {"metrics": dict(outcome.metrics)}
        self._history.append({"told": trial_id, **told})

    # State ------------------------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """What was asked and told, in that order; plain JSON."""
        arguments = self._arguments
        return {"space": arguments["space"].id, "objectives": arguments["objectives"], "history": self._history}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes through the same asking and telling again, with an algorithm that knows nothing yet."""
        ours = (self._arguments["space"].id, self._arguments["objectives"] or state["objectives"])
        if (state["space"], state["objectives"]) != ours:
            raise InputError(
                f"the saved search is over {state['space']!r} for {state['objectives']}, this one over {ours[0]!r} for "
                f"{ours[1]}; restore it with the same space and objectives"
            )
        self._arguments["objectives"] = state["objectives"]
        self._begin()
        for event in state["history"]:
            if "asked" in event:
                suggested = self.suggest(event["asked"])
                if suggested != {ANSWERS: event["answers"]}:
                    raise CorruptRun(
                        f"the saved search asked {event['answers']} for trial {event['asked']}, and this one asks "
                        f"{suggested}: the space, the algorithm, its options, the seed or the lag has changed"
                    )
            else:
                failure = event.get("failure")
                outcome = Outcome(event["metrics"]) if failure is None else Outcome.failed(failure)
                self._tell(event["told"], outcome)
                self._history.append(event)

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text(json.dumps(self.get_state(), allow_nan=False), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        try:
            state = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError(f"no saved search can be read from {checkpoint_path}: {error}") from error
        self.set_state(state)

    def __getstate__(self) -> dict[str, Any]:
        # Tune copies and pickles its searcher: the database and the algorithm stay here, and are made anew there.
        base = {name: value for name, value in self.__dict__.items() if name in ("_metric", "_mode")}
        return {"arguments": self._arguments, "base": base, "state": self.get_state()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state["base"])
        self._arguments = dict(state["arguments"])
        self.set_state(state["state"])

    # Inside -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """A new study, where it is known by now what is wanted."""
        self._history: list[dict[str, Any]] = []
        self._open: dict[str, int] = {}
        self._asked: dict[str, Any] = {}
        self._finished = False
        self._study: Study | None = None
        if self._arguments["objectives"] is not None:
            arguments = {**self._arguments}
            if isinstance(arguments["algorithm"], type):
                arguments["algorithm"] = arguments["algorithm"](**(arguments.pop("algorithm_options") or {}))
            self._study = Study(arguments.pop("space"), None, runner="inline", **arguments)
            self._study.listen(self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Asked):
            self._asked = dict(json.loads(event.design.text))  # lists, as a restored search reads them

    def _ready(self) -> Study:
        if self._study is None:
            raise ConfigError(
                "CoevoSearch has no objective: give it objectives={'accuracy': 'max'}, or TuneConfig a metric and "
                "a mode"
            )
        return self._study

    def _tell(self, trial_id: str, outcome: Outcome) -> None:
        self._ready().tell(self._open.pop(trial_id), outcome)

    def _outcome(self, result: Mapping[str, Any] | None, error: bool) -> Outcome:
        if error or result is None:
            return Outcome.failed("the trial ended in an error")
        needed = self._ready().goals.needed
        metrics, failure = judge({name: result[name] for name in needed if name in result}, needed)
        return Outcome.failed(failure) if failure is not None else Outcome(metrics)
