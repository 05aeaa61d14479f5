"""What the mapper answers: a mapping, what it costs, and how far it can be from the best."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.cost_models.accelerator import Mapping
from coevo.cost_models.accelerator.bounds import Certificate

CLOSED = 1e-9
"""Relative difference below which a bound is reached: bounds are sums of rounded logarithms."""


@dataclass(frozen=True, slots=True)
class MappedLayer:
    """`evaluations`: how many mappings were judged for it. `bounds` is None where none were asked for.

    `goal`: what was minimised; `optimal` says whether the gap of that is zero.
    """

    mapping: Mapping
    energy_pj: float
    cycles: float
    latency_ms: float
    edp_js: float
    evaluations: int
    goal: str
    bounds: Certificate | None

    @property
    def gaps(self) -> dict[str, float] | None:
        """By how much, relatively, this mapping's energy, cycles and energy-delay product exceed their bounds. The
        bounds are apart: where the product is minimised, energy and cycles need not reach theirs."""
        if self.bounds is None:
            return None
        pairs = {
            "energy": (self.energy_pj, self.bounds.energy_pj),
            "cycles": (self.cycles, self.bounds.cycles),
            "edp": (self.edp_js, self.bounds.edp_js),
        }
        gaps = {name: value / bound - 1.0 for name, (value, bound) in pairs.items()}
        return {name: 0.0 if gap < CLOSED else gap for name, gap in gaps.items()}

    @property
    def optimal(self) -> bool:
        """Nothing in the declared space is better: the gap of what was minimised is zero."""
        gaps = self.gaps
        return gaps is not None and gaps[self.goal] == 0.0
