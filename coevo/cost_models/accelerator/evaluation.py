"""What one mapping costs, with names: the door for people, tests and exports. Searches use the kernels directly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coevo.cost_models.accelerator.assumptions import Assumptions
from coevo.cost_models.accelerator.layer import Layer
from coevo.cost_models.accelerator.mapping import Mapping
from coevo.cost_models.accelerator.setting import tables_of
from coevo.hardware.accelerators import DIMENSIONS, TENSORS, Accelerator
from coevo.kernels.mapping_cost import axis_excess, cost, count, excess_bits, uncovered


@dataclass(frozen=True, slots=True)
class Access:
    """Words of one tensor at one memory, over all its instances, and their energy."""

    reads: int
    writes: int
    energy_pj: float


@dataclass(frozen=True, eq=False, slots=True)
class Evaluation:
    """`accesses[memory, tensor]`; `network_pj[memory]` below each; `parts_cycles` by name of what limits. `misfits`:
    why the mapping is not valid, one sentence each; empty where it is."""

    energy_pj: float
    cycles: float
    latency_ms: float
    edp_js: float
    macs: int
    padded_macs: int
    utilisation: float
    compute_pj: float
    leakage_pj: float
    accesses: dict[tuple[str, str], Access]
    network_pj: dict[str, float]
    parts_cycles: dict[str, float]
    misfits: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.misfits


def evaluate_mapping(
    layer: Layer, accelerator: Accelerator, mapping: Mapping, assumptions: Assumptions | None = None
) -> Evaluation:
    """Counts, energy and time of `mapping`, whether it fits or not.

    Utilisation is true MACs over what all MAC units could do in the cycles taken by the work itself.
    """
    tables = tables_of(layer, accelerator, assumptions or Assumptions())
    arrays = mapping.arrays(accelerator)
    counts = count(tables, arrays)
    costs = cost(tables, counts)
    memories = accelerator.memories
    accesses = {
        (memory.name, tensor): Access(
            int(counts.reads[0, level, position]),
            int(counts.writes[0, level, position]),
            float(costs.memory_pj[0, level, position]),
        )
        for level, memory in enumerate(memories)
        for position, tensor in enumerate(TENSORS)
        if tensor in memory.keeps
    }
    parts = {"compute": float(costs.compute_cycles[0])}
    for level, memory in enumerate(memories):
        parts[memory.name] = float(costs.memory_cycles[0, level])
        parts[f"{memory.name} network"] = float(costs.network_cycles[0, level])
    parts["ramp"] = float(costs.ramp_cycles[0])
    cycles, energy_pj = float(costs.cycles[0]), float(costs.energy_pj[0])
    seconds = cycles / (accelerator.clock_mhz * 1e6)
    return Evaluation(
        energy_pj=energy_pj,
        cycles=cycles,
        latency_ms=seconds * 1e3,
        edp_js=energy_pj * 1e-12 * seconds,
        macs=layer.macs,
        padded_macs=int(counts.macs[0]),
        utilisation=layer.macs / (int(counts.steps[0]) * accelerator.mac_units),
        compute_pj=float(costs.compute_pj[0]),
        leakage_pj=float(costs.leakage_pj[0]),
        accesses=accesses,
        network_pj={memory.name: float(costs.network_pj[0, level].sum()) for level, memory in enumerate(memories)},
        parts_cycles=parts,
        misfits=(
            *_overflows(accelerator, excess_bits(tables, counts)[0]),
            *_crowded(accelerator, mapping, axis_excess(tables, arrays)[0]),
            *_gaps(layer, uncovered(tables, arrays)[0]),
        ),
    )


def _overflows(accelerator: Accelerator, excess: np.ndarray) -> list[str]:
    return [
        f"{memory.name}: {what} exceed {'half of its' if memory.double_buffered else 'its'} size by "
        f"{excess[level, position] / 8:g} bytes" + (" (it is double buffered)" if memory.double_buffered else "")
        for level, memory in enumerate(accelerator.memories)
        for position, what in enumerate((*TENSORS, "the tiles together"))
        if excess[level, position] > 0
    ]


def _crowded(accelerator: Accelerator, mapping: Mapping, excess: np.ndarray) -> list[str]:
    found = []
    for (level, axis), loops, over in zip(accelerator.axes, mapping.spatial, excess, strict=True):
        if over > 0:
            given = " x ".join(f"{name}{bound}" for name, bound in loops)
            found.append(
                f"axis {accelerator.memories[level].name}.{axis.name}: {given} does not fit {axis.size} children that "
                f"take {', '.join(axis.dimensions)}"
            )
    return found


def _gaps(layer: Layer, missing: np.ndarray) -> list[str]:
    return [
        f"loop {name}: its bounds cover {layer.sizes[name] - int(short)} of {layer.sizes[name]}"
        for name, short in zip(DIMENSIONS, missing, strict=True)
        if short > 0
    ]
