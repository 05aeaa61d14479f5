"""Between images and what the transformer draws: pixels as they are, or an autoencoder's latents."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

PIXEL_DEVIATION = 0.3
"""Of rendered scenes' channels: divided by it, pixels have about unit variance, as the noise has."""


class Codec(Protocol):
    """Attributes:
    channels: of latents.
    factor: pixels of a latent's side.
    """

    channels: int
    factor: int

    def encode(self, images: Tensor) -> Tensor:
        """Latents [B, channels, S / factor, S / factor] of about unit variance of images [B, 3, S, S] in [-1, 1]."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Images [B, 3, S, S], kept within [-1, 1]."""
        ...


class Pixels:
    """Latents are pixels."""

    channels, factor = 3, 1

    def encode(self, images: Tensor) -> Tensor:
        return images / PIXEL_DEVIATION

    def decode(self, latents: Tensor) -> Tensor:
        return (latents.float() * PIXEL_DEVIATION).clamp(-1, 1)


class Latents:
    """Latents of a trained autoencoder, which is not trained any further.

    Args:
        autoencoder: on its device.
    """

    def __init__(self, autoencoder: Any) -> None:
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.channels, self.factor = int(autoencoder.latent_channels), int(autoencoder.factor)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        found: Tensor = self.autoencoder.encode(images)
        return found

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        found: Tensor = self.autoencoder.decode(latents.float())
        return found.clamp(-1, 1)
