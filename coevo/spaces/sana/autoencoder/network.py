"""The autoencoder: images to latents of unit variance, 8, 16 or 32 times smaller on a side, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.spaces.sana.autoencoder.layers import Decoder, Encoder

WIDTHS = {8: (32, 64, 128, 128), 16: (32, 64, 64, 128, 128), 32: (16, 32, 64, 64, 128, 128)}
"""Channels of the stages by factor: 2.4, 2.7 and 2.8 million parameters."""
LATENT_CHANNELS = {8: 4, 16: 16, 32: 32}
"""By factor. Of one image f8c4 has 1/48 of the pixels' numbers, f16c16 too, and f32c32 1/96, as Sana's has."""


class Autoencoder(nn.Module):
    """Deep compression with residual space-to-channel and channel-to-space shortcuts (DC-AE, arXiv 2410.10733).

    Without generator: it is deterministic, and its latents are bounded by no prior.

    Args:
        factor: 8, 16 or 32, of the side.
        latent_channels: of the latents, a divisor of the last width; LATENT_CHANNELS's unless given.
        widths: channels of the stages, one more than the halvings; WIDTHS's unless given.
        depth: residual blocks a stage.

    Raises:
        InputError: another factor, or numbers of channels that do not divide each other.
    """

    scale: Tensor

    def __init__(
        self, factor: int, latent_channels: int | None = None, *, widths: tuple[int, ...] | None = None, depth: int = 1
    ) -> None:
        super().__init__()
        if factor not in WIDTHS:
            raise InputError(f"autoencoder: expected a factor of {', '.join(map(str, WIDTHS))}, got {factor}")
        self.factor, self.depth = factor, depth
        self.latent_channels = latent_channels or LATENT_CHANNELS[factor]
        self.widths = tuple(widths or WIDTHS[factor])
        self._check()
        depths = (depth,) * len(self.widths)
        self.encoder = Encoder(self.widths, depths, self.latent_channels)
        self.decoder = Decoder(self.widths, depths, self.latent_channels)
        self.register_buffer("scale", torch.ones(()))

    def _check(self) -> None:
        stages = 1 + int(math.log2(self.factor))
        if len(self.widths) != stages or self.depth < 1:
            raise InputError(f"autoencoder: factor {self.factor} has {stages} stages of at least one block, got widths "
                             f"{self.widths} and depth {self.depth}")  # fmt: skip
        for narrow, wide in zip(self.widths, self.widths[1:], strict=False):
            if wide % 4 or (4 * narrow) % wide or (4 * narrow) % 4:
                raise InputError(f"autoencoder: width {wide} after {narrow}: expected a multiple of 4 that divides 4 x "
                                 f"{narrow}; for instance {narrow} or {2 * narrow}")  # fmt: skip
        if self.widths[-1] % self.latent_channels:
            raise InputError(f"autoencoder: {self.latent_channels} latent channels do not divide the last width "
                             f"{self.widths[-1]}")  # fmt: skip

    @property
    def parameters_count(self) -> int:
        return sum(each.numel() for each in self.parameters())

    def encode(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1] to latents [B, latent_channels, H/factor, W/factor], of unit variance after
        `calibrate`.

        Raises:
            InputError: images of another shape, or a side that the factor does not divide.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise InputError(f"autoencoder: expected images [B, 3, H, W], got {list(images.shape)}")
        height, width = images.shape[2:]
        if height % self.factor or width % self.factor:
            near = [max(1, round(side / self.factor)) * self.factor for side in (height, width)]
            raise InputError(f"autoencoder: its factor {self.factor} does not divide {height} x {width} pixels; resize "
                             f"to {near[0]} x {near[1]}")  # fmt: skip
        latents: Tensor = self.encoder(images)
        return latents * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, latent_channels, h, w] to images [B, 3, h * factor, w * factor]. InputError for another shape."""
        if latents.ndim != 4 or latents.shape[1] != self.latent_channels:
            raise InputError(
                f"autoencoder: expected latents [B, {self.latent_channels}, h, w], got {list(latents.shape)}"
            )
        images: Tensor = self.decoder(latents / self.scale)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Images as they come back, [B, 3, H, W]."""
        return self.decode(self.encode(images))

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Sets `scale`, diffusers' scaling factor, so that the latents of these images have variance 1."""
        total = square = count = 0.0
        for images in batches:
            latents = self.encode(images) / self.scale
            total += float(latents.double().sum())
            square += float(latents.double().square().sum())
            count += latents.numel()
        if not count:
            raise InputError("autoencoder: calibration needs at least one image, got none")
        variance = square / count - (total / count) ** 2
        self.scale.fill_(variance**-0.5)

    def to_json(self) -> dict[str, Any]:
        """Its shape."""
        return {
            "factor": self.factor, "latent_channels": self.latent_channels, "widths": list(self.widths),
            "depth": self.depth,
        }  # fmt: skip


def psnr_db(given: Tensor, back: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of images [B, 3, H, W] of range 2, float32 [B]; what comes back is clipped to it."""
    error = (given.float() - back.float().clamp(-1, 1)).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(4 / error.clamp_min(1e-10))


def diffusers_config(autoencoder: Autoencoder) -> dict[str, Any]:
    """The arguments with which diffusers' AutoencoderDC is this network; `state_dict` less `scale` are its weights."""
    stages = len(autoencoder.widths)
    return {
        "in_channels": 3,
        "latent_channels": autoencoder.latent_channels,
        "attention_head_dim": 32,
        "encoder_block_types": ["ResBlock"] * stages,
        "decoder_block_types": ["ResBlock"] * stages,
        "encoder_block_out_channels": list(autoencoder.widths),
        "decoder_block_out_channels": list(autoencoder.widths),
        "encoder_layers_per_block": [autoencoder.depth] * stages,
        "decoder_layers_per_block": [autoencoder.depth] * stages,
        "encoder_qkv_multiscales": [[]] * stages,
        "decoder_qkv_multiscales": [[]] * stages,
        "upsample_block_type": "pixel_shuffle",
        "downsample_block_type": "pixel_unshuffle",
        "decoder_norm_types": "rms_norm",
        "decoder_act_fns": "silu",
        "encoder_out_shortcut": True,
        "decoder_in_shortcut": True,
        "decoder_conv_act_fn": "relu",
        "scaling_factor": float(autoencoder.scale),
    }
