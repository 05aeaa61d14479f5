"""Batch normalisation over the voxels in use, with an added residual and a ReLU in the same pass.

Training reads the features twice and writes them once, forward, where separate operators would make four passes; the
sums have a fixed order, so that gradients and running statistics are the same bytes on every run.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.backend import resolve_backend
from coevo.kernels.sparse.modules import norm_passes
from coevo.kernels.sparse.tensors import SparseTensor


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
    momentum, counts = 0.0, None
    on_kernels = runs_on_kernels(features, backend)
    if norm.training and norm.num_batches_tracked is not None:
        if on_kernels and norm.momentum is not None and batch:
            momentum, counts = norm.momentum, norm.num_batches_tracked
        else:
            norm.num_batches_tracked.add_(1)
            momentum = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    weight, bias = norm.weight, norm.bias
    if weight is None:
        weight, bias = torch.ones_like(features[0], dtype=torch.float32), torch.zeros_like(features[0]).float()
    tracked = (norm.running_mean, norm.running_var) if norm.running_mean is not None else None
    if on_kernels:
        return _Normalize.apply(  # type: ignore[no-any-return, no-untyped-call]
            features, weight, bias, residual, count, tracked, counts, batch, norm.training, momentum, norm.eps, relu
        )
    return _reference(features, int(count), weight, bias, residual, tracked, batch, norm.training, momentum, norm.eps,
                      relu)  # fmt: skip


def runs_on_kernels(features: Tensor, backend: str | None = None) -> bool:
    """Whether the kernels normalise these features."""
    return resolve_backend(backend, features) == "triton" and features.dtype != torch.float64


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


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, count: Tensor, tracked: Any,
        counts: Tensor | None, batch: bool, training: bool, momentum: float, epsilon: float, relu: bool,
    ) -> Tensor:  # fmt: skip
        features = features.contiguous()
        if batch:
            kept = tracked if training else None
            moments = norm_passes.moments_of(features, count, kept, counts, momentum, epsilon)
        else:
            moments = torch.stack([tracked[0].float(), torch.rsqrt(tracked[1].float() + epsilon)])
        out = norm_passes.normalized(norm_passes.Normed(features, moments, weight, bias), count, relu, residual)
        kept_out = out if relu and residual is not None else None
        ctx.save_for_backward(features, weight, bias, count, moments, kept_out)
        ctx.batch, ctx.relu, ctx.residual = batch, relu, None if residual is None else residual.dtype
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        features, weight, bias, count, moments, out = ctx.saved_tensors
        normed = norm_passes.Normed(features, moments, weight, bias)
        sums = norm_passes.gradient_sums(gradient, normed, count, ctx.relu, out)
        residual = None if ctx.residual is None else torch.empty_like(features, dtype=ctx.residual)
        found = norm_passes.gradient_of(
            gradient, normed, count, sums, ctx.relu, out, residual=residual, batch=ctx.batch
        )
        return (found, sums[1].to(weight.dtype), sums[0].to(bias.dtype), residual, *[None] * 8)
