"""The plan that is taken where nobody measured.

The rules are read off a sweep of 1,604 plans over the layers of MinkUNet at width 1.0 on a real scan, on an H200 in
float16 (experiments/results/sparse_notes.md).
"""

from __future__ import annotations

from typing import Any

from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.maps.kernel_map import KernelMap

Tensor = Any
REFERENCE = Plan(dataflow="reference")
MASK_BITS = 31
FEW_ROWS, FEWER_ROWS = 32_768, 12_288
"""Rows up to which wide layers have too few tiles for a GPU, so that ranges of offsets run side by side."""


def default_plan(features: Tensor, weight: Tensor, kernel_map: KernelMap, second_channels: int | None) -> Plan:
    """Plain torch off CUDA devices and for float64; else the implicit GEMM with tiles by channels, rows and offsets."""
    if features.device.type != "cuda" or features.element_size() == 8:
        return REFERENCE
    num_inputs, num_outputs = features.shape[1] + (second_channels or 0), weight.shape[2]
    if kernel_map.volume > 3 * MASK_BITS:
        return Plan(dataflow="unsorted", rows=64, columns=64, depth=32, warps=4, stages=3)
    splits = _made(max(_splits(num_inputs, num_outputs, kernel_map), -(-kernel_map.volume // MASK_BITS)), kernel_map)
    if features.element_size() == 4:
        return Plan(splits=splits, rows=64, columns=64 if num_outputs > 32 else 32, depth=32, warps=4, stages=3)
    depth = 64 if num_inputs % 64 == 0 else 32 if num_inputs > 16 else 16
    if num_outputs <= 32:
        return Plan(splits=splits, rows=64, columns=32, depth=min(depth, 32), warps=4, stages=4)
    if num_outputs <= 64:
        return Plan(splits=splits, rows=64, columns=64, depth=depth, warps=4, stages=4, described=True)
    if num_outputs > 128 and splits > 1:
        rows = 128 if num_inputs > 128 else 64
        return Plan(
            splits=splits, rows=rows, columns=256, depth=depth, warps=8, stages=3, half_partials=True, described=True
        )
    stages = 3 if depth == 64 else 4
    return Plan(
        splits=splits, rows=64, columns=128, depth=depth, warps=4, stages=stages, half_partials=True, described=True
    )


def _made(splits: int, kernel_map: KernelMap) -> int:
    """The number of splits by which the map's rows are sorted already that is nearest; `splits` where they are not:
    another order costs more than the best one saves."""
    made = [key[1] for key in kernel_map.made if isinstance(key, tuple) and key[0] == "sorted"]
    return min(made, key=lambda each: (abs(each - splits), each), default=splits)


def _splits(num_inputs: int, num_outputs: int, kernel_map: KernelMap) -> int:
    if kernel_map.volume < 27 or num_inputs * num_outputs < 64 * 128 or num_outputs < 128:
        return 1
    if kernel_map.capacity_out <= FEWER_ROWS and num_inputs >= 256 and num_outputs >= 256:
        return 3
    return 2 if kernel_map.capacity_out <= FEW_ROWS else 1
