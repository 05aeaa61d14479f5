"""What a mapper minimises, and the judge of many mappings at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.errors import ConfigError, InputError
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.kernels.mapping_cost.cpu import evaluate

GOALS = ("edp", "energy", "cycles")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """[B] each: energy in pJ, cycles, what is minimised (pJ x cycles, pJ or cycles), and how far the mapping is from
    fitting: bits, children and iterations too many or too few, summed; 0 for a mapping that fits."""

    energy_pj: Floats
    cycles: Floats
    value: Floats
    overflow: Floats


def goal_value(goal: str, energy_pj: Floats, cycles: Floats) -> Floats:
    """What is minimised under `goal`."""
    if goal == "edp":
        return energy_pj * cycles
    if goal == "energy":
        return energy_pj
    if goal == "cycles":
        return cycles
    raise ConfigError(f"goal: expected one of {', '.join(GOALS)}, got {goal!r}")


def judge(tables: Tables, mappings: MappingArrays, goal: str) -> Judged:
    """Costs of mappings, whether they fit or not."""
    costs = evaluate(tables, mappings)
    return Judged(costs.energy_pj, costs.cycles, goal_value(goal, costs.energy_pj, costs.cycles), costs.excess)


def nothing_fits(evaluations: int) -> InputError:
    """Every vector fits the memories below the outermost, which may be too small for a layer and its padding."""
    return InputError(
        f"none of {evaluations} mappings fits the outermost memory: it has room for the layer, but not for what tiles "
        "that do not divide it add; give it no size, or a larger one, or allow more evaluations"
    )
