"""ReLU linear attention in plain torch: what the kernels are held to.

Source: Xie et al., SANA (2024, arXiv:2410.10629), section 2.2; the norm of all channels of queries and keys is that of
SANA-1.5 (2025, arXiv:2501.18427), section 2.1.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.modulated_norm.reference import rms_norm

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "sana") from error

Tensor = Any


def relu_linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    query_weight: Tensor | None,
    key_weight: Tensor | None,
    norm_epsilon: float,
    epsilon: float,
) -> Tensor:
    """[B, N, D]: as `relu_linear_attention`, in float32 or, of float64 inputs, float64, and rounded at the end."""
    batch, tokens, width = query.shape
    made = torch.float64 if query.dtype == torch.float64 else torch.float32
    q, k, v = (each.to(made) for each in (query, key, value))
    if query_weight is not None:
        q = rms_norm(q, query_weight, norm_epsilon)
    if key_weight is not None:
        k = rms_norm(k, key_weight, norm_epsilon)
    q, k, v = (each.reshape(batch, tokens, heads, width // heads).transpose(1, 2) for each in (q, k, v))
    q, k = torch.relu(q), torch.relu(k)
    state = k.transpose(2, 3) @ v  # [B, H, d, d]
    total = k.sum(dim=2, keepdim=True)  # [B, H, 1, d]
    out = (q @ state) / ((q * total).sum(dim=3, keepdim=True) + epsilon)
    return out.transpose(1, 2).reshape(batch, tokens, width).to(query.dtype)
