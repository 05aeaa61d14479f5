"""A block of Sana's transformer (Sana, figure 5)."""

from __future__ import annotations

from collections.abc import Sequence

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
        normed = operations.modulated_norm(x, rows[1], rows[0], fused=self.fused).to(x.dtype)
        x, update = self.inside(x, normed, rows, text, text_mask, grid)
        return operations.gated_residual(x, rows[5], update, fused=self.fused)

    def inside(
        self,
        x: torch.Tensor,
        normed: torch.Tensor,
        rows: Sequence[torch.Tensor],
        text: torch.Tensor,
        text_mask: torch.Tensor | None,
        grid: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The block between its first norm and its last gate: (tokens, what the Mix-FFN adds to them once gated).

        Args:
            x, normed: tokens and their modulated norm, [B, N, D].
            rows: the table's six, [B, 1, D] each.
            text, text_mask, grid: as of `forward`.
        """
        x = operations.gated_residual(x, rows[2], self.attention(normed), fused=self.fused)
        told = self.cross_attention(x, text, text_mask)
        x, normed = operations.residual_norm(x, told, rows[4], rows[3], fused=self.fused)
        return x, self.ffn(normed, grid)
