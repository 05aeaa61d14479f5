"""Images for prompts, as a design draws them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from coevo.spaces.sana.data.prompts import Prompt
from coevo.spaces.sana.flow.sampling import sample
from coevo.spaces.sana.judging.codec import Codec
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import AttributeEncoder
from coevo.spaces.sana.training.learners import autocast
from coevo.supernets.reproducibility import seed_of

AT_ONCE = 512
"""Images of a batch."""


class Painter:
    """Draws with whatever transformer reads the encoder's features.

    Args:
        encoder: of captions, on the transformers' device; not trained any further.
        codec: latents to images.
        size_px: of images.
        precision: of the network's products.
    """

    def __init__(self, encoder: AttributeEncoder, codec: Codec, size_px: int, precision: str = "float32") -> None:
        self.encoder, self.codec, self.size_px, self.precision = encoder.eval(), codec, size_px, precision
        self.device = next(encoder.parameters()).device
        self.null_text, self.null_mask = (each[0] for each in self.features([""]))

    @torch.no_grad()
    def features(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """[B, T, channels] and mask [B, T]. InputError names a word outside the vocabulary."""
        tokens, mask = self.encoder.tokens_of(captions)
        return self.encoder(tokens), mask

    def noise(self, prompts: int, samples: int, seed: int) -> Tensor:
        """[samples, prompts, C, H, W]: that of a sample follows from (seed, number of the sample), whatever else is
        drawn."""
        side = self.size_px // self.codec.factor
        drawn = [
            torch.randn(
                prompts, self.codec.channels, side, side,
                generator=torch.Generator().manual_seed(seed_of(seed, "noise", number)),
            )
            for number in range(samples)
        ]  # fmt: skip
        return torch.stack(drawn).to(self.device)

    @torch.no_grad()
    def draw(
        self, model: SanaTransformer, prompts: Sequence[Prompt], samples: int, *, steps: int, guidance: float, seed: int
    ) -> Tensor:
        """Images [samples, prompts, 3, S, S] in [-1, 1].

        Args:
            model: in evaluation mode, on the encoder's device.
        """
        noise = self.noise(len(prompts), samples, seed).flatten(0, 1)
        text, mask = self.features([each.text for each in prompts])
        rows = torch.arange(len(prompts), device=self.device).repeat(samples)
        drawn = []
        for part in torch.split(torch.arange(len(noise), device=self.device), AT_ONCE):
            of = rows[part]
            with autocast(self.precision, self.device):
                latents = sample(
                    model, noise[part], text[of], mask[of], null_text=self.null_text, null_mask=self.null_mask,
                    steps=steps, guidance=guidance,
                )  # fmt: skip
            drawn.append(self.codec.decode(latents))
        images = torch.cat(drawn)
        return images.view(samples, len(prompts), *images.shape[1:])
