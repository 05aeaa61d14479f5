"""Evolutionary search over networks, quantum circuits and the hardware under them, with one loop.

The names below are imported when they are first used: `import coevo` itself is quick and brings no other package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from coevo.errors import CoevoError as CoevoError
    from coevo.search.algorithms.base import Algorithm as Algorithm
    from coevo.search.algorithms.base import Exhausted as Exhausted
    from coevo.search.design import Design as Design
    from coevo.search.evaluator import Candidate as Candidate
    from coevo.search.evaluator import Context as Context
    from coevo.search.evaluator import Evaluator as Evaluator
    from coevo.search.evaluator import Outcome as Outcome
    from coevo.search.evaluator import Resources as Resources
    from coevo.search.front import Front as Front
    from coevo.search.halving import successive_halving as successive_halving
    from coevo.search.loading import load as load
    from coevo.search.objectives import Constraint as Constraint
    from coevo.search.objectives import Goals as Goals
    from coevo.search.objectives import Objective as Objective
    from coevo.search.pick import Pick as Pick
    from coevo.search.problem import Problem as Problem
    from coevo.search.problem import Stage as Stage
    from coevo.search.problem import WorkContext as WorkContext
    from coevo.search.registry import load_problem as load_problem
    from coevo.search.registry import problem_names as problem_names
    from coevo.search.run import Run as Run
    from coevo.search.space import Space as Space
    from coevo.search.space import Violation as Violation
    from coevo.search.study import Study as Study
    from coevo.search.trial import Trial as Trial

_HOMES = {
    "Algorithm": "coevo.search.algorithms.base",
    "Candidate": "coevo.search.evaluator",
    "CoevoError": "coevo.errors",
    "Constraint": "coevo.search.objectives",
    "Context": "coevo.search.evaluator",
    "Design": "coevo.search.design",
    "Evaluator": "coevo.search.evaluator",
    "Exhausted": "coevo.search.algorithms.base",
    "Front": "coevo.search.front",
    "Goals": "coevo.search.objectives",
    "Objective": "coevo.search.objectives",
    "Outcome": "coevo.search.evaluator",
    "Pick": "coevo.search.pick",
    "Problem": "coevo.search.problem",
    "Resources": "coevo.search.evaluator",
    "Run": "coevo.search.run",
    "Space": "coevo.search.space",
    "Stage": "coevo.search.problem",
    "Study": "coevo.search.study",
    "Trial": "coevo.search.trial",
    "Violation": "coevo.search.space",
    "WorkContext": "coevo.search.problem",
    "load": "coevo.search.loading",
    "load_problem": "coevo.search.registry",
    "problem_names": "coevo.search.registry",
    "successive_halving": "coevo.search.halving",
}

__all__ = [
    "Algorithm",
    "Candidate",
    "CoevoError",
    "Constraint",
    "Context",
    "Design",
    "Evaluator",
    "Exhausted",
    "Front",
    "Goals",
    "Objective",
    "Outcome",
    "Pick",
    "Problem",
    "Resources",
    "Run",
    "Space",
    "Stage",
    "Study",
    "Trial",
    "Violation",
    "WorkContext",
    "__version__",
    "load",
    "load_problem",
    "problem_names",
    "successive_halving",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value  # the next use is an ordinary look-up
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
