"""The flow loss on images that nothing is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from coevo.errors import InputError
from coevo.spaces.sana.flow.objective import flow_loss
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.batches import Batch
from coevo.spaces.sana.training.learners import autocast
from coevo.supernets.reproducibility import seed_of


class HeldOutLoss:
    """Calling it gives a model's mean loss, at the same noise and times whenever it is asked: models are compared at
    equal draws.

    Args:
        batches: held-out images, on the device of the models.
        draws: times and noises for every image.
        seed: of those.
        precision: as of a Recipe.

    Raises:
        InputError: no image, or no draw.
    """

    def __init__(self, batches: Sequence[Batch], *, draws: int = 1, seed: int = 0, precision: str = "float32") -> None:
        if not batches or draws < 1:
            raise InputError(
                f"a held-out loss needs images and draws from 1 up, got {len(batches)} batches and {draws}"
            )
        self.batches, self.draws, self.seed, self.precision = list(batches), draws, seed, precision

    @torch.no_grad()
    def __call__(self, model: SanaTransformer, keep: Sequence[bool] | None = None) -> float:
        """The mean over images and draws; the model is a transformer, or called as one is, with `keep` too."""
        device = self.batches[0].latents.device
        total = torch.zeros((), dtype=torch.float64, device=device)
        for draw in range(self.draws):
            for number, batch in enumerate(self.batches):
                generator = torch.Generator(device).manual_seed(seed_of(self.seed, "held out", number, draw))
                with autocast(self.precision, device):
                    loss = flow_loss(model, batch.latents, batch.text, batch.text_mask, generator=generator, keep=keep)
                total += batch.size * loss.double()
        return float(total) / (self.draws * sum(each.size for each in self.batches))
