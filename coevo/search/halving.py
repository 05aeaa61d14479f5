"""Successive halving: one evaluator on rungs of rising budget, each of which lets the better part of its designs go on.

Jamieson and Talwalkar 2016 (algorithm 1), in the asynchronous form of Li et al. 2020 ("A System for Massively Parallel
Hyperparameter Tuning", algorithm 2): nobody waits for a rung to fill. Here the ladder of stages decides, so a design
goes on if it is among the top 1/eta of the latest designs of its rung, by recorded outcomes alone.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coevo.errors import ConfigError
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, as_outcome
from coevo.search.problem import Stage


class BudgetedFunction(Evaluator):
    """A plain function of a value and a budget that returns a mapping of metrics (or an Outcome)."""

    def __init__(self, function: Callable[[Any, float], Any], metrics: Mapping[str, str]):
        module, name = getattr(function, "__module__", "?"), getattr(function, "__qualname__", type(function).__name__)
        self.id = f"{module}:{name}"
        self.function = function
        self.metrics = dict(metrics)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        assert context.budget is not None
        return [as_outcome(self.function(candidate.value, context.budget)) for candidate in candidates]


def successive_halving(
    evaluator: Evaluator | Callable[[Any, float], Any],
    budgets: Sequence[float],
    eta: float = 3.0,
    metrics: Mapping[str, str] | None = None,
) -> list[Stage]:
    """The stages of a problem: a rung a budget, from each of which about one design in `eta` goes on.

    `evaluator` is an `Evaluator` that reads `context.budget`, or a function of (value, budget), whose metrics with
    their units are then said in `metrics`. `budgets` rise, in the evaluator's own unit (epochs, shots, images); with
    each `eta` times the one before, every rung costs about the same. A rung finds the files of the rungs before it in
    `candidate.artifacts`, so that training goes on from a checkpoint: such an evaluation pays for the difference of the
    two budgets. The study's front is of the largest budget alone.

    ConfigError where the budgets do not rise or `eta` is not above 1.
    """
    if isinstance(budgets, (str, bytes)) or not isinstance(budgets, Sequence) or len(budgets) < 2:
        raise ConfigError(f"successive_halving: expected at least two budgets, for example (1, 3, 9), got {budgets!r}")
    for budget in budgets:
        if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 0 < budget < math.inf:
            raise ConfigError(f"successive_halving: a budget is a number above 0, got {budget!r}")
    if any(low >= high for low, high in itertools.pairwise(budgets)):
        raise ConfigError(f"successive_halving: budgets must rise from rung to rung, got {tuple(budgets)}")
    if isinstance(eta, bool) or not isinstance(eta, (int, float)) or not 1 < eta < math.inf:
        raise ConfigError(f"successive_halving: eta must be above 1 (one design in eta goes on), got {eta!r}")
    judge = _evaluator(evaluator, metrics)
    last = len(budgets) - 1
    # Each rung has an evaluator of its own, so that what `setup` keeps for one budget is not another's.
    return [
        Stage(f"budget {budget:g}", copy.copy(judge), 1.0 if rung == last else 1.0 / eta, float(budget))
        for rung, budget in enumerate(budgets)
    ]


def _evaluator(judge: Any, metrics: Mapping[str, str] | None) -> Evaluator:
    if isinstance(judge, Evaluator):
        if metrics is not None:
            raise ConfigError("successive_halving: an Evaluator says its metrics itself; leave `metrics` out")
        return judge
    if isinstance(judge, type) or not callable(judge):
        raise ConfigError(f"successive_halving: expected an Evaluator or a function of (value, budget), got {judge!r}")
    if not metrics:
        raise ConfigError(
            "successive_halving: a function needs metrics={name: unit}, for example metrics={'accuracy': '%'}"
        )
    return BudgetedFunction(judge, metrics)
