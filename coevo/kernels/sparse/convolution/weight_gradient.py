"""The weight gradient by compacted pairs, in two stages without atomics: bitwise the same from run to run.

The pairs of every offset are cut in chunks; each chunk's features^T @ gradient is summed by one program and stored in
float32; then each offset's chunks are added in a fixed order. How pairs are cut is settled on the device, by their
number: so long that all chunks are under way at once, or in two rounds where offsets would have too few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
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
LEAST_CHUNK_PAIRS = 256
INTERPRETED_MULTIPROCESSORS = 2
TOGETHER, ADDED = 8, 256
"""Chunks and elements of a step of the second stage."""


@dataclass(frozen=True)
class ProductTile:
    """The first stage's tile of input channels, output channels and pairs, and how many programs a multiprocessor
    holds."""

    inputs: int
    outputs: int
    depth: int
    warps: int
    stages: int
    resident: int


def tile_of(num_inputs: int, num_outputs: int, element_bytes: int) -> ProductTile:
    """By the channels: as large as registers allow, since every tile gathers its rows anew; not below 64 for half
    types, whose warp groups multiply no fewer rows."""
    is_half = element_bytes == 2
    least, most = (64 if is_half and min(num_inputs, num_outputs) >= 32 else 16), 128 if is_half else 64
    inputs = min(most, max(least, triton.next_power_of_2(num_inputs)))
    outputs = min(most, max(least, triton.next_power_of_2(num_outputs)))
    size = inputs * outputs
    resident = 2 if size > 64 * 128 else 3 if size > 64 * 64 else 4 if size > 32 * 64 else 8
    stages = 2 if is_half and min(num_inputs, num_outputs) >= 128 else 3
    return ProductTile(inputs, outputs, 64 if is_half else 32, 8 if size > 64 * 128 else 4, stages, resident)


def weight_gradient(features: Tensor, gradient: Tensor, kernel_map: KernelMap, second: Tensor | None = None) -> Tensor:
    """float32 [K, C_in, C_out]: for each offset, features^T @ gradient over its pairs.

    Args:
        features: [capacity_in, C_in].
        gradient: [capacity_out, C_out], of the output, in the same dtype.
        second: [capacity_in, C_2], in place of features = cat([features, second], 1).
    """
    check_device(features, triton_weight_gradient.INTERPRETED)
    num_first, num_outputs = int(features.shape[1]), int(gradient.shape[1])
    num_inputs = num_first + (0 if second is None else int(second.shape[1]))
    volume = kernel_map.volume
    inputs, outputs = alignment.missing(num_inputs), alignment.missing(num_outputs)
    if inputs or outputs:
        whole = features if second is None else torch.cat([features, second], dim=1)
        wide = weight_gradient(alignment.widened(whole, inputs), alignment.widened(gradient, outputs), kernel_map)
        return wide[:, :num_inputs, :num_outputs]
    shape, device = (volume, num_inputs, num_outputs), features.device
    if not kernel_map.capacity_out or not num_inputs * num_outputs:
        return torch.zeros(shape, dtype=torch.float32, device=device)
    features, second, gradient = _rowwise(features), None if second is None else _rowwise(second), _rowwise(gradient)
    tile, pairs = tile_of(num_inputs, num_outputs, features.element_size()), kernel_map.pairs()
    across = (triton.cdiv(num_inputs, tile.inputs), triton.cdiv(num_outputs, tile.outputs))
    programs = _chunks_wanted(tile.resident * _multiprocessors(device) // (across[0] * across[1]), volume)
    cut = (programs, LEAST_CHUNK_PAIRS)
    meta = {"volume": volume, "padded_volume": triton.next_power_of_2(volume), "depth": tile.depth}
    chunks = min(programs + volume, volume * triton.cdiv(kernel_map.capacity_out, LEAST_CHUNK_PAIRS))
    sums = torch.empty((chunks, num_inputs, num_outputs), dtype=torch.float32, device=device)
    triton_weight_gradient.multiply_chunks[(chunks, *across)](
        features,
        second,
        gradient,
        pairs.inputs,
        pairs.outputs,
        pairs.starts,
        sums,
        features.stride(0),
        0 if second is None else second.stride(0),
        gradient.stride(0),
        num_inputs,
        num_first,
        num_outputs,
        *cut,
        **meta,
        tile_inputs=tile.inputs,
        tile_outputs=tile.outputs,
        precision=precision_of(features),
        stages=tile.stages,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    result, size = torch.empty(shape, dtype=torch.float32, device=device), num_inputs * num_outputs
    triton_weight_gradient.add_chunks[(volume, triton.cdiv(size, ADDED))](
        sums, pairs.starts, result, size, *cut, **meta, together=TOGETHER, tile=ADDED
    )
    return result


def _chunks_wanted(at_once: int, volume: int) -> int:
    """How many chunks the pairs are cut in, give or take `volume`: each offset's last one is half as long as others."""
    rounds = 1 if at_once >= 3 * volume else 2
    return max(rounds * at_once - volume // 2, volume)


def _multiprocessors(device: Any) -> int:
    if device.type != "cuda":
        return INTERPRETED_MULTIPROCESSORS
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _rowwise(tensor: Tensor) -> Tensor:
    """The tensor with its channels side by side."""
    return tensor if tensor.stride(1) == 1 else tensor.contiguous()
