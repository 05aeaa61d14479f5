"""ReLU linear attention with gradients: the kernels on a CUDA device, plain torch elsewhere."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.backend import resolve_backend
from coevo.kernels.linear_attention import reference

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "sana") from error

Tensor = Any
MAX_HEAD_CHANNELS = 128
MAX_SINGLE_HEAD_CHANNELS = 64
"""In float32, whose products need twice the shared memory; wider heads are left to plain torch."""


def relu_linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    *,
    query_weight: Tensor | None = None,
    key_weight: Tensor | None = None,
    norm_epsilon: float = 1e-5,
    epsilon: float = 1e-15,
    backend: str | None = None,
) -> Tensor:
    """Of every head: out_n = sum_m relu(q_n).relu(k_m) v_m / (sum_m relu(q_n).relu(k_m) + epsilon).

    Args:
        query, key, value: [B, N, D], float16, bfloat16, float32 (in heads of over 64 channels by plain torch) or
            float64 (always by plain torch), one dtype; rows may have any stride, so that slices of one product
            [B, N, 3 D] serve as they are. A head's channels lie side by side.
        heads: of D / heads channels each, at most 128.
        query_weight, key_weight: [D], weights of an RMS norm over all D channels of the queries and of the keys before
            the heads are told apart (SANA-1.5); both or neither.
        norm_epsilon: added to the mean square under the norm's root.
        epsilon: added to the denominator. In the kernels it is added before the query's norm, which cancels out.
        backend: "triton", "reference", or None: the kernels for tensors on a CUDA device.

    Returns:
        [B, N, D] in the query's dtype; sums are float32. Gradients for all tensors. Results and gradients are bitwise
        the same from run to run.

    Raises:
        InputError: shapes, dtypes or devices that do not fit together.
    """
    _check(query, key, value, heads, query_weight, key_weight)
    channels = query.shape[2] // heads
    plain = query.dtype == torch.float64 or (query.dtype == torch.float32 and channels > MAX_SINGLE_HEAD_CHANNELS)
    if resolve_backend(backend, query) == "reference" or plain:
        return reference.relu_linear_attention(
            query, key, value, heads, query_weight, key_weight, norm_epsilon, epsilon
        )
    from coevo.kernels.linear_attention.autograd import LinearAttention

    if channels > MAX_HEAD_CHANNELS:
        raise InputError(
            f"linear attention's kernels take heads of at most {MAX_HEAD_CHANNELS} channels, got "
            f"{query.shape[2]} channels in {heads} heads; take more heads or backend='reference'"
        )
    result: Tensor = LinearAttention.apply(query, key, value, query_weight, key_weight, heads, norm_epsilon, epsilon)  # type: ignore[no-untyped-call]
    return result


def _check(query: Tensor, key: Tensor, value: Tensor, heads: int, *weights: Tensor | None) -> None:
    if query.dim() != 3 or not query.is_floating_point():
        raise InputError(f"linear attention needs float tensors [B, N, D], got {query.dtype} {tuple(query.shape)}")
    for name, other in (("key", key), ("value", value)):
        if other.shape != query.shape or other.dtype != query.dtype or other.device != query.device:
            raise InputError(
                f"linear attention: {name} is {other.dtype} {tuple(other.shape)} on {other.device}, the query "
                f"{query.dtype} {tuple(query.shape)} on {query.device}; they must be alike"
            )
    width = query.shape[2]
    if heads < 1 or width % heads:
        raise InputError(f"linear attention: {heads} heads do not divide {width} channels")
    if (weights[0] is None) != (weights[1] is None):
        raise InputError("linear attention: give query_weight and key_weight, or neither")
    for weight in weights:
        if weight is not None and (tuple(weight.shape) != (width,) or weight.device != query.device):
            raise InputError(
                f"linear attention: weights of the norm must be [{width}] on {query.device}, got "
                f"{tuple(weight.shape)} on {weight.device}"
            )
