"""A layer on an accelerator under stated assumptions, as the plain arrays that kernels take."""

from __future__ import annotations

import math

import numpy as np

from coevo.cost_models.accelerator.assumptions import Assumptions
from coevo.cost_models.accelerator.layer import Layer
from coevo.hardware.accelerators import DIMENSIONS, TENSORS, Accelerator
from coevo.kernels.mapping_cost import Tables


def tables_of(layer: Layer, accelerator: Accelerator, assumptions: Assumptions) -> Tables:
    """The arrays of `Tables`; energies become pJ a word, sizes and bandwidths bits."""
    memories = accelerator.memories
    base = layer.bits or accelerator.bits
    bits = np.array(
        [[float(own or width) for own, width in zip(memory.bits, base, strict=True)] for memory in memories]
    )
    capacity = np.full((len(memories), 4), np.inf)
    for level, memory in enumerate(memories):
        scale = 8.0 / (2.0 if memory.double_buffered else 1.0)
        for position, size in enumerate((*(memory.partition_bytes or (None, None, None)), memory.size_bytes)):
            if size is not None:
                capacity[level, position] = size * scale
    step = np.array([[layer.stride[i], layer.dilation[i]] for i in range(2)], dtype=np.int64)
    divisor = np.gcd(step[:, 0], step[:, 1])
    axes = accelerator.axes
    rate = [
        [math.inf if value is None else value * 8.0 for value in values]
        for values in (
            [None if memory.shared_port else memory.read_bytes_per_cycle for memory in memories],
            [None if memory.shared_port else memory.write_bytes_per_cycle for memory in memories],
            [memory.read_bytes_per_cycle if memory.shared_port else None for memory in memories],
            [memory.network.bytes_per_cycle for memory in memories],
        )
    ]
    leakage_mw = accelerator.mac_units * accelerator.mac_leakage_mw + sum(
        accelerator.instances(level) * memory.leakage_mw for level, memory in enumerate(memories)
    )
    return Tables(
        sizes=np.array([layer.sizes[name] for name in DIMENSIONS], dtype=np.int64),
        step=step,
        window=step // divisor[:, None],
        keeps=np.array([[name in memory.keeps for name in TENSORS] for memory in memories]),
        axis_level=np.array([level for level, _ in axes], dtype=np.int64),
        axis_size=np.array([axis.size for _, axis in axes], dtype=np.int64),
        axis_allowed=np.array([[name in axis.dimensions for name in DIMENSIONS] for _, axis in axes]).reshape(-1, 8),
        multicast=np.array([memory.network.multicast for memory in memories]),
        reduction=np.array([memory.network.reduction for memory in memories]),
        bits=bits,
        read_pj=np.array([memory.read_pj_per_bit for memory in memories]) * bits,
        write_pj=np.array([memory.write_pj_per_bit for memory in memories]) * bits,
        hop_pj=np.array([[memory.network.pj_per_bit] for memory in memories]) * bits,
        capacity_bits=capacity,
        read_bits_per_cycle=np.array(rate[0]),
        write_bits_per_cycle=np.array(rate[1]),
        port_bits_per_cycle=np.array(rate[2]),
        network_bits_per_cycle=np.array(rate[3]),
        leakage_pj_per_cycle=leakage_mw * 1000.0 / accelerator.clock_mhz,
        mac_pj=accelerator.mac_pj,
        **assumptions.as_dict(),
    )
