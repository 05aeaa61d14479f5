"""The weight gradient by compacted pairs, in two stages without atomics: bitwise the same from run to run.

The pairs of every offset are cut in chunks; each chunk's features^T @ gradient is summed by one program and stored in
float32; then each offset's chunks are added in their order. How pairs are cut depends on the map's capacity alone.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.convolution import alignment, triton_weight_gradient
from coevo.kernels.sparse.convolution.implicit_gemm import precision_of
from coevo.kernels.sparse.convolution.operands import check_device
from coevo.kernels.sparse.maps.kernel_map import KernelMap

try:
    import torch
    import triton
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
LEAST_CHUNK_PAIRS = 2048
MOST_CHUNKS_AN_OFFSET = 64
ADDED = 1024
"""Elements that a program of the second stage adds."""


def chunk_pairs(capacity: int) -> int:
    """Pairs a chunk: a power of two, such that an offset has at most 64 chunks and no chunk is tiny."""
    return max(LEAST_CHUNK_PAIRS, int(triton.next_power_of_2(-(-capacity // MOST_CHUNKS_AN_OFFSET))))


def weight_gradient(features: Tensor, gradient: Tensor, kernel_map: KernelMap) -> Tensor:
    """float32 [K, C_in, C_out]: for each offset, features^T @ gradient over its pairs.

    Args:
        features: [capacity_in, C_in].
        gradient: [capacity_out, C_out], of the output, in the same dtype.
    """
    check_device(features, triton_weight_gradient.INTERPRETED)
    volume, num_inputs, num_outputs = kernel_map.volume, int(features.shape[1]), int(gradient.shape[1])
    inputs, outputs = alignment.missing(num_inputs), alignment.missing(num_outputs)
    if inputs or outputs:
        wide = weight_gradient(alignment.widened(features, inputs), alignment.widened(gradient, outputs), kernel_map)
        return wide[:, :num_inputs, :num_outputs]
    result = torch.zeros((volume, num_inputs, num_outputs), dtype=torch.float32, device=features.device)
    if not kernel_map.capacity_out or not result.numel():
        return result
    pairs, capacity = kernel_map.pairs(), kernel_map.capacity_out
    length = chunk_pairs(capacity)
    chunks = volume * triton.cdiv(capacity, length)
    sums = torch.empty((chunks, num_inputs, num_outputs), dtype=torch.float32, device=features.device)
    tile_inputs = min(128 if features.element_size() == 2 else 64, max(16, triton.next_power_of_2(num_inputs)))
    tile_outputs = min(128 if features.element_size() == 2 else 64, max(16, triton.next_power_of_2(num_outputs)))
    padded_volume = triton.next_power_of_2(volume)
    features = features if features.stride(1) == 1 else features.contiguous()
    gradient = gradient if gradient.stride(1) == 1 else gradient.contiguous()
    grid = (chunks, triton.cdiv(num_inputs, tile_inputs), triton.cdiv(num_outputs, tile_outputs))
    triton_weight_gradient.multiply_chunks[grid](
        features,
        gradient,
        pairs.inputs,
        pairs.outputs,
        pairs.starts,
        sums,
        features.stride(0),
        gradient.stride(0),
        num_inputs,
        num_outputs,
        length,
        volume=volume,
        padded_volume=padded_volume,
        tile_inputs=tile_inputs,
        tile_outputs=tile_outputs,
        depth=64 if features.element_size() == 2 else 32,
        precision=precision_of(features),
        stages=3,
        num_warps=8 if tile_inputs * tile_outputs > 64 * 128 else 4,
        num_stages=3,
    )
    size = num_inputs * num_outputs
    triton_weight_gradient.add_chunks[(volume, triton.cdiv(size, ADDED))](
        sums, pairs.starts, result, size, length, volume=volume, padded_volume=padded_volume, tile=ADDED
    )
    return result
