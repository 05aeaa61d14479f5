"""The operations of a block that have fused kernels, each called through here and nowhere else.

The plain expressions have the arithmetic of diffusers' SanaTransformer2DModel, roundings included.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

LINEAR_ATTENTION_EPS = 1e-15
NORM_EPS = 1e-6


def relu_linear_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """ReLU linear attention (Sana 3.2): with phi = ReLU, out_n = phi(q_n) S / (phi(q_n) z), where S is the sum over the
    tokens of phi(k) v^T and z that of phi(k). Sums and quotient are in float32, or in float64 for such inputs, under
    autocast too: in half precision they overflow within a few hundred tokens.

    Args:
        query, key, value: [B, N, heads, head_dim].

    Returns:
        [B, N, heads, head_dim] in the inputs' dtype.
    """
    with torch.autocast(query.device.type, enabled=False):
        wide = torch.promote_types(query.dtype, torch.float32)
        q = F.relu(query).permute(0, 2, 3, 1).to(wide)
        k = F.relu(key).permute(0, 2, 1, 3).to(wide)
        v = F.pad(value.permute(0, 2, 3, 1).to(wide), (0, 0, 0, 1), value=1.0)
        sums = torch.matmul(torch.matmul(v, k), q)
        out = sums[:, :, :-1] / (sums[:, :, -1:] + LINEAR_ATTENTION_EPS)
        return out.permute(0, 3, 1, 2).to(value.dtype)


def glu_convolution(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The inside of the Mix-FFN (Sana 3.2): SiLU, depthwise 3x3 convolution, and one half of the channels times the
    SiLU of the other.

    Args:
        hidden: [B, H, W, 2h].
        weight: [2h, 1, 3, 3].
        bias: [2h].

    Returns:
        [B, H, W, h].
    """
    images = F.conv2d(F.silu(hidden).permute(0, 3, 1, 2), weight, bias, padding=1, groups=weight.shape[0])
    values, gate = images.permute(0, 2, 3, 1).chunk(2, dim=-1)
    return values * F.silu(gate)


def modulated_norm(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """LayerNorm(x) (1 + scale) + shift, the norm without weights of its own.

    Args:
        x: [B, N, D].
        scale, shift: [B, 1, D].
    """
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPS) * (1 + scale) + shift


def gated_residual(x: torch.Tensor, gate: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
    """x + gate * update; x and update [B, N, D], gate [B, 1, D]."""
    return x + gate * update
