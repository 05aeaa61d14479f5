"""Pixels, latents and tokens that come out even."""

from __future__ import annotations

from coevo.errors import ConfigError


def check_resolution(size_px: int, factor: int, patch_size: int) -> int:
    """The latents' side.

    Raises:
        ConfigError: the autoencoder's factor does not divide the image's side, or the patch's side the latent's.
    """
    step = factor * patch_size
    if size_px % step:
        below, above = size_px // step * step, (size_px // step + 1) * step
        of = (
            f"an autoencoder of factor {factor} and patches of {patch_size}"
            if factor > 1
            else f"patches of {patch_size}"
        )
        near = f"{below} or {above}" if below else str(above)
        raise ConfigError(f"images of {size_px} pixels are no whole number of tokens with {of}: take {near} pixels")
    return size_px // factor
