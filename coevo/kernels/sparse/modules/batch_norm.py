"""Batch normalisation over the voxels in use, with an added residual and a ReLU in the same pass.

Training reads the features twice and writes them once, forward, where separate operators would make four passes; the
sums have a fixed order, so that gradients and running statistics are the same bytes on every run.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.points.backend import resolve_backend
from coevo.kernels.sparse.tensors import SparseTensor

_CHUNKS = 512
"""Partial sums a channel, at most: four to each multiprocessor of an H200, and one tile of the pass that adds them."""
_MAX_BLOCK_CHANNELS = 64
_TILE = 2048
"""Elements a step; twice as many leave room for half as many programs on a multiprocessor."""
_SETTLING_WARPS = 8


class BatchNorm(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over the rows of a SparseTensor that are in use.

    One voxel, or none, is no error: its variance is 0.
    """

    def forward(self, x: SparseTensor) -> SparseTensor:  # type: ignore[override]
        return normalize(x, self)


def normalize(
    x: SparseTensor, norm: BatchNorm, residual: Tensor | None = None, relu: bool = False, backend: str | None = None
) -> SparseTensor:
    """`norm` of the features, plus `residual` [N, C], and the larger of that and 0 where `relu`."""
    return x.with_feats(normalize_rows(x.feats, x.count, norm, residual, relu, backend))


def normalize_rows(
    features: Tensor,
    count: Tensor,
    norm: nn.BatchNorm1d,
    residual: Tensor | None = None,
    relu: bool = False,
    backend: str | None = None,
) -> Tensor:
    """As `normalize`, for features [N, C] of which the first count (int32 [1], on their device) are in use. Rows from
    there on become zeros.

    Raises:
        InputError: the channels, or the residual's shape, are not the layer's.
    """
    if features.dim() != 2 or features.shape[1] != norm.num_features:
        raise InputError(f"BatchNorm expects features [N, {norm.num_features}], got {tuple(features.shape)}")
    if residual is not None and residual.shape != features.shape:
        raise InputError(f"the residual must be {tuple(features.shape)} as the features, got {tuple(residual.shape)}")
    batch = norm.training or norm.running_mean is None
    momentum = 0.0
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        momentum = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    weight, bias = norm.weight, norm.bias
    if weight is None:
        weight, bias = torch.ones_like(features[0], dtype=torch.float32), torch.zeros_like(features[0]).float()
    tracked = (norm.running_mean, norm.running_var) if norm.running_mean is not None else None
    if resolve_backend(backend, features) == "triton" and features.dtype != torch.float64:
        return _Normalize.apply(  # type: ignore[no-any-return, no-untyped-call]
            features, weight, bias, residual, count, tracked, batch, norm.training, momentum, norm.eps, relu
        )
    return _reference(features, int(count), weight, bias, residual, tracked, batch, norm.training, momentum, norm.eps,
                      relu)  # fmt: skip


def _reference(
    features: Tensor, rows: int, weight: Tensor, bias: Tensor, residual: Tensor | None,
    tracked: Any, batch: bool, training: bool, momentum: float, epsilon: float, relu: bool,
) -> Tensor:  # fmt: skip
    wide = torch.promote_types(features.dtype, torch.float32)
    used = features[:rows].to(wide)
    if batch and rows:
        mean, variance = used.mean(dim=0), used.var(dim=0, unbiased=False)
        if training and tracked is not None:
            with torch.no_grad():
                tracked[0].lerp_(mean.to(tracked[0].dtype), momentum)
                tracked[1].lerp_((variance * (rows / max(rows - 1, 1))).to(tracked[1].dtype), momentum)
    elif batch:
        mean, variance = torch.zeros_like(weight, dtype=wide), torch.ones_like(weight, dtype=wide)
    else:
        mean, variance = tracked[0].to(wide), tracked[1].to(wide)
    found = (used - mean) * torch.rsqrt(variance + epsilon) * weight + bias
    if residual is not None:
        found = found + residual[:rows]
    if relu:
        found = torch.relu(found)
    found = found.to(features.dtype)
    if rows == features.shape[0]:
        return found
    return torch.cat([found, found.new_zeros((features.shape[0] - rows, found.shape[1]))])


def _launch_shape(rows: int, channels: int) -> tuple[int, int, int, int, int]:
    """(channels of a block, blocks of a row, rows of a block, chunks, rows of a chunk)."""
    whole = channels & -channels  # the largest power of two that divides them leaves no lane idle
    block = min(whole if whole >= 16 else max(16, 1 << (channels - 1).bit_length()), _MAX_BLOCK_CHANNELS)
    block_rows = _TILE // block
    chunks = max(1, min(_CHUNKS, -(-rows // block_rows)))
    return block, -(-channels // block), block_rows, chunks, -(-rows // chunks)


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, count: Tensor, tracked: Any,
        batch: bool, training: bool, momentum: float, epsilon: float, relu: bool,
    ) -> Tensor:  # fmt: skip
        from coevo.kernels.sparse.modules import triton_batch_norm as kernels

        features = features.contiguous()
        rows, channels = features.shape
        block, across, block_rows, chunks, chunk_rows = _launch_shape(rows, channels)
        shape = {"BLOCK_C": block}
        out = torch.empty_like(features)
        if batch:
            moments = torch.empty((2, channels), dtype=torch.float32, device=features.device)
            partial = torch.empty((2, chunks, channels), dtype=torch.float32, device=features.device)
            tracks = training and tracked is not None
            mean, variance = tracked if tracks else (moments, moments)
            if rows:
                kernels.moments_kernel[(chunks, across)](
                    features, count, partial, channels, chunk_rows, chunks, BLOCK_R=block_rows, **shape
                )
            kernels.settle_moments_kernel[(-(-channels // 16),)](
                partial, count, moments, mean, variance, momentum, epsilon, channels, chunk_rows, chunks,
                TRACKS=tracks, BLOCK_G=1 << (chunks - 1).bit_length(), BLOCK_C=16, num_warps=_SETTLING_WARPS,
            )  # fmt: skip
        else:
            moments = torch.stack([tracked[0].float(), torch.rsqrt(tracked[1].float() + epsilon)])
        if rows:
            kernels.normalize_kernel[(-(-rows // block_rows), across)](
                features, count, moments, weight, bias,
                features if residual is None else residual.contiguous(), out, rows, channels,
                HAS_RESIDUAL=residual is not None, RELU=relu, BLOCK_R=block_rows, **shape,
            )  # fmt: skip
        ctx.save_for_backward(features, weight, count, moments, out if relu else features)
        ctx.batch, ctx.relu, ctx.residual = batch, relu, None if residual is None else residual.dtype
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        from coevo.kernels.sparse.modules import triton_batch_norm as kernels

        features, weight, count, moments, out = ctx.saved_tensors
        gradient = gradient if gradient.stride(1) == 1 else gradient.contiguous()  # a slice of channels will do
        rows, channels = features.shape
        block, across, block_rows, chunks, chunk_rows = _launch_shape(rows, channels)
        partial = torch.empty((2, chunks, channels), dtype=torch.float32, device=features.device)
        sums = torch.zeros((2, channels), dtype=torch.float32, device=features.device)
        found = torch.empty_like(features)
        residual = None if ctx.residual is None else torch.empty_like(features, dtype=ctx.residual)
        if rows:
            kernels.gradient_sums_kernel[(chunks, across)](
                gradient, features, out, count, moments, partial, gradient.stride(0), channels, chunk_rows, chunks,
                RELU=ctx.relu, BLOCK_R=block_rows, BLOCK_C=block,
            )  # fmt: skip
            kernels.settle_sums_kernel[(-(-channels // 16),)](
                partial, sums, channels, chunks, BLOCK_G=1 << (chunks - 1).bit_length(), BLOCK_C=16,
                num_warps=_SETTLING_WARPS,
            )  # fmt: skip
            kernels.gradient_kernel[(-(-rows // block_rows), across)](
                gradient, features, out, count, moments, sums, weight, found,
                found if residual is None else residual, gradient.stride(0), rows, channels, BATCH=ctx.batch,
                RELU=ctx.relu, HAS_RESIDUAL=residual is not None, BLOCK_R=block_rows, BLOCK_C=block,
            )  # fmt: skip
        along, plain = sums[1].to(weight.dtype), sums[0].to(weight.dtype)
        return (found, along, plain, residual, *[None] * 7)
