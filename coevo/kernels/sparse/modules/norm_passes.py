"""The passes of batch normalisation over the voxels in use, forward and backward, as launches of kernels.

A ReLU's gradient is taken where the result was above 0: read off the result where it is kept, or computed again from
the values, which are read anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_CHUNKS = 512
"""Partial sums a channel, at most: four to each multiprocessor of an H200, and one tile of the pass that adds them."""
_MAX_BLOCK_CHANNELS = 64
_TILE = 2048
"""Elements a step; twice as many leave room for half as many programs on a multiprocessor."""
_SETTLING_WARPS = 8


@dataclass(frozen=True, eq=False)
class Normed:
    """Values [rows, C], their moments float32 [2, C] (mean and 1 / standard deviation), weight and bias [C]."""

    values: Tensor
    moments: Tensor
    weight: Tensor
    bias: Tensor


def _launch_shape(rows: int, channels: int) -> tuple[int, int, int, int, int]:
    """(channels of a block, blocks of a row, rows of a block, chunks, rows of a chunk)."""
    whole = channels & -channels  # the largest power of two that divides them leaves no lane idle
    block = min(whole if whole >= 16 else max(16, 1 << (channels - 1).bit_length()), _MAX_BLOCK_CHANNELS)
    block_rows = _TILE // block
    chunks = max(1, min(_CHUNKS, -(-rows // block_rows)))
    return block, -(-channels // block), block_rows, chunks, -(-rows // chunks)


def moments_of(
    values: Tensor, count: Tensor, tracked: tuple[Tensor, Tensor] | None, counts: Tensor | None, momentum: float,
    epsilon: float,
) -> Tensor:  # fmt: skip
    """float32 [2, C]: mean and 1 / sqrt(variance + epsilon) of the rows in use. The tracked mean and variance move
    towards them by `momentum`; `counts` (int64 []) becomes one more."""
    from coevo.kernels.sparse.modules import triton_batch_norm as kernels

    rows, channels = values.shape
    block, across, block_rows, chunks, chunk_rows = _launch_shape(rows, channels)
    moments = torch.empty((2, channels), dtype=torch.float32, device=values.device)
    partial = torch.empty((2, chunks, channels), dtype=torch.float32, device=values.device)
    mean, variance = tracked if tracked is not None else (moments, moments)
    if rows:
        kernels.moments_kernel[(chunks, across)](
            values, count, partial, channels, chunk_rows, chunks, BLOCK_R=block_rows, BLOCK_C=block
        )
    kernels.settle_moments_kernel[(-(-channels // 16),)](
        partial, count, moments, mean, variance, counts, momentum, epsilon, channels, chunk_rows, chunks,
        TRACKS=tracked is not None, BLOCK_G=1 << (chunks - 1).bit_length(), BLOCK_C=16, num_warps=_SETTLING_WARPS,
    )  # fmt: skip
    return moments


def normalized(
    normed: Normed, count: Tensor, relu: bool, residual: Tensor | None = None, other: Normed | None = None
) -> Tensor:
    """[rows, C]: the values normalised, plus the residual, plus the other ones normalised; zeros from row count on."""
    from coevo.kernels.sparse.modules import triton_batch_norm as kernels

    rows, channels = normed.values.shape
    block, across, block_rows, _, _ = _launch_shape(rows, channels)
    out = torch.empty_like(normed.values)
    if rows:
        kernels.normalize_kernel[(-(-rows // block_rows), across)](
            normed.values, count, normed.moments, normed.weight, normed.bias,
            None if residual is None else residual.contiguous(), *_parts(other), out, rows, channels, RELU=relu,
            BLOCK_R=block_rows, BLOCK_C=block,
        )  # fmt: skip
    return out


def gradient_sums(
    gradient: Tensor, normed: Normed, count: Tensor, relu: bool, out: Tensor | None, *, again: Tensor | None = None,
    added: Tensor | None = None, other: Normed | None = None,
) -> Tensor:  # fmt: skip
    """float32 [2, C]: sums of the gradient and of it times the normalised values, the gradients of bias and weight; and
    [3, C], with the weight's of the other values.

    Args:
        gradient: [rows, C], rows of any stride, of what `normalized` gave.
        out: what it gave; None computes it from the values (and the residual, `added`), and leaves it in `again` (rows
            in use) where that is given.
    """
    from coevo.kernels.sparse.modules import triton_batch_norm as kernels

    gradient, (rows, channels) = _rowwise(gradient), normed.values.shape
    block, across, block_rows, chunks, chunk_rows = _launch_shape(rows, channels)
    kinds = 2 if other is None else 3
    make = torch.empty if rows else torch.zeros
    sums = make((kinds, channels), dtype=torch.float32, device=gradient.device)
    if rows:
        partial = torch.empty((kinds, chunks, channels), dtype=torch.float32, device=gradient.device)
        values, *line = _parts(other)
        kernels.gradient_sums_kernel[(chunks, across)](
            gradient, normed.values, out, again, added, values, count, normed.moments, normed.weight, normed.bias,
            *line, partial, gradient.stride(0), channels, chunk_rows, chunks, RELU=relu, BLOCK_R=block_rows,
            BLOCK_C=block,
        )  # fmt: skip
        kernels.settle_sums_kernel[(-(-channels // 16), kinds)](
            partial, sums, channels, chunks, BLOCK_G=1 << (chunks - 1).bit_length(), BLOCK_C=16,
            num_warps=_SETTLING_WARPS,
        )  # fmt: skip
    return sums


def gradient_of(
    gradient: Tensor, normed: Normed, count: Tensor, sums: Tensor, relu: bool, out: Tensor | None, *,
    found: Tensor | None = None, added: Tensor | None = None, residual: Tensor | None = None,
    other: Normed | None = None, other_found: Tensor | None = None, batch: bool = True,
) -> Tensor:  # fmt: skip
    """[rows, C], the gradient of the values, in `found` where that is given (which may be the values, or a gradient
    whose rows are contiguous); the residual's is left in `residual`, the other values' in `other_found`."""
    from coevo.kernels.sparse.modules import triton_batch_norm as kernels

    gradient, (rows, channels) = _rowwise(gradient), normed.values.shape
    block, across, block_rows, _, _ = _launch_shape(rows, channels)
    found = torch.empty_like(normed.values) if found is None else found
    values, *line = _parts(other)
    if rows:
        kernels.gradient_kernel[(-(-rows // block_rows), across)](
            gradient, normed.values, out, added, values, count, normed.moments, normed.weight, normed.bias, *line,
            sums, found, residual, other_found, gradient.stride(0), rows, channels, BATCH=batch, RELU=relu,
            BLOCK_R=block_rows, BLOCK_C=block,
        )  # fmt: skip
    return found


def added(one: Tensor, two: Tensor, count: Tensor) -> Tensor:
    """[rows, C]: one + two, slices of channels as they are; rows from count on are not set."""
    from coevo.kernels.sparse.modules import triton_batch_norm as kernels

    one, two, (rows, channels) = _rowwise(one), _rowwise(two), one.shape
    block, across, block_rows, _, _ = _launch_shape(rows, channels)
    out = torch.empty((rows, channels), dtype=one.dtype, device=one.device)
    if rows:
        kernels.add_kernel[(-(-rows // block_rows), across)](
            one, two, out, one.stride(0), two.stride(0), count, channels, BLOCK_R=block_rows, BLOCK_C=block
        )
    return out


def _parts(other: Normed | None) -> tuple[Any, Any, Any, Any]:
    return (None,) * 4 if other is None else (other.values, other.moments, other.weight, other.bias)


def _rowwise(tensor: Tensor) -> Tensor:
    """The tensor with its channels side by side; a slice of channels will do."""
    return tensor if tensor.stride(1) == 1 else tensor.contiguous()
