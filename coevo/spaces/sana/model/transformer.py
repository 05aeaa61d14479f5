"""Sana's linear diffusion transformer (arXiv 2410.10629, section 3; Sana-1.5, arXiv 2501.18427, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from coevo.errors import InputError
from coevo.spaces.sana.model import operations
from coevo.spaces.sana.model.attention import RMSNorm, SelfAttention, text_bias
from coevo.spaces.sana.model.block import SanaBlock
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.embeddings import PatchEmbedding, TextEmbedding, TimeEmbedding
from coevo.spaces.sana.model.mix_ffn import MixFFN


class Embedded(NamedTuple):
    """What goes into the blocks.

    tokens: [B, N, D].
    text: [B, T, D].
    text_mask: what is added to the logits of the attention over the text, [B, T], or None.
    time_table: [B, 6, D], for the blocks.
    time: [B, D], for the head.
    grid: height and width of the tokens.
    """

    tokens: torch.Tensor
    text: torch.Tensor
    text_mask: torch.Tensor | None
    time_table: torch.Tensor
    time: torch.Tensor
    grid: tuple[int, int]


class SanaTransformer(nn.Module):
    """The velocity of latents at a time, for a text.

    Args:
        config: its shape.
    """

    def __init__(self, config: SanaConfig) -> None:
        super().__init__()
        self.config = config
        self.patches = PatchEmbedding(config)
        self.time = TimeEmbedding(config.width)
        self.text = TextEmbedding(config)
        self.blocks = nn.ModuleList(SanaBlock(config, index) for index in range(config.depth))
        self.table = nn.Parameter(torch.randn(2, config.width) / config.width**0.5)
        self.out = nn.Linear(config.width, config.patch_size**2 * config.out_channels)
        self.initialize()

    @torch.no_grad()
    def initialize(self) -> None:
        """Draws the weights as Sana's training does, from torch's global generator."""
        for block in self.blocks:
            assert isinstance(block, SanaBlock)
            # Separately drawn: a matrix that holds several maps has the bound of one of them.
            for maps in (*block.attention.qkv.weight.chunk(3), *block.cross_attention.key_value.weight.chunk(2)):
                nn.init.xavier_uniform_(maps)
            attention, cross_attention = block.attention, block.cross_attention
            for layer in (attention.out, cross_attention.query, cross_attention.out):
                nn.init.xavier_uniform_(layer.weight)
            for layer in (attention.out, cross_attention.query, cross_attention.key_value, cross_attention.out):
                nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.patches.projection.weight.flatten(1))
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        for each in (self.time.first, self.time.second, self.time.rows, self.text.first, self.text.second):
            nn.init.normal_(each.weight, std=0.02)
            nn.init.zeros_(each.bias)

    def use_fused(self, fused: bool = True) -> SanaTransformer:
        """Whether blocks run on `coevo.kernels`, or (as they begin) on plain torch with diffusers' arithmetic. Returns
        the transformer itself."""
        for module in self.blocks.modules():
            if isinstance(module, SanaBlock | SelfAttention | RMSNorm | MixFFN):
                module.fused = fused
        return self

    def embed(
        self, latents: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor | None = None
    ) -> Embedded:
        """What the blocks read; arguments as of `forward`."""
        self._check(latents, timestep, text, text_mask)
        tokens, grid = self.patches(latents)
        tokens = tokens.to(self.table.dtype)  # under autocast the sum of all blocks stays wide
        time_table, time = self.time(timestep, tokens.dtype)
        bias = None if text_mask is None else text_bias(text_mask.bool(), tokens.dtype)
        return Embedded(tokens, self.text(text), bias, time_table, time, grid)

    def head(self, tokens: torch.Tensor, time: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """The velocity [B, C, H, W] of the last block's tokens [B, N, D], the time [B, D] and the tokens' grid."""
        shift, scale = (self.table[None] + time[:, None]).chunk(2, dim=1)
        patches = self.out(operations.modulated_norm(tokens, scale, shift))
        side = self.config.patch_size
        images = patches.unflatten(1, grid).unflatten(-1, (side, side, -1))  # B, rows, columns, side, side, C
        velocity: torch.Tensor = images.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return velocity

    def forward(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        text: torch.Tensor,
        text_mask: torch.Tensor | None = None,
        *,
        keep: Sequence[bool] | None = None,
    ) -> torch.Tensor:
        """The velocity noise - latent at `timestep`, [B, C, H, W].

        Args:
            latents: [B, C, H, W]; the patch's side divides H and W.
            timestep: [B], 0 (data) to 1000 (noise); fractions are fine.
            text: features, [B, T, caption_channels].
            text_mask: [B, T], true or 1 where text is attended; None attends to all of it.
            keep: the blocks to run, one bool each; None runs all.

        Raises:
            InputError: a tensor or the mask has another shape.
        """
        if keep is not None and len(keep) != len(self.blocks):
            raise InputError(f"keep says yes or no to {len(keep)} blocks, the transformer has {len(self.blocks)}")
        stem = self.embed(latents, timestep, text, text_mask)
        blocks = [block for index, block in enumerate(self.blocks) if keep is None or keep[index]]
        joined = [block for block in blocks if type(block) is SanaBlock and block.fused and not block._forward_hooks]
        if joined and len(joined) == len(blocks):
            x = _run_joined(stem, joined)
        else:
            x = stem.tokens
            for block in blocks:
                x = block(x, stem.text, stem.text_mask, stem.time_table, stem.grid)
        return self.head(x, stem.time, stem.grid)

    def _check(
        self, latents: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor, text_mask: torch.Tensor | None
    ) -> None:
        config = self.config
        if latents.ndim != 4 or latents.shape[1] != config.in_channels:
            raise InputError(f"latents are [B, {config.in_channels}, H, W], got {list(latents.shape)}")
        side = config.patch_size
        if side > 1 and (latents.shape[2] % side or latents.shape[3] % side):
            raise InputError(
                f"latents of {latents.shape[2]} x {latents.shape[3]} are no whole number of patches of {side} x {side}"
            )
        batch = latents.shape[0]
        if timestep.ndim != 1 or timestep.shape[0] != batch:
            raise InputError(f"timestep is [B] with B = {batch} as of the latents, got {list(timestep.shape)}")
        if text.ndim != 3 or text.shape[0] != batch or text.shape[2] != config.caption_channels:
            raise InputError(f"text is [{batch}, T, {config.caption_channels}], got {list(text.shape)}")
        if text_mask is not None and text_mask.shape != text.shape[:2]:
            raise InputError(f"text_mask is {list(text.shape[:2])} as the text is, got {list(text_mask.shape)}")


def _run_joined(stem: Embedded, blocks: Sequence[SanaBlock]) -> torch.Tensor:
    """The blocks one after the other, a block's last residual and the next one's first norm as one operation."""
    tables = torch.stack([block.table for block in blocks])[:, None] + stem.time_table
    rows = [table.chunk(6, dim=1) for table in tables]
    x = stem.tokens
    normed = operations.modulated_norm(x, rows[0][1], rows[0][0], fused=True)
    for index, block in enumerate(blocks):
        x, update = block.inside(x, normed, rows[index], stem.text, stem.text_mask, stem.grid)
        if index + 1 < len(blocks):
            following = rows[index + 1]
            x, normed = operations.residual_norm(x, update, following[1], following[0], rows[index][5], fused=True)
    return operations.gated_residual(x, rows[-1][5], update, fused=True)
