"""The operations of a block that have fused kernels, each called through here and nowhere else.

`fused=False` has the arithmetic of diffusers' SanaTransformer2DModel, roundings included. `fused=True` is
`coevo.kernels`: float32 inside and rounded once, Triton on CUDA devices and plain torch elsewhere.
"""

from __future__ import annotations

import contextlib

import torch
import torch.nn.functional as F

from coevo.kernels import glu_convolution as glu_kernel
from coevo.kernels import linear_attention as attention_kernel
from coevo.kernels import modulated_norm as norm_kernel

ATTENTION_EPSILON = 1e-15
QK_NORM_EPSILON = 1e-5
NORM_EPSILON = 1e-6


def rms_norm(x: torch.Tensor, weight: torch.Tensor, *, fused: bool = False) -> torch.Tensor:
    """x / sqrt(mean(x^2) + 1e-5) * weight over the last dimension of x [B, N, D], the mean in float32."""
    if fused:
        fast: torch.Tensor = norm_kernel.rms_norm(x, weight, epsilon=QK_NORM_EPSILON)
        return fast
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    normed = x * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + QK_NORM_EPSILON)
    if weight.dtype in (torch.float16, torch.bfloat16):
        normed = normed.to(weight.dtype)
    return normed * weight


def linear_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    heads: int,
    weights: tuple[torch.Tensor, torch.Tensor] | None,
    *,
    fused: bool = False,
) -> torch.Tensor:
    """ReLU linear attention (Sana 3.2): with phi = ReLU, out_n = phi(q_n) S / (phi(q_n) z), where S is the sum over the
    tokens of phi(k) v^T and z that of phi(k). Sums and quotient are in float32, or in float64 for such inputs, under
    autocast too: in half precision they overflow within a few hundred tokens.

    Args:
        query, key, value: [B, N, D], a head's channels side by side.
        heads: how many.
        weights: [D] each, of the RMS norms over all channels of queries and keys; None where the model has none.
        fused: by the kernels.

    Returns:
        [B, N, D] in the value's dtype.
    """
    if fused:
        query_weight, key_weight = (None, None) if weights is None else weights
        fast: torch.Tensor = attention_kernel.relu_linear_attention(
            query, key, value, heads, query_weight=query_weight, key_weight=key_weight,
            norm_epsilon=QK_NORM_EPSILON, epsilon=ATTENTION_EPSILON,
        )  # fmt: skip
        return fast
    if weights is not None:
        query, key = rms_norm(query, weights[0]), rms_norm(key, weights[1])
    query, key, rows = (each.reshape(*each.shape[:2], heads, -1) for each in (query, key, value))
    with _without_autocast(query.device.type):
        wide = torch.promote_types(query.dtype, torch.float32)
        q = F.relu(query).permute(0, 2, 3, 1).to(wide)
        k = F.relu(key).permute(0, 2, 1, 3).to(wide)
        v = F.pad(rows.permute(0, 2, 3, 1).to(wide), (0, 0, 0, 1), value=1.0)
        sums = torch.matmul(torch.matmul(v, k), q)
        out = sums[:, :, :-1] / (sums[:, :, -1:] + ATTENTION_EPSILON)
        return out.permute(0, 3, 1, 2).flatten(2).to(value.dtype)


def glu_convolution(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, *, fused: bool = False
) -> torch.Tensor:
    """The inside of the Mix-FFN (Sana 3.2): SiLU, depthwise 3x3 convolution, and one half of the channels times the
    SiLU of the other.

    Args:
        hidden: [B, H, W, 2h].
        weight: [2h, 1, 3, 3].
        bias: [2h].
        fused: by the kernels.

    Returns:
        [B, H, W, h].
    """
    if fused:
        fast: torch.Tensor = glu_kernel.glu_convolution(hidden, weight, bias)
        return fast
    images = F.conv2d(F.silu(hidden).permute(0, 3, 1, 2), weight, bias, padding=1, groups=weight.shape[0])
    values, gate = images.permute(0, 2, 3, 1).chunk(2, dim=-1)
    return values * F.silu(gate)


def modulated_norm(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, fused: bool = False) -> torch.Tensor:
    """LayerNorm(x) (1 + scale) + shift, the norm without weights of its own.

    Args:
        x: [B, N, D].
        scale, shift: [B, 1, D].
        fused: by the kernels.
    """
    if fused:
        fast: torch.Tensor = norm_kernel.modulated_norm(x, scale[:, 0], shift[:, 0], epsilon=NORM_EPSILON)
        return fast
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPSILON) * (1 + scale) + shift


def gated_residual(x: torch.Tensor, gate: torch.Tensor, update: torch.Tensor, *, fused: bool = False) -> torch.Tensor:
    """x + gate * update; x and update [B, N, D], gate [B, 1, D]."""
    if fused:
        fast: torch.Tensor = norm_kernel.gated_residual(x, update, gate[:, 0])
        return fast
    return x + gate * update


def residual_norm(
    x: torch.Tensor,
    update: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    gate: torch.Tensor | None = None,
    *,
    fused: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(x + gate * update, its modulated norm); shapes as of the other two, no gate is a gate of 1."""
    if fused:
        fast: tuple[torch.Tensor, torch.Tensor] = norm_kernel.gated_residual_norm(
            x, update, None if gate is None else gate[:, 0], scale[:, 0], shift[:, 0], epsilon=NORM_EPSILON
        )
        return fast
    x = update + x if gate is None else x + gate * update
    return x, modulated_norm(x, scale, shift)


def _without_autocast(device_type: str) -> contextlib.AbstractContextManager[object]:
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()  # the meta device has none
