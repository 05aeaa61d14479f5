"""What goes into the blocks: patches of the latent, the time, the text."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from coevo.spaces.sana.model.attention import RMSNorm
from coevo.spaces.sana.model.config import SanaConfig

FREQUENCIES = 256
_MAX_PERIOD = 10000.0


class TimeEmbedding(nn.Module):
    """Cosines and sines of the time, a perceptron, and the rows of modulation that all blocks share."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(FREQUENCIES, width)
        self.second = nn.Linear(width, width)
        self.rows = nn.Linear(width, 6 * width)

    def forward(self, timestep: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """[B] in 0 .. 1000 to the time's rows [B, 6, D] and its vector [B, D], in `dtype`."""
        vector = self.second(F.silu(self.first(sinusoid(timestep).to(dtype))))
        return self.rows(F.silu(vector)).unflatten(-1, (6, -1)), vector


def sinusoid(timestep: torch.Tensor) -> torch.Tensor:
    """[B] to float32 [B, 256]: cosines, then sines, of frequencies from 1 down to 1/10000."""
    half = FREQUENCIES // 2
    steps = torch.arange(half, dtype=torch.float32, device=timestep.device)
    angles = timestep[:, None].float() * torch.exp(-math.log(_MAX_PERIOD) * steps / half)
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


class TextEmbedding(nn.Module):
    """A perceptron of two layers and an RMS norm whose weights begin small, so that the text's scale does not swamp a
    young model (Sana 3.3)."""

    def __init__(self, config: SanaConfig) -> None:
        super().__init__()
        self.first = nn.Linear(config.caption_channels, config.width)
        self.second = nn.Linear(config.width, config.width)
        self.norm = RMSNorm(config.width, initial=0.01)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """[B, T, caption_channels] to [B, T, D]."""
        out: torch.Tensor = self.norm(self.second(F.gelu(self.first(text), approximate="tanh")))
        return out


class PatchEmbedding(nn.Module):
    """Squares of latent pixels to tokens."""

    def __init__(self, config: SanaConfig) -> None:
        super().__init__()
        self.projection = nn.Conv2d(config.in_channels, config.width, config.patch_size, stride=config.patch_size)
        self.side = config.sample_size // config.patch_size
        self.scale = config.interpolation_scale

    def forward(self, latents: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """[B, C, H, W] to tokens [B, N, D] and their height and width."""
        images = self.projection(latents)
        height, width = images.shape[-2:]
        tokens = images.flatten(2).transpose(1, 2)
        if self.scale is not None:
            positions = sine_positions(tokens.shape[-1], height, width, self.side, self.scale, tokens.device)
            tokens = (tokens + positions).to(tokens.dtype)
        return tokens, (height, width)


def sine_positions(
    channels: int, height: int, width: int, side: int, scale: float, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """Fixed positions of a grid's tokens, float32 [height * width, channels]: sines and cosines of the column, then of
    the row. A grid of any size spans 0 .. side / scale, so that a model meets the positions that it learnt."""
    rows = torch.arange(height, dtype=torch.float32, device=device) / (height / side) / scale
    columns = torch.arange(width, dtype=torch.float32, device=device) / (width / side) / scale
    quarter = channels // 4
    frequencies = _MAX_PERIOD ** -(torch.arange(quarter, dtype=torch.float64, device=device) / quarter)

    def waves(places: torch.Tensor) -> torch.Tensor:
        angles = places.reshape(-1, 1) * frequencies
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)

    grid = (height, width)
    both = [waves(columns[None, :].expand(grid)), waves(rows[:, None].expand(grid))]
    return torch.cat(both, dim=1).float()
