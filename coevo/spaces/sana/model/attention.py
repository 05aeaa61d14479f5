"""Self-attention over an image's tokens, linear or softmax, and cross-attention over a text's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from coevo.spaces.sana.model import operations
from coevo.spaces.sana.model.config import SanaConfig

MASKED = -10000.0
"""What is added to the logits of masked text. Finite, as in the released models: a text of which nothing is attended
gives the mean of its values, and no NaN."""


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimension, the mean in float32."""

    def __init__(self, channels: int, eps: float = 1e-5, initial: float = 1.0) -> None:
        super().__init__()
        self.eps, self.initial = eps, initial
        self.weight = nn.Parameter(torch.full((channels,), initial))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        normed = x * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        if self.weight.dtype in (torch.float16, torch.bfloat16):
            normed = normed.to(self.weight.dtype)
        return normed * self.weight


class SelfAttention(nn.Module):
    """Queries, keys and values by one matrix without bias; RMS norms over all channels where the model has them."""

    def __init__(self, config: SanaConfig, kind: str) -> None:
        super().__init__()
        width = config.width
        self.kind, self.heads = kind, config.heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = RMSNorm(width) if config.qk_norm else None
        self.key_norm = RMSNorm(width) if config.qk_norm else None
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, N, D] to [B, N, D]."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        query, key, value = (each.unflatten(-1, (self.heads, -1)) for each in (query, key, value))
        if self.kind == "linear":
            mixed = operations.relu_linear_attention(query, key, value)
        else:
            mixed = _softmax_attention(query, key, value, None)
        out: torch.Tensor = self.out(mixed.flatten(2).to(x.dtype))
        return out


class CrossAttention(nn.Module):
    """Softmax attention of an image's tokens over a text's."""

    def __init__(self, config: SanaConfig) -> None:
        super().__init__()
        width, inner = config.width, config.cross_heads * config.cross_head_dim
        self.heads = config.cross_heads
        self.query = nn.Linear(width, inner)
        self.key_value = nn.Linear(width, 2 * inner)
        self.query_norm = RMSNorm(inner) if config.qk_norm else None
        self.key_norm = RMSNorm(inner) if config.qk_norm else None
        self.out = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor | None) -> torch.Tensor:
        """x [B, N, D], text [B, T, D], text_mask as `text_bias` takes it; returns [B, N, D]."""
        query = self.query(x)
        key, value = self.key_value(text).chunk(2, dim=-1)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        query, key, value = (each.unflatten(-1, (self.heads, -1)) for each in (query, key, value))
        bias = None if text_mask is None else text_bias(text_mask, query.dtype)[:, None, None, :]
        out: torch.Tensor = self.out(_softmax_attention(query, key, value, bias).flatten(2).to(x.dtype))
        return out


def text_bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention's logits, [B, T]: 0 where text is attended, -10000 where it is not.

    Args:
        mask: [B, T], bool or whole numbers (1 is attended); a floating-point tensor is such a bias already.
        dtype: of the result.
    """
    return mask.to(dtype) if mask.is_floating_point() else (1 - mask.to(dtype)) * MASKED


def _softmax_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """[B, N, heads, head_dim], [B, T, heads, head_dim] twice and a bias [B, 1, 1, T] to [B, N, heads, head_dim]."""
    query, key, value = (each.transpose(1, 2) for each in (query.to(value.dtype), key.to(value.dtype), value))
    bias = None if bias is None else bias.to(value.dtype).expand(-1, -1, query.shape[2], -1)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2)
