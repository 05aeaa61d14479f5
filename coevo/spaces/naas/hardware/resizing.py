"""What an access costs when a memory is made larger or smaller than the one it was measured at.

Energy a bit grows as a power of the size: bit lines and word lines lengthen, about with its square root in one bank
(CACTI, Wilton and Jouppi 1996), more slowly where wide memories are cut into banks. The exponent follows from the
baseline's own table, by a straight line through the logarithms of its on-chip memories; so a memory of the baseline's
size costs what the baseline's costs. Leakage grows with the size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from coevo.errors import InputError
from coevo.hardware.accelerators import TENSORS, Accelerator

SINGLE_BANK = 0.5  # the exponent where a baseline has on-chip memories of one size alone


def points(accelerator: Accelerator) -> Iterator[tuple[float, float]]:
    """(bytes, pJ a bit read) of every part of every on-chip memory that has a size and an energy."""
    for memory in accelerator.memories[1:]:
        for position, tensor in enumerate(TENSORS):
            part = memory.partition_bytes[position] if memory.partition_bytes else memory.size_bytes
            if tensor in memory.keeps and part and memory.read_pj_per_bit[position] > 0:
                yield float(part), float(memory.read_pj_per_bit[position])


def exponent(known: Iterable[tuple[float, float]]) -> float:
    """The slope of log energy over log size, not below 0: a larger memory is never cheaper to read."""
    pairs = sorted(set(known))
    sizes = np.log([size for size, _ in pairs])
    if len(pairs) < 2 or np.ptp(sizes) == 0:
        return SINGLE_BANK
    slope = float(np.polyfit(sizes, np.log([energy for _, energy in pairs]), 1)[0])
    return max(slope, 0.0)


def factor(bytes_now: float, bytes_before: float, power: float) -> float:
    """How many times an access costs what it did."""
    if bytes_now <= 0 or bytes_before <= 0:
        raise InputError(f"memory sizes must be positive, got {bytes_now:g} and {bytes_before:g} bytes")
    return math.pow(bytes_now / bytes_before, power)
