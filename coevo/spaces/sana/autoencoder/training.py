"""Training of the autoencoder: reconstruction alone, the same weights whether it was interrupted or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coevo.errors import CoevoError, ConfigError
from coevo.spaces.sana.autoencoder.network import Autoencoder, psnr_db
from coevo.supernets.checkpoints import Checkpoints
from coevo.supernets.reproducibility import seed_of

Images = Callable[[int], Tensor]
"""The images of an update, [B, 3, S, S], on the autoencoder's device; they follow from the update's number alone."""


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Of one training.

    Args:
        steps: updates.
        learning_rate: the largest, after a warm-up of a twentieth of the steps; a cosine then falls to 0.
        latent_noise: standard deviation of the noise on the latents, over theirs: what a diffusion model samples is
            near, not on, what the decoder saw.
        half: products in bfloat16.
        seed: of the noise.
        calibration: batches, after the last update, whose latents the scale makes of unit variance.

    Raises:
        ConfigError: a number outside its range.
    """

    steps: int
    learning_rate: float = 1e-3
    latent_noise: float = 0.05
    half: bool = False
    seed: int = 0
    calibration: int = 8

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.learning_rate < 1 or self.latent_noise < 0 or self.calibration < 1:
            raise ConfigError(
                "an autoencoder's recipe has steps and calibration from 1, a learning_rate between 0 and 1 and a "
                f"latent_noise from 0, got {self}"
            )

    def rate(self, step: int) -> float:
        """Of the update after `step` others."""
        warm = max(1, self.steps // 20)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


def train_autoencoder(
    autoencoder: Autoencoder,
    images: Images,
    recipe: AutoencoderRecipe,
    *,
    folder: Path | None = None,
    source: str = "",
    checkpoint_every: int = 200,
    stop_after: int | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> list[tuple[int, float]]:
    """Trains in place, from the folder's checkpoint where there is one, and calibrates the latents' scale at the end.

    Args:
        images: of each update; see `Images`.
        folder: of checkpoints; none are written without it.
        source: where the images come from; a checkpoint on others is refused.
        checkpoint_every: updates between checkpoints, and between looks at the loss.
        stop_after: end, with a checkpoint, after so many updates.
        progress: called with (updates done, in all, loss).

    Returns:
        (updates done, mean loss since the last entry); the loss is the mean squared error.

    Raises:
        InputError: the checkpoint is of another training, or the factor does not divide the images' side.
        CoevoError: the loss is no number any more.
    """
    optimizer = torch.optim.AdamW(autoencoder.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0)
    identity = {"autoencoder": autoencoder.to_json(), "recipe": asdict(recipe), "data": source}
    checkpoints = None if folder is None else Checkpoints(folder, identity)
    curve: list[tuple[int, float]] = []
    begin = 0
    if checkpoints is not None:
        begin, state = checkpoints.load(autoencoder, optimizer, None)
        curve = [(int(step), float(loss)) for step, loss in state.get("curve", [])]
    end = recipe.steps if stop_after is None else min(stop_after, recipe.steps)
    total: Any = 0.0
    last = begin
    autoencoder.train()
    for step in range(begin, end):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        total = total + _update(autoencoder, images(step), recipe, optimizer, step)
        if (step + 1) % checkpoint_every == 0 or step + 1 == end:
            loss = float(total) / (step + 1 - last)
            if not math.isfinite(loss):
                raise CoevoError(f"the autoencoder's loss is {loss} by update {step + 1}: lower learning_rate "
                                 f"({recipe.learning_rate}), or train without half")  # fmt: skip
            total, last = 0.0, step + 1
            curve.append((last, loss))
            if step + 1 == recipe.steps:
                autoencoder.calibrate(images(number) for number in range(recipe.calibration))
            if checkpoints is not None:
                checkpoints.save(last, autoencoder, optimizer, None, {"curve": curve})
            if progress is not None:
                progress(last, recipe.steps, loss)
    autoencoder.eval()
    return curve


def _update(
    autoencoder: Autoencoder, batch: Tensor, recipe: AutoencoderRecipe, optimizer: torch.optim.Optimizer, step: int
) -> Tensor:
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=recipe.half):
        latents = autoencoder.encode(batch)
        if recipe.latent_noise:
            generator = torch.Generator(batch.device).manual_seed(seed_of(recipe.seed, "latent noise", step))
            noise = torch.randn(latents.shape, generator=generator, device=batch.device)
            latents = latents + recipe.latent_noise * latents.detach().float().std() * noise
        back = autoencoder.decode(latents).float()
    # Squares alone: most of a scene is background, and beside absolute errors a network that paints it stays there.
    loss = (back - batch).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(autoencoder.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def mean_psnr_db(autoencoder: Autoencoder, images: Tensor, batch: int = 256) -> float:
    """Mean over images [B, 3, S, S] that nothing was trained on."""
    autoencoder.eval()
    found = [psnr_db(part, autoencoder(part)) for part in torch.split(images, batch)]
    return float(torch.cat(found).mean())
