"""What mappings of a layer onto an accelerator cost, many at once: words moved, energy, cycles. Plain arrays;
`coevo.cost_models.accelerator` gives them names and units."""

from coevo.kernels.mapping_cost.reference import Costs, Counts, axis_excess, cost, count, excess_bits, uncovered
from coevo.kernels.mapping_cost.tables import LOOPS, TENSORS, MappingArrays, Tables

__all__ = [
    "LOOPS",
    "TENSORS",
    "Costs",
    "Counts",
    "MappingArrays",
    "Tables",
    "axis_excess",
    "cost",
    "count",
    "excess_bits",
    "uncovered",
]
