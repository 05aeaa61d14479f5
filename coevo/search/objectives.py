"""What is wanted: objectives with directions, hard and soft constraints, and the one comparison made of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from coevo.errors import ConfigError, unknown_name


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and its direction, "max" or "min"."""

    metric: str
    direction: str

    def __post_init__(self) -> None:
        if self.direction not in ("max", "min"):
            raise ConfigError(f"objective {self.metric!r}: expected 'max' or 'min', got {self.direction!r}")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on a metric. A hard one keeps violators off the front; a soft one is one more thing to minimise."""

    metric: str
    comparison: str
    bound: float
    hard: bool = True

    def beyond(self, value: float) -> float:
        """How far `value` is beyond the bound, relative to max(|bound|, 1); at most 0 where it holds."""
        over = value - self.bound if self.comparison == "<=" else self.bound - value
        return over / max(abs(self.bound), 1.0)

    def violation(self, value: float) -> float:
        """`beyond`, and 0 where the bound holds."""
        return max(self.beyond(value), 0.0)

    @classmethod
    def parse(cls, metric: str, text: str) -> Constraint:
        """From "<= 30", ">= 0.5" or "soft <= 30"."""
        match = re.fullmatch(r"\s*(soft\s+|hard\s+)?(<=|>=)\s*([-+0-9.eE]+)\s*", str(text))
        try:
            if match is None:
                raise ValueError
            bound = float(match[3])
        except ValueError:
            raise ConfigError(
                f"constraint on {metric!r}: expected '<= NUMBER' or '>= NUMBER', with 'soft' before it or not, "
                f"got {text!r}"
            ) from None
        return cls(metric, match[2], bound, hard=not (match[1] or "").startswith("soft"))

    def __str__(self) -> str:
        return f"{'' if self.hard else 'soft '}{self.comparison} {self.bound:g}"


class Score(NamedTuple):
    """A trial as algorithms compare it: the deeper stage first, then the smaller hard violation, then the minimised
    costs (soft violation is one of them)."""

    violation: float
    costs: tuple[float, ...]
    depth: int = 0


class Goals:
    """Objectives and constraints together. `score` turns metrics into what selection compares."""

    def __init__(self, objectives: Mapping[str, str], constraints: Mapping[str, str] | Sequence[Constraint] = ()):
        if not objectives:
            raise ConfigError("at least one objective is needed, for example {'accuracy': 'max'}")
        self.objectives = tuple(Objective(metric, direction) for metric, direction in objectives.items())
        if isinstance(constraints, Mapping):
            constraints = [
                Constraint.parse(metric, text)
                for metric, texts in constraints.items()
                for text in ([texts] if isinstance(texts, str) else texts)
            ]
        self.constraints = tuple(constraints)
        self.hard = tuple(constraint for constraint in self.constraints if constraint.hard)
        self.soft = tuple(constraint for constraint in self.constraints if not constraint.hard)
        self._negated = [(objective.metric, objective.direction == "max") for objective in self.objectives]

    @property
    def needed(self) -> tuple[str, ...]:
        """Every metric that a trial must bring, each once, objectives first."""
        names = [objective.metric for objective in self.objectives]
        names += [constraint.metric for constraint in self.constraints]
        return tuple(dict.fromkeys(names))

    def require(self, offered: Mapping[str, Any], where: str) -> None:
        """Refuse objectives and constraints on metrics that no evaluator offers."""
        for metric in self.needed:
            if metric not in offered:
                raise unknown_name("metric", metric, offered, where)

    def score(self, metrics: Mapping[str, float], depth: int = 0) -> Score:
        """The score of a successful trial's metrics at the stage of this number."""
        costs = [-metrics[metric] if negated else metrics[metric] for metric, negated in self._negated]
        if self.soft:
            costs.append(sum(constraint.violation(metrics[constraint.metric]) for constraint in self.soft))
        violation = 0.0
        for constraint in self.hard:
            violation += constraint.violation(metrics[constraint.metric])
        return Score(violation, tuple(costs), depth)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, as run.toml stores it."""
        constraints: dict[str, list[str]] = {}
        for constraint in self.constraints:
            constraints.setdefault(constraint.metric, []).append(str(constraint))
        return {
            "objectives": {objective.metric: objective.direction for objective in self.objectives},
            "constraints": constraints,
        }


def judge(metrics: Mapping[str, Any], needed: Sequence[str]) -> tuple[dict[str, float], str | None]:
    """The metrics as floats, and why they cannot count, or None.

    A needed metric that is missing, None, not a number, NaN or infinite fails the trial; one that nobody needs is
    kept where it is a finite number and dropped where it is not.
    """
    clean: dict[str, float] = {}
    for name in needed:
        if name not in metrics:
            have = ", ".join(sorted(map(str, metrics))) or "none"
            return {}, f"metric {name!r} is missing (there are: {have})"
    for name, value in metrics.items():
        reason = _unusable(value)
        if reason is None:
            clean[str(name)] = float(value)
        elif name in needed:
            return {}, f"metric {name!r} is {reason}"
    return clean, None


def _unusable(value: Any) -> str | None:
    if value is None:
        return "None"
    kind = type(value)
    if kind is not float and kind is not int:
        # NumPy's scalars register as numbers; bool is an int that nobody means as a measurement.
        if isinstance(value, bool) or not hasattr(value, "__float__") or getattr(value, "shape", ()) != ():
            return f"of type {kind.__name__}, expected a number"
        if kind.__module__.partition(".")[0] not in ("numpy", "builtins", "decimal", "fractions"):
            return f"of type {kind.__name__}, expected a number (a plain float or int)"
        if kind.__name__ in ("bool", "bool_"):
            return f"of type {kind.__name__}, expected a number"
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return f"of type {kind.__name__}, expected a number"
    if math.isnan(number):
        return "NaN"
    return None if math.isfinite(number) else "infinite"
