"""Eight-bit values with one float32 scale for every 2048 of them, in the order in which they lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 2048
LEVELS = 127.0


def blocks_of(elements: int) -> int:
    """Scales of so many values."""
    return -(-elements // BLOCK)


def quantized(values: Tensor) -> tuple[Tensor, Tensor]:
    """(int8 of the values' shape, float32 [blocks]): value = code * scale / 127, codes rounded to the nearest even."""
    flat = values.float().flatten()
    padded = torch.nn.functional.pad(flat, (0, blocks_of(flat.numel()) * BLOCK - flat.numel())).view(-1, BLOCK)
    scale = padded.abs().amax(dim=1)
    codes = torch.round(padded * torch.where(scale > 0, LEVELS / scale, 0.0)[:, None])
    return codes.to(torch.int8).flatten()[: flat.numel()].view(values.shape), scale


def dequantized(codes: Tensor, scale: Tensor) -> Tensor:
    """float32 of the codes' shape."""
    wide = scale.repeat_interleave(BLOCK)[: codes.numel()].view(codes.shape)
    return codes.float() * (wide / LEVELS)
