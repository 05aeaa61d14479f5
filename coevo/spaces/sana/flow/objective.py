"""The loss of rectified flow (SD3, arXiv 2403.03206, 3; Sana 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from coevo.errors import InputError
from coevo.spaces.sana.flow.schedule import TIMESTEPS
from coevo.spaces.sana.model.transformer import SanaTransformer


def draw_times(
    batch: int,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    mean: float = 0.0,
    std: float = 1.0,
    shift: float = 3.0,
) -> torch.Tensor:
    """Times of training, float32 [batch] in 0 .. 1: logistic functions of normal numbers, then shifted.

    Args:
        batch: how many.
        generator: None is torch's global one; otherwise numbers are drawn on its device.
        device: of the result.
        mean, std: of the normal numbers (logit-normal, SD3 3.1); Sana has 0 and 1.
        shift: as of `flow_times`; Sana has 3.
    """
    drawn = torch.randn(batch, generator=generator, device=device if generator is None else generator.device)
    uniform = torch.sigmoid(mean + std * drawn).to(device)
    return shift * uniform / (1 + (shift - 1) * uniform)


def flow_loss(
    model: SanaTransformer,
    x0: torch.Tensor,
    text: torch.Tensor,
    text_mask: torch.Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
    noise: torch.Tensor | None = None,
    t: torch.Tensor | None = None,
    shift: float = 3.0,
    keep: Sequence[bool] | None = None,
) -> torch.Tensor:
    """Mean squared error of the velocity at one time an image, a scalar in float32.

    Args:
        model: the transformer, or what is called as it is.
        x0: latents of images, [B, C, H, W].
        text, text_mask: as the transformer takes them.
        generator: of the times and the noise where they are not given; None is torch's global one.
        noise: standard normal, [B, C, H, W]; None draws it.
        t: times in 0 .. 1, [B]; None draws them (`draw_times`, with `shift`).
        keep: the blocks to run.

    Raises:
        InputError: noise or times of another shape than the latents'.
    """
    if t is None:
        t = draw_times(x0.shape[0], generator=generator, device=x0.device, shift=shift)
    if noise is None:
        home = x0.device if generator is None else generator.device
        noise = torch.randn(x0.shape, generator=generator, device=home, dtype=torch.float32).to(x0)
    if noise.shape != x0.shape or t.shape != x0.shape[:1]:
        raise InputError(
            f"latents {list(x0.shape)} want noise of that shape and times [{x0.shape[0]}], got {list(noise.shape)} and "
            f"{list(t.shape)}"
        )
    velocity: torch.Tensor = model(noisy_latents(x0, noise, t), TIMESTEPS * t, text, text_mask, keep=keep)
    return (velocity.float() - (noise - x0).float()).square().mean()


def noisy_latents(x0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """(1 - t) x0 + t noise, in x0's dtype; x0 and noise [B, C, H, W], t [B]."""
    weight = t.reshape(-1, 1, 1, 1)
    return ((1 - weight) * x0 + weight * noise).to(x0.dtype)
