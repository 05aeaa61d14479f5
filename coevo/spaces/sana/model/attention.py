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
    """An RMS norm over the last dimension, with weights that begin at `initial`."""

    def __init__(self, channels: int, initial: float = 1.0) -> None:
        super().__init__()
        self.fused = False
        self.weight = nn.Parameter(torch.full((channels,), initial))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return operations.rms_norm(x, self.weight, fused=self.fused)


class SelfAttention(nn.Module):
    """Queries, keys and values by one matrix without bias; RMS norms over all channels where the model has them."""

    def __init__(self, config: SanaConfig, kind: str) -> None:
        super().__init__()
        width = config.width
        self.kind, self.heads, self.fused = kind, config.heads, False
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = RMSNorm(width) if config.qk_norm else None
        self.key_norm = RMSNorm(width) if config.qk_norm else None
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, N, D] to [B, N, D]."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if self.kind == "linear":
            norms = (self.query_norm, self.key_norm)
            weights = None if norms[0] is None or norms[1] is None else (norms[0].weight, norms[1].weight)
            mixed = operations.linear_attention(query, key, value, self.heads, weights, fused=self.fused)
        else:
            if self.query_norm is not None and self.key_norm is not None:
                query, key = self.query_norm(query), self.key_norm(key)
            mixed = _softmax_attention(query, key, value, self.heads, None)
        out: torch.Tensor = self.out(mixed.to(x.dtype))
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
        bias = None if text_mask is None else text_bias(text_mask, query.dtype)[:, None, None, :]
        out: torch.Tensor = self.out(_softmax_attention(query, key, value, self.heads, bias).to(x.dtype))
        return out


def text_bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention's logits, [B, T]: 0 where text is attended, -10000 where it is not.

    Args:
        mask: [B, T], bool or whole numbers (1 is attended); a floating-point tensor is such a bias already.
        dtype: of the result.
    """
    return mask.to(dtype) if mask.is_floating_point() else (1 - mask.to(dtype)) * MASKED


def _softmax_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int, bias: torch.Tensor | None
) -> torch.Tensor:
    """[B, N, D], [B, T, D] twice and a bias [B, 1, 1, T] to [B, N, D]."""
    rows = (each.to(value.dtype) for each in (query, key, value))
    query, key, value = (each.reshape(*each.shape[:2], heads, -1).transpose(1, 2) for each in rows)
    bias = None if bias is None else bias.to(value.dtype).expand(-1, -1, query.shape[2], -1)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2).flatten(2)
