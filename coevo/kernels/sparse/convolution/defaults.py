"""The plan that is taken where nobody measured.

The rules are read off sweeps of 2,600 plans over the layers of MinkUNet at width 1.0 on a real scan, on an H200 in
float16 (experiments/results/sparse_notes.md).
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.maps.kernel_map import MASK_BITS, KernelMap

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "cuda") from error

Tensor = Any
REFERENCE = Plan(dataflow="reference")
FEW_ROWS, FEWER_ROWS = 32_768, 12_288
"""Rows up to which wide layers have too few tiles for a GPU, so that ranges of offsets run side by side."""


def default_plan(features: Tensor, weight: Tensor, kernel_map: KernelMap, second_channels: int | None) -> Plan:
    """Plain torch off CUDA devices and for float64; else the implicit GEMM with tiles by channels, rows and offsets.
    Orders of rows that the map has already are preferred."""
    if not features.is_cuda or features.element_size() == 8:
        return REFERENCE
    num_inputs, num_outputs = features.shape[1] + (second_channels or 0), weight.shape[2]
    least = -(-kernel_map.volume // MASK_BITS)
    if least > 3 and ("sorted", least) not in kernel_map.made:
        return Plan(dataflow="unsorted", rows=64, columns=64, depth=32, warps=4, stages=3, described=True)
    splits = _made(max(least, _splits(num_inputs, num_outputs, kernel_map)), kernel_map)
    is_wide = features.element_size() == 4
    if is_wide:
        tile = _float_tile(num_outputs, torch.get_float32_matmul_precision() == "highest")
    else:
        tile = _half_tile(num_inputs, num_outputs, splits, kernel_map.volume)
    return Plan.of_tile(tile, splits, kernel_map.volume)


def plan_of_any_width(features: Tensor) -> Plan:
    """One tile for all channels, for networks whose widths change from call to call: a tile by channels would compile
    kernels at every one of a supernet's updates, seconds each. Plain torch where `default_plan` takes it."""
    if not features.is_cuda or features.element_size() == 8:
        return REFERENCE
    return Plan(rows=64, columns=64, depth=32, warps=4, stages=3 if features.element_size() == 4 else 4, fixed=True)


_Tile = tuple[int, int, int, int, int, int, int | None]


def _float_tile(num_outputs: int, is_exact: bool) -> _Tile:
    if is_exact:  # without tensor cores, larger tiles do not fit the registers
        return (64, 32, 16, 0, 4, 3, None)
    return (64, 64 if num_outputs > 32 else 32, 32, 0, 4, 3, None)


def _half_tile(num_inputs: int, num_outputs: int, splits: int, volume: int) -> _Tile:
    """(rows, columns, depth, extra, warps, stages, registers) for float16 and bfloat16."""
    by_64 = num_inputs % 64 == 0
    if num_outputs <= 32:
        return (64, 32, 16, 0, 4, 4, None) if num_inputs <= 16 else (64, 32, 32, 0, 4, 3, None)
    if num_outputs <= 64:
        return (64, 64, 64 if by_64 else 32, 0, 4, 4 if volume >= 27 else 3, None)
    if num_outputs <= 128 or volume < 27:
        if by_64:
            return (64, 128, 64, 0, 4, 3, 128 if splits > 1 or volume < 27 else None)
        if num_inputs % 96 == 0:
            return (64, 128, 64, 32, 4, 2, None)
        return (64, 128, 32, 0, 4, 4, None)
    if splits > 2 or not by_64:
        return (64, 256, 32, 0, 4, 4, None)
    return (128, 256, 64, 0, 8, 4, None)


def _made(splits: int, kernel_map: KernelMap) -> int:
    """The number of splits by which the map's rows are sorted already that is nearest; `splits` where they are not:
    another order costs more than the best one saves."""
    made = [key[1] for key in kernel_map.made if isinstance(key, tuple) and key[0] == "sorted"]
    return min(made, key=lambda each: (abs(each - splits), each), default=splits)


def _splits(num_inputs: int, num_outputs: int, kernel_map: KernelMap) -> int:
    if kernel_map.volume < 27 or num_inputs * num_outputs < 64 * 128 or num_outputs < 128:
        return 1
    if kernel_map.capacity_out <= FEWER_ROWS and num_outputs >= 256:
        return 3
    return 2 if kernel_map.capacity_out <= FEW_ROWS else 1
