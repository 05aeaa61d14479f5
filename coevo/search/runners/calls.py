"""Setting an evaluator up and calling it: the one place that says what a call may return, for every runner alike."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coevo.errors import EvaluatorError, InputError
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, as_evaluator, as_outcome
from coevo.search.memo import MemoTable
from coevo.search.runners.base import EvaluatorSource, WorkerSetup

LONGEST_REASON = 500  # characters of an exception's message that go into a trial; the log holds the whole


@dataclass(frozen=True, slots=True)
class Raised:
    """The call ended in an exception: a line for the trial, and the exception itself for the log."""

    reason: str
    error: BaseException


def one_line(error: BaseException) -> str:
    """ "ValueError: message" on one line, and never another exception."""
    try:
        message = " ".join(str(error).split())
    except Exception:
        message = ""
    if len(message) > LONGEST_REASON:
        message = message[: LONGEST_REASON - 3] + "..."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


class Calls:
    """The evaluators of a setup's stages in one process: each set up once, when it is first needed. `memo` has the
    inner results that are known here."""

    def __init__(self, setup: WorkerSetup):
        self._setup = setup
        self.memo = MemoTable(setup.memo)
        self._ready: dict[int, tuple[Evaluator, Context]] = {}

    def set_up(self, stage: int) -> tuple[Evaluator, Context]:
        """The evaluator, loaded and set up, with the context of its calls.

        InputError and EvaluatorError (a missing extra, an unknown option) pass as they are; anything else that is
        raised becomes an EvaluatorError.
        """
        if stage not in self._ready:
            source, budget = self._setup.stages[stage].source, self._setup.stages[stage].budget
            name = _describe(source)
            try:
                evaluator = _load(source)
                name = _name(evaluator)
                setup = self._setup
                context = Context(setup.device, setup.artifacts, setup.seed, budget, evaluator.label, self.memo)
                evaluator.setup(context)
            except (InputError, EvaluatorError, KeyboardInterrupt):
                raise
            except BaseException as error:  # SystemExit too: a setup that calls sys.exit must not pass for a clean end
                raise EvaluatorError(f"{name} cannot be set up: {one_line(error)}") from error
            self._ready[stage] = evaluator, context
        return self._ready[stage]

    def call(self, stage: int, candidates: Sequence[Candidate]) -> tuple[list[Outcome] | Raised, float]:
        """One outcome a candidate, or what was raised; and the wall seconds of the call."""
        evaluator, context = self.set_up(stage)
        timeout_s = self._setup.stages[stage].timeout_s
        begun = time.monotonic()
        context.deadline = None if timeout_s is None else begun + timeout_s * len(candidates)
        try:
            outcomes = _checked(evaluator, evaluator.evaluate(candidates, context), len(candidates))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: one design's sys.exit must not end the worker
            return Raised(one_line(error), error), time.monotonic() - begun
        return outcomes, time.monotonic() - begun


def _checked(evaluator: Evaluator, returned: Any, expected: int) -> list[Outcome]:
    if not isinstance(returned, (list, tuple)):
        reason = f"{_name(evaluator)} returned {type(returned).__name__}, expected a list of outcomes"
    elif len(returned) != expected:
        reason = f"{_name(evaluator)} returned {_count(len(returned), 'outcome')} for {_count(expected, 'candidate')}"
    else:
        return [_sound(as_outcome(item)) for item in returned]
    return [Outcome.failed(reason)] * expected


def _sound(outcome: Outcome) -> Outcome:
    """The outcome with fields of the types that it promises, so that nobody after this has to look again."""
    if type(outcome.metrics) is dict and type(outcome.artifacts) is dict and outcome.failure is None:
        return outcome  # nearly always, and asking for Mapping takes its time
    if not isinstance(outcome.metrics, Mapping):
        return Outcome.failed(f"expected a mapping of metrics, got {type(outcome.metrics).__name__}")
    if not isinstance(outcome.artifacts, Mapping):
        return Outcome.failed(f"expected a mapping of artifacts, got {type(outcome.artifacts).__name__}")
    if outcome.failure is not None and not isinstance(outcome.failure, str):
        return replace(outcome, failure=str(outcome.failure))
    return outcome


def _load(source: EvaluatorSource) -> Evaluator:
    if source.instance is not None:
        found: Any = source.instance
    elif source.problem is not None:
        from coevo.search.registry import load_problem

        stages = load_problem(source.problem, source.options).stages
        if not 0 <= source.stage < len(stages):
            raise EvaluatorError(f"{_describe(source)}: the problem has {_count(len(stages), 'stage')}")
        found = stages[source.stage].evaluator
    elif source.attribute is not None:
        from coevo.search.registry import load_attribute

        found = as_evaluator(load_attribute(source.attribute), {}, _describe(source))
    else:
        raise EvaluatorError("an EvaluatorSource needs one of instance, problem or attribute; all three are None")
    if not isinstance(found, Evaluator):
        raise EvaluatorError(f"{_describe(source)}: expected an Evaluator, got {type(found).__name__}")
    return found


def _describe(source: EvaluatorSource) -> str:
    if source.instance is not None:
        return _name(source.instance)
    if source.problem is not None:
        return f"the evaluator of problem {source.problem!r}, stage {source.stage}"
    return f"the evaluator {source.attribute!r}"


def _name(evaluator: Any) -> str:
    return f"evaluator {getattr(evaluator, 'id', '') or type(evaluator).__name__!r}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
