"""The cheapest bound: every word crosses every boundary once, and every MAC happens.

It is loose where a buffer is small. Energy and cycles are bounded apart; the product of the two bounds holds for the
energy-delay product.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from coevo.cost_models.accelerator.bounds.certificate import Certificate
from coevo.kernels.mapping_cost import Tables
from coevo.kernels.mapping_cost.footprint import footprint
from coevo.kernels.mapping_cost.tables import INPUTS, OUTPUTS, RELEVANT, TENSORS, R, S, X, Y

WINDOW = np.isin(np.arange(8), (Y, X, R, S))


def compulsory_bounds(
    tables: Tables, clock_mhz: float, outermost_pj: float = 0.0, outermost_cycles: float = 0.0, how: str = "compulsory"
) -> Certificate:
    """Bounds of energy, cycles and energy-delay product under the assumptions in `tables`. What is known of the
    outermost memory's energy and time by other means (curve.py) takes the place of what is compulsory there, if it is
    more."""
    levels = tables.levels
    macs = math.prod(int(size) for size in tables.sizes)
    words = [float(footprint(tables, tensor, tables.sizes)) for tensor in range(TENSORS)]
    reads, writes, delivered = (np.zeros((levels, TENSORS)) for _ in range(3))
    instances = np.ones(levels + 1)
    for axis, level in enumerate(tables.axis_level):
        instances[level + 1 :] *= tables.axis_size[axis]
    for tensor in range(TENSORS):
        chain = [*np.flatnonzero(tables.keeps[:, tensor]), levels]
        for upper, lower in pairwise(chain):
            last = lower == levels
            # Above the MAC units every MAC needs its own word, but for those that share one on the way.
            moved = max(words[tensor], macs / _sharing(tables, tensor, upper)) if last else words[tensor]
            for network in range(upper, lower):
                delivered[network, tensor] = max(
                    words[tensor], macs / _sharing(tables, tensor, network + 1) if last else 0.0
                )
            if tensor != OUTPUTS:
                reads[upper, tensor] += moved
                if not last:
                    writes[lower, tensor] += words[tensor]
                continue
            writes[upper, tensor] += moved
            if not last and tables.charge_drain:
                reads[lower, tensor] += words[tensor]
    read_bits, written_bits = (reads * tables.bits).sum(axis=1), (writes * tables.bits).sum(axis=1)
    memory_cycles = np.maximum(
        np.maximum(read_bits / tables.read_bits_per_cycle, written_bits / tables.write_bits_per_cycle),
        (read_bits + written_bits) / tables.port_bits_per_cycle,
    )
    cycles = max(
        float(math.ceil(macs / instances[levels])),
        float((memory_cycles / instances[:levels]).max()),
        outermost_cycles,
    )
    memory_pj = (reads * tables.read_pj + writes * tables.write_pj).sum(axis=1)
    memory_pj[0] = max(memory_pj[0], outermost_pj)
    energy_pj = (
        macs * tables.mac_pj
        + float(memory_pj.sum())
        + float((delivered * tables.hop_pj).sum())
        + cycles * tables.leakage_pj_per_cycle
    )
    return Certificate(
        energy_pj,
        cycles,
        energy_pj * 1e-12 * cycles / (clock_mhz * 1e6),
        dict.fromkeys(("energy", "cycles", "edp"), how),
    )


def _sharing(tables: Tables, tensor: int, from_level: int) -> float:
    """How many MACs at most one word serves on its way down from memory `from_level`."""
    combines = tables.reduction if tensor == OUTPUTS else tables.multicast
    sharing = 1.0
    for axis, level in enumerate(tables.axis_level):
        if level < from_level or not combines[level]:
            continue
        shared = ~RELEVANT[tensor]
        if tensor == INPUTS and tables.halo_merge and level == tables.levels - 1:
            shared = shared | WINDOW  # MAC units of one network share rows of the input
        useful = tables.axis_allowed[axis] & shared
        if useful.any():
            sharing *= min(float(tables.axis_size[axis]), float(tables.sizes[useful].prod()))
    return sharing
