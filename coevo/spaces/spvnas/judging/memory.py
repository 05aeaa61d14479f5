"""Memory of a network at inference, in closed form."""

from __future__ import annotations

from coevo.kernels.sparse.shape import STAGES, UNetShape
from coevo.spaces.spvnas.network.macs import MapSizes, parameters_of

OFFSETS = 27
MIB = 2**20


def memory_mib(design: UNetShape, sizes: MapSizes, bytes_per_number: int = 2) -> float:
    """Weights, the 3x3x3 maps of all levels (int32), what is joined on the way up, and the widest step between.

    It leaves out what the allocator and a captured graph keep beside; `peak_memory_mib` measures those.
    """
    rows = sizes.rows
    joined = sum(
        rows[2 * STAGES - 1 - stage] * (design.transitions[stage] + design.skip(stage))
        for stage in range(STAGES, 2 * STAGES)
    )
    steps = [2 * rows[0] * design.widths[0]]
    for stage in range(2 * STAGES):
        level = stage + 1 if stage < STAGES else 2 * STAGES - 1 - stage
        inputs = design.transitions[stage] + (design.skip(stage) if stage >= STAGES else 0)
        for middle in design.middles[stage]:
            steps.append(rows[level] * (inputs + middle + design.widths[stage + 1]))
            inputs = design.widths[stage + 1]
    maps = 4 * OFFSETS * sum(rows)
    return (bytes_per_number * (parameters_of(design) + joined + max(steps)) + maps) / MIB
