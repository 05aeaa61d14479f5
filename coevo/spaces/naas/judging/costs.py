"""What a whole network costs: its layers one after another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coevo.hardware.accelerators import Accelerator


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """One network on one chip."""

    energy_pj: float
    cycles: float
    clock_mhz: float

    @property
    def latency_ms(self) -> float:
        return self.cycles / self.clock_mhz / 1e3

    @property
    def edp_js(self) -> float:
        return self.energy_pj * 1e-12 * self.latency_ms * 1e-3


def total(chip: Accelerator, repeats: Sequence[int], found: Sequence[Mapping[str, Any]]) -> NetworkCost:
    """Each layer as often as the network has it; `found` has energy_pj and cycles of each."""
    energy = math.fsum(count * entry["energy_pj"] for count, entry in zip(repeats, found, strict=True))
    cycles = math.fsum(count * entry["cycles"] for count, entry in zip(repeats, found, strict=True))
    return NetworkCost(energy, cycles, chip.clock_mhz)


def geometric_mean(values: Iterable[float]) -> float:
    """Of positive numbers."""
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs))
