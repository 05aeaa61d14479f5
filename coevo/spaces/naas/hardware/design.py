"""What the outer search chooses: the array, which loops run along it, and the sizes of what is on the chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class HardwareDesign:
    """`axes`: the array's (loops, size), the outermost first; `sizes_bytes`: of one instance of each on-chip memory,
    by `memory` or, where it is partitioned, by `memory.tensor`; `network_bytes_per_cycle`: into the array, of its
    network or the memory above it; None where neither has a limit."""

    axes: tuple[tuple[tuple[str, ...], int], ...]
    sizes_bytes: Mapping[str, int]
    network_bytes_per_cycle: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "axes": [["".join(loops), size] for loops, size in self.axes],
            "sizes_bytes": dict(self.sizes_bytes),
            "network_bytes_per_cycle": self.network_bytes_per_cycle,
        }

    @property
    def children(self) -> int:
        """How many the array holds."""
        total = 1
        for _, size in self.axes:
            total *= size
        return total
