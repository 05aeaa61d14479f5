"""Layers of the deep-compression autoencoder (DC-AE, arXiv 2410.10733, section 3.2): what a stage halves or doubles
goes past it too, as channels.

Their arithmetic and the names of their weights are those of diffusers' AutoencoderDC, so that weights go both ways.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Root mean square over the channels of [B, C, H, W], with weight and bias."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.float().square().mean(dim=1, keepdim=True) + self.eps)
        return (x * scale).to(x.dtype) * self.weight[:, None, None] + self.bias[:, None, None]


class ResBlock(nn.Module):
    """Two convolutions and a norm beside the input; in the beginning the input alone: a young autoencoder is its
    shortcuts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = ChannelNorm(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.norm(self.conv2(F.silu(self.conv1(x))))
        return x + added


class Down(nn.Module):
    """Half the side: a convolution whose pixels become channels, beside the input's pixels as channels, averaged in
    groups."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels // 4, 3, padding=1)
        self.group = 4 * channels // out_channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(self.conv(x), 2) + averaged(F.pixel_unshuffle(x, 2), self.group)


class Up(nn.Module):
    """Twice the side: a convolution whose channels become pixels, beside the input's channels, repeated, as pixels."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * out_channels, 3, padding=1)
        self.repeats = 4 * out_channels // channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2) + F.pixel_shuffle(x.repeat_interleave(self.repeats, dim=1), 2)


def averaged(x: Tensor, group: int) -> Tensor:
    """Means of `group` neighbouring channels each."""
    return x.reshape(x.shape[0], -1, group, *x.shape[2:]).mean(dim=2)


class Encoder(nn.Module):
    """Images [B, 3, S, S] to [B, latent_channels, S/f, S/f], f = 2 ** (len(widths) - 1)."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], latent_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        stages = []
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            layers: list[nn.Module] = [ResBlock(width) for _ in range(depth)]
            if stage + 1 < len(widths):
                layers.append(Down(width, widths[stage + 1]))
            stages.append(nn.Sequential(*layers))
        self.down_blocks = nn.ModuleList(stages)
        self.conv_out = nn.Conv2d(widths[-1], latent_channels, 3, padding=1)
        self.group = widths[-1] // latent_channels

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for stage in self.down_blocks:
            x = stage(x)
        out: Tensor = self.conv_out(x)
        return out + averaged(x, self.group)


class Decoder(nn.Module):
    """The way back."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], latent_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(latent_channels, widths[-1], 3, padding=1)
        self.repeats = widths[-1] // latent_channels
        stages = []
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            layers: list[nn.Module] = [Up(widths[stage + 1], width)] if stage + 1 < len(widths) else []
            stages.append(nn.Sequential(*layers, *(ResBlock(width) for _ in range(depth))))
        self.up_blocks = nn.ModuleList(stages)
        self.norm_out = ChannelNorm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.conv_in(latents) + latents.repeat_interleave(self.repeats, dim=1)
        for stage in reversed(self.up_blocks):
            x = stage(x)
        out: Tensor = self.conv_out(F.relu(self.norm_out(x)))
        return out
