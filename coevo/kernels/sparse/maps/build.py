"""Which builder makes what: kernels on a CUDA device, plain torch elsewhere."""

from __future__ import annotations

from typing import Any

from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.maps import reference
from coevo.kernels.sparse.maps.kernel_map import KernelMap, Pairs, SortedRows
from coevo.kernels.sparse.maps.offsets import Triple

Tensor = Any


def kernel_map(inputs: Level, outputs: Level, kernel_size: Triple, stride: Triple, dilation: Triple) -> KernelMap:
    """The map of a convolution from the voxels `inputs` to the voxels `outputs` (`reference.kernel_map`)."""
    if inputs.keys.is_cuda:
        from coevo.kernels.sparse.maps import triton_hash

        return triton_hash.kernel_map(inputs, outputs, kernel_size, stride, dilation)
    return reference.kernel_map(inputs, outputs, kernel_size, stride, dilation)


def inverse_neighbours(forward: KernelMap) -> Tensor:
    """int32 [K, capacity_in]: the output row that meets an input row at offset k, or -1."""
    if forward.neighbours.is_cuda:
        from coevo.kernels.sparse.maps import triton_derived

        return triton_derived.inverse_neighbours(forward)
    return reference.inverse_neighbours(forward)


def sorted_rows(forward: KernelMap, splits: int, width: int) -> SortedRows:
    """Rows with like masks beside each other (`reference.sorted_rows`)."""
    if forward.neighbours.is_cuda:
        from coevo.kernels.sparse.maps import triton_derived

        return triton_derived.sorted_rows(forward, splits, width)
    return reference.sorted_rows(forward, splits, width)


def compacted_pairs(forward: KernelMap) -> Pairs:
    """The pairs of a map, offset after offset."""
    if forward.neighbours.is_cuda:
        from coevo.kernels.sparse.maps import triton_pairs

        return triton_pairs.compacted_pairs(forward)
    return reference.compacted_pairs(forward)
