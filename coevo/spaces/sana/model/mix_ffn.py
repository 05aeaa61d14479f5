"""The Mix-FFN: the only layer that knows where a token lies (Sana 3.2)."""

from __future__ import annotations

import torch
from torch import nn

from coevo.spaces.sana.model import operations


class MixFFN(nn.Module):
    """A linear layer to twice the hidden channels, SiLU, a depthwise 3x3 convolution, a gate, a linear layer back."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fused = False
        self.expand = nn.Linear(width, 2 * hidden)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.project = nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """[B, N, D] to [B, N, D]; `grid` is the tokens' height and width, N their product."""
        images = self.expand(x).unflatten(1, grid)
        assert self.depthwise.bias is not None
        mixed = operations.glu_convolution(images, self.depthwise.weight, self.depthwise.bias, fused=self.fused)
        out: torch.Tensor = self.project(mixed.flatten(1, 2))
        return out
