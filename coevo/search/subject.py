"""The several ways of saying what is searched and who judges, read into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coevo.errors import ConfigError, InputError
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, as_evaluator
from coevo.search.objectives import Constraint, Goals
from coevo.search.problem import Problem, Stage
from coevo.search.runners.base import EvaluatorSource
from coevo.search.space import Space

Judge = Evaluator | type[Evaluator] | Callable[[Any], Any] | str | None


def settle(
    subject: Problem | Space,
    evaluate: Judge,
    objectives: Mapping[str, str] | None,
    constraints: Mapping[str, str] | Sequence[Constraint],
) -> tuple[Goals, Problem, list[EvaluatorSource]]:
    """The goals, a problem, and how workers get the evaluator of each of its stages."""
    if isinstance(subject, Problem):
        if evaluate is not None:
            raise ConfigError("a Problem brings its evaluators; give `evaluate` only together with a Space")
        if not subject.stages:
            raise ConfigError(f"problem {subject.name!r} has no stage; it needs at least one, with an evaluator")
        names = [stage.name for stage in subject.stages]
        if len(set(names)) < len(names):
            raise ConfigError(f"problem {subject.name!r}: two stages have one name; got {', '.join(names)}")
        goals = Goals(objectives or subject.objectives, constraints)
        if subject.loaded_as:
            name, options = subject.loaded_as, subject.options
            return goals, subject, [EvaluatorSource(problem=name, options=options, stage=n) for n in range(len(names))]
        return goals, subject, [EvaluatorSource(instance=stage.evaluator) for stage in subject.stages]
    if not isinstance(subject, Space):
        raise ConfigError(f"expected a Problem or a Space, got {type(subject).__name__}")
    if objectives is None:
        raise ConfigError("a Space needs objectives, for example objectives={'accuracy': 'max'}")
    goals = Goals(objectives, constraints)
    evaluator = _evaluator(evaluate, goals)
    problem = Problem(
        subject.id, subject, (Stage("full", evaluator),), {o.metric: o.direction for o in goals.objectives}
    )
    source = EvaluatorSource(attribute=evaluate) if isinstance(evaluate, str) else EvaluatorSource(instance=evaluator)
    return goals, problem, [source]


def _evaluator(judge: Judge, goals: Goals) -> Evaluator:
    if isinstance(judge, str):
        from coevo.search.registry import load_attribute

        judge = load_attribute(judge)
    metrics = dict.fromkeys(goals.needed, "")
    return ByHand(metrics) if judge is None else as_evaluator(judge, metrics)


class ByHand(Evaluator):
    """Stands where the caller asks and tells."""

    id = "by-hand"

    def __init__(self, metrics: Mapping[str, str]):
        self.metrics = metrics

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        raise InputError("this study has no evaluator: use ask() and tell(), or give it one")
