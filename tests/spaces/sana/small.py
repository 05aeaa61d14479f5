"""Small transformers and batches that take no time."""

from __future__ import annotations

import torch

from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.batches import Batch

TEXT_COLUMNS = 8


def transformer(depth: int = 3, width: int = 32, seed: int = 0, trained: bool = True, **more) -> SanaTransformer:
    """A model whose every parameter is random where it is `trained`: nothing is zero that a training would move."""
    torch.manual_seed(seed)
    given = {"sample_size": 4, "caption_channels": TEXT_COLUMNS, "head_dim": 16, "ffn_ratio": 1.0, **more}
    model = SanaTransformer(SanaConfig.small(width, depth, **given))
    if trained:
        with torch.no_grad():
            for each in model.parameters():
                each.add_(0.1 * torch.randn_like(each))
    return model


def batch(images: int = 4, seed: int = 0, side: int = 4, channels: int = 4, masked: bool = False) -> Batch:
    """Latents that a text says something of: its first column is their mean."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.randn(images, 3, TEXT_COLUMNS, generator=generator)
    latents = 0.3 * torch.randn(images, channels, side, side, generator=generator) + text[:, 0, :1, None, None]
    mask = torch.ones(images, 3, dtype=torch.bool)
    mask[:, 2] = False
    return Batch(latents, text, mask if masked else None)


def forward(model: SanaTransformer, given: Batch, time: float = 400.0, **more) -> torch.Tensor:
    with torch.no_grad():
        return model(given.latents, torch.full((given.size,), time), given.text, given.text_mask, **more)
