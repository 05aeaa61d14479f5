"""A block of Sana's transformer (Sana, figure 5)."""

from __future__ import annotations

import torch
from torch import nn

from coevo.spaces.sana.model import operations
from coevo.spaces.sana.model.attention import CrossAttention, SelfAttention
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.mix_ffn import MixFFN


class SanaBlock(nn.Module):
    """Self-attention and Mix-FFN, each behind a LayerNorm that the time modulates and before a gate of the time, with
    attention over the text between them, without norm and gate.

    `table` [6, D] is added to the time's rows, which all blocks share: shift, scale and gate of the self-attention,
    then those of the Mix-FFN (adaLN-single, PixArt-alpha 2.3).
    """

    def __init__(self, config: SanaConfig, index: int) -> None:
        super().__init__()
        self.fused = False
        self.attention = SelfAttention(config, config.blocks[index].attention)
        self.cross_attention = CrossAttention(config)
        self.ffn = MixFFN(config.width, config.ffn_channels(index))
        self.table = nn.Parameter(torch.randn(6, config.width) / config.width**0.5)

    def forward(
        self,
        x: torch.Tensor,
        text: torch.Tensor,
        text_mask: torch.Tensor | None,
        time_table: torch.Tensor,
        grid: tuple[int, int],
    ) -> torch.Tensor:
        """The tokens after this block, [B, N, D].

        Args:
            x: tokens, [B, N, D].
            text: the projected text, [B, T, D].
            text_mask: [B, T], bool, or a floating-point bias (`text_bias`); None attends to all.
            time_table: the time's rows, [B, 6, D].
            grid: the tokens' height and width; N is their product.
        """
        rows = (self.table[None] + time_table).chunk(6, dim=1)
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = rows
        fused = self.fused
        normed = operations.modulated_norm(x, scale, shift, fused=fused).to(x.dtype)
        x = operations.gated_residual(x, gate, self.attention(normed), fused=fused)
        told = self.cross_attention(x, text, text_mask)
        x, normed = operations.residual_norm(x, told, ffn_scale, ffn_shift, fused=fused)
        return operations.gated_residual(x, ffn_gate, self.ffn(normed, grid), fused=fused)
