"""What an experiment says, held against the code that it names, before anything is written or paid for."""

from __future__ import annotations

import inspect
import re
import types
import typing
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from coevo.config import EXPECTED, Experiment, SearchSection, described
from coevo.errors import CoevoError, ConfigError, InputError, MissingExtra, unknown_name
from coevo.search.algorithms import ALGORITHMS, make_algorithm
from coevo.search.objectives import Constraint, Goals
from coevo.search.problem import Problem
from coevo.search.registry import load_problem
from coevo.search.runners import check_runner_name


def open_problem(experiment: Experiment) -> Problem:
    """The problem that the experiment names, after checking all that the file says against it."""
    check_algorithm(experiment)
    try:
        problem = load_problem(experiment.problem, experiment.options)
    except MissingExtra:
        raise
    except InputError as error:
        raise _placed(error, experiment) from error
    check_goals(experiment, problem)
    return problem


def check_budget(experiment: Experiment) -> None:
    """Refuse a search that nothing would end."""
    if not experiment.search.budget:
        raise ConfigError(
            f"{experiment.where('search')}: [search] needs a budget: trials, seconds or cost_s (seconds of evaluation "
            "summed over workers); for example trials = 200"
        )


def check_runner(experiment: Experiment) -> None:
    """Refuse a runner that nobody offers."""
    try:
        check_runner_name(experiment.run.runner)
    except InputError as error:
        raise type(error)(f"{experiment.where('run', 'runner')}: {error}") from None


def _placed(error: InputError, experiment: Experiment) -> CoevoError:
    """The same error, with the place in front of the option that its message quotes first, or of the problem."""
    said = str(error)
    quoted = sorted((said.find(repr(name)), name) for name in experiment.options if repr(name) in said)
    path = ("options", quoted[0][1]) if quoted else ("problem",)
    return type(error)(f"{experiment.where(*path)}: {said}")


def check_goals(experiment: Experiment, problem: Problem) -> None:
    """Refuse objectives and constraints on metrics that no stage of the problem offers."""
    offered = {name for stage in problem.stages for name in stage.evaluator.metrics}
    for section in ("objectives", "constraints"):
        for metric in getattr(experiment, section):
            if metric not in offered:
                message = unknown_name("metric", metric, offered, f"[{section}] of problem {problem.name!r}")
                raise type(message)(f"{experiment.where(section, metric)}: {message}")
    for metric, texts in experiment.constraints.items():
        for text in [texts] if isinstance(texts, str) else texts:
            try:
                Constraint.parse(metric, text)
            except InputError as error:
                raise type(error)(f"{experiment.where('constraints', metric)}: {error}") from None
    _check_stages(experiment, problem)


def _check_stages(experiment: Experiment, problem: Problem) -> None:
    """Refuse a ladder of which a stage does not measure all that designs are compared by."""
    goals = Goals(experiment.objectives or problem.objectives, experiment.limits)
    for stage in problem.stages:
        for metric in goals.needed:
            if metric in stage.evaluator.metrics:
                continue
            section = next(
                (name for name in ("objectives", "constraints") if metric in getattr(experiment, name)), None
            )
            place = experiment.where(section, metric) if section else experiment.where("problem")
            have = ", ".join(stage.evaluator.metrics) or "none"
            raise ConfigError(
                f"{place}: stage {stage.name!r} of problem {problem.name!r} does not measure {metric!r}: its evaluator "
                f"{stage.evaluator.label} offers {have}. Every stage must measure every objective and constraint, "
                "because its designs are compared by them"
            )


def check_algorithm(experiment: Experiment) -> None:
    """Refuse an algorithm that nobody offers, and options that its constructor does not take."""
    search = experiment.search
    if search.algorithm not in ALGORITHMS:
        message = unknown_name("algorithm", search.algorithm, ALGORITHMS, "[search]")
        raise type(message)(f"{experiment.where('search', 'algorithm')}: {message}")
    offered = algorithm_options(ALGORITHMS[search.algorithm])
    for name, value in search.algorithm_options.items():
        where = experiment.where("search", name)
        if name not in offered:
            keys = [*SearchSection.model_fields, *offered]
            place = f"[search] with algorithm {search.algorithm!r}"
            raise ConfigError(f"{where}: {unknown_name('key', name, keys, place)}")
        try:
            TypeAdapter(offered[name]).validate_python(value, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            expected = EXPECTED.get(first["type"], first["msg"])
            prefix = where if where.startswith("--set ") else f"{where}: search.{name}"
            raise ConfigError(f"{prefix}: expected {expected}, got {described(value)}") from None
    try:
        make_algorithm(search.algorithm, search.algorithm_options)
    except InputError as error:
        named = [name for name in search.algorithm_options if re.search(rf"\b{re.escape(name)}\b", str(error))]
        raise type(error)(f"{experiment.where('search', *named[:1])}: {error}") from None


def algorithm_options(algorithm: type[Any]) -> dict[str, Any]:
    """What the constructor takes by name, with its annotations; what the study itself hands over is left out."""
    parameters = inspect.signature(algorithm).parameters
    try:
        hints = typing.get_type_hints(algorithm.__init__)
    except NameError:  # an annotation that stands under TYPE_CHECKING: the constructor itself will judge
        hints = {}
    named = [p for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    options = {p.name: hints.get(p.name, Any) for p in named if p.default is not p.empty and p.name != "seed"}
    return {name: hint if _plain(hint) else Any for name, hint in options.items()}


def _plain(hint: Any) -> bool:
    """Whether pydantic can judge a TOML value by this annotation."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return all(_plain(part) for part in typing.get_args(hint))
    return hint in (int, float, str, bool, type(None)) or typing.get_origin(hint) is Literal
