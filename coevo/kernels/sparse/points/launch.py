"""Launches of the point operators' kernels: their blocks and the checks before a launch."""

from __future__ import annotations

import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.kernels.sparse.points import triton_kernels as kernels
from coevo.kernels.sparse.points.segments import Segments

_MAX_BLOCK_CHANNELS = 128
_TILE = 2048
"""Elements of a tile of a gather: enough loads in flight for a program of four warps."""


def _blocks(channels: int) -> tuple[int, int]:
    """(channels of a block, blocks of a row)."""
    block = min(max(16, 1 << (channels - 1).bit_length()), _MAX_BLOCK_CHANNELS)
    return block, -(-channels // block)


def _tiling(rows: int, channels: int) -> tuple[tuple[int, int], int, int]:
    """(grid, rows of a block, channels of a block) for `_TILE` elements a program."""
    block, across = _blocks(channels)
    block_rows = max(1, _TILE // block)
    return (-(-rows // block_rows), across), block_rows, block


def _check(name: str, features: Tensor, others: dict[str, Tensor]) -> None:
    if not features.is_floating_point() or features.dim() != 2 or features.shape[1] < 1:
        shape = tuple(features.shape)
        raise InputError(f"{name} needs floating-point features [rows, channels], got {features.dtype} {shape}")
    for key, other in others.items():
        if other.device != features.device:
            raise InputError(f"{name}: {key} lies on {other.device}, the features on {features.device}; move one")


def weighted_gather(
    features: Tensor, rows: Tensor, weights: Tensor, added: Tensor | None = None, count: Tensor | None = None
) -> Tensor:
    """As `reference.weighted_gather`, plus `added` [P, C]; rows from `count` (int32 [1]) on are zeros."""
    _check("devoxelize", features, {"rows": rows, "weights": weights})
    features = features.contiguous()
    num_points, each = rows.shape
    channels = features.shape[1]
    out = torch.empty((num_points, channels), dtype=features.dtype, device=features.device)
    grid, block_points, block = _tiling(num_points, channels)
    if num_points:
        kernels.weighted_gather_kernel[grid](
            features, rows, weights, features if added is None else added.contiguous(), out,
            rows if count is None else count, num_points, channels, J=each, HAS_COUNT=count is not None,
            HAS_ADDED=added is not None, WIDE=features.dtype == torch.float64, BLOCK_P=block_points, BLOCK_C=block,
        )  # fmt: skip
    return out


def segment_sum(source: Tensor, segments: Segments, weights: Tensor | None, each: int, mean: bool = False) -> Tensor:
    """[S, C]: as `reference.segment_sum` over `segments`, or the mean over each segment's entries."""
    _check("scatter", source, {"segments": segments.order})
    source = source.contiguous()
    channels, entries = source.shape[1], segments.order.shape[0]
    out = torch.empty((len(segments), channels), dtype=source.dtype, device=source.device)
    block, across = _blocks(channels)
    typical = -(-entries // max(len(segments), 1))
    block_entries = min(max(4, 1 << (2 * typical - 1).bit_length()), 32) if typical else 4
    if len(segments):
        kernels.segment_sum_kernel[(len(segments), across)](
            source, segments.order, segments.starts, source if weights is None else weights, out, channels,
            EACH=each, HAS_WEIGHTS=weights is not None, MEAN=mean, WIDE=source.dtype == torch.float64,
            BLOCK_E=block_entries, BLOCK_C=block, num_warps=max(1, min(4, block_entries * block // 512)),
        )  # fmt: skip
    return out


def gather_mean_gradient(gradient: Tensor, index: Tensor, segments: Segments) -> Tensor:
    """[P, C]: gradient[index] over the lengths of the segments; 0 for an index of -1."""
    gradient = gradient.contiguous()
    rows, channels = index.shape[0], gradient.shape[1]
    out = torch.empty((rows, channels), dtype=gradient.dtype, device=gradient.device)
    grid, block_points, block = _tiling(rows, channels)
    if rows:
        kernels.gather_mean_gradient_kernel[grid](
            gradient, index, segments.starts, out, rows, channels, WIDE=gradient.dtype == torch.float64,
            BLOCK_P=block_points, BLOCK_C=block,
        )  # fmt: skip
    return out


def pool(features: Tensor, neighbours: Tensor, count: Tensor, largest: bool) -> tuple[Tensor, Tensor]:
    """The pooled rows [M, C] and what the gradient needs: int8 [M, C] offsets chosen, or int32 [M] rows counted."""
    _check("pool", features, {"neighbours": neighbours})
    features = features.contiguous()
    volume, capacity = neighbours.shape
    channels, device = features.shape[1], features.device
    out = torch.empty((capacity, channels), dtype=features.dtype, device=device)
    if largest:
        chosen = torch.empty((capacity, channels), dtype=torch.int8, device=device)
    else:
        chosen = torch.empty(capacity, dtype=torch.int32, device=device)
    grid, block_rows, block = _tiling(capacity, channels)
    if capacity:
        kernels.pool_kernel[grid](
            features, neighbours, count, out, chosen, capacity, channels, K=volume, LARGEST=largest,
            BLOCK_M=block_rows, BLOCK_C=block,
        )  # fmt: skip
    return out, chosen


def pool_gradient(gradient: Tensor, outputs: Tensor, count: Tensor, chosen: Tensor, largest: bool) -> Tensor:
    """[N, C]: the gradient of the pooled features; `outputs` [K, N] is the inverse map."""
    gradient = gradient.contiguous()
    volume, capacity = outputs.shape
    channels = gradient.shape[1]
    out = torch.empty((capacity, channels), dtype=gradient.dtype, device=gradient.device)
    grid, block_rows, block = _tiling(capacity, channels)
    if capacity:
        kernels.pool_gradient_kernel[grid](
            gradient, outputs, count, chosen, out, capacity, channels, K=volume, LARGEST=largest,
            BLOCK_M=block_rows, BLOCK_C=block,
        )  # fmt: skip
    return out
