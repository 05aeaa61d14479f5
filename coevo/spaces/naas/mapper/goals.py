"""What a mapper minimises, and the judge of many mappings at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.errors import ConfigError
from coevo.kernels.mapping_cost import MappingArrays, Tables, axis_excess, cost, count, excess_bits, uncovered

GOALS = ("edp", "energy", "cycles")
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """[B] each: energy in pJ, cycles, what is minimised (pJ x cycles, pJ or cycles), and by how much the tiles exceed
    the memories, relative to their sizes, summed; 0 for a mapping that fits."""

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
    counts = count(tables, mappings)
    costs = cost(tables, counts)
    over = excess_bits(tables, counts) / np.where(np.isinf(tables.capacity_bits), 1.0, tables.capacity_bits)
    broken = axis_excess(tables, mappings).sum(axis=1) + uncovered(tables, mappings).sum(axis=1)
    return Judged(
        costs.energy_pj, costs.cycles, goal_value(goal, costs.energy_pj, costs.cycles), over.sum(axis=(1, 2)) + broken
    )
