"""Who scores samples while the oracle looks away: a learned network, or the oracle's own answer with errors.

What a verifier chooses is judged by the held-out oracle (`data.satisfaction`); results give both, apart: a verifier's
own score of what it chose rises with the number of samples whether the images get better or not.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.spaces.sana.data.drawn import draw_scenes
from coevo.spaces.sana.data.prompts import altered, prompts_of
from coevo.spaces.sana.data.satisfaction import satisfied
from coevo.spaces.sana.data.scenes import render_batch
from coevo.spaces.sana.text.attribute import AttributeEncoder, tokens_of
from coevo.supernets.reproducibility import seed_of


class NoisyVerifier:
    """The oracle's answer, wrong for a share of the samples: a judge whose faults are known exactly.

    Args:
        wrong: share of answers that are turned round, 0 to 1.
        seed: of which; the errors follow from it and the number of the call.
    """

    def __init__(self, wrong: float, seed: int = 0) -> None:
        if not 0 <= wrong <= 1:
            raise InputError(f"a noisy verifier is wrong for a share of 0 to 1, got {wrong}")
        self.wrong, self.seed, self._calls = wrong, seed, 0

    def __call__(self, images: Tensor, captions: Sequence[str]) -> list[float]:
        """1 or 0 for images [B, 3, S, S]."""
        rng = np.random.default_rng([self.seed, self._calls])
        self._calls += 1
        answers = satisfied(images, captions).numpy()
        return [float(each) for each in answers ^ (rng.random(len(answers)) < self.wrong)]


class LearnedVerifier(nn.Module):
    """A small network that reads an image and a caption, and gives the log odds that they belong together.

    Convolutions to a grid of cells with their places; words attend to the cells; a perceptron over the mean word.

    Args:
        width: channels.
        layers: of attention of words to cells.
    """

    def __init__(self, width: int = 96, layers: int = 2) -> None:
        super().__init__()
        channels = (3, width // 4, width // 2, width, width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(given, made, 3, stride=2 if k < 3 else 1, padding=1)
            for k, (given, made) in enumerate(itertools.pairwise(channels))
        )
        self.places = nn.Conv2d(2, width, 1)
        self.text = AttributeEncoder(width, 1)
        layer = [
            nn.TransformerDecoderLayer(
                width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        ]
        self.layers = nn.ModuleList(layer)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Log odds [B] of images [B, 3, S, S] and tokens [B, T]."""
        x = images
        for number, layer in enumerate(self.convolutions):
            x = layer(x)
            if number + 1 < len(self.convolutions):
                x = F.gelu(x)
        lines = [torch.linspace(-1, 1, side, device=x.device) for side in x.shape[-2:]]
        grid = torch.stack(torch.meshgrid(*lines, indexing="ij"))
        cells = (x + self.places(grid[None])).flatten(2).transpose(1, 2)
        words, after = self.text(tokens), tokens == 0
        for layer in self.layers:
            words = layer(words, cells, tgt_key_padding_mask=after)
        there = (~after)[..., None].float()
        mean = (self.norm(words) * there).sum(dim=1) / there.sum(dim=1)
        odds: Tensor = self.head(mean)[:, 0]
        return odds

    @torch.no_grad()
    def score(self, images: Tensor, captions: Sequence[str], batch: int = 1024) -> list[float]:
        """Log odds of images [B, 3, S, S] and their captions."""
        self.eval()
        tokens = tokens_of(captions, self.text.most_words)[0].to(images.device)
        parts = zip(torch.split(images, batch), torch.split(tokens, batch), strict=True)
        return [float(each) for part, words in parts for each in self(part, words).float().cpu()]


Distort = Callable[[Tensor, torch.Generator], Tensor]


def blurred_and_noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    """What samples of a model look like to a judge that trains on rendered scenes: soft, faint, noisy."""
    count = (len(images), 1, 1, 1)
    device = generator.device
    soft = F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    mix = torch.rand(count, generator=generator, device=device)
    gain = 0.8 + 0.4 * torch.rand(count, generator=generator, device=device)
    noise = 0.15 * torch.rand(count, generator=generator, device=device)
    noise = noise * torch.randn(images.shape, generator=generator, device=device)
    return (mix * images + (1 - mix) * soft) * gain + noise


def matching_batch(
    count: int, size_px: int, generator: torch.Generator, distort: Distort = blurred_and_noisy
) -> tuple[Tensor, list[str], Tensor]:
    """Images [count, 3, S, S], captions, and whether they belong together, float32 [count].

    Half of the captions are their images' own; the others differ from them in one thing (`prompts.altered`).
    """
    scenes, categories = draw_scenes(count, generator)
    lots = torch.randint(1 << 31, (2, count), generator=generator, device=generator.device).tolist()
    images = distort(render_batch(scenes, size_px), generator)
    captions = [
        altered(prompt, random.Random(lot)).text if coin % 2 else prompt.text
        for prompt, lot, coin in zip(prompts_of(scenes, categories), *lots, strict=True)
    ]
    return images, captions, torch.tensor([float(coin % 2 == 0) for coin in lots[1]], device=images.device)


def train_verifier(
    verifier: LearnedVerifier, steps: int, *, size_px: int = 64, batch: int = 256, learning_rate: float = 1e-3,
    seed: int = 0, half: bool = False, progress: Callable[[int, float, float], None] | None = None,
) -> float:  # fmt: skip
    """Trains on distorted renderings and mismatched captions; it never sees the oracle or a sample of a model.

    Returns:
        The share of its last 20 batches' answers that were right.

    Raises:
        InputError: no step.
    """
    if steps < 1:
        raise InputError(f"train_verifier: expected at least one step, got {steps}")
    device = next(verifier.parameters()).device
    optimizer = torch.optim.AdamW(verifier.parameters(), lr=learning_rate, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    right: list[Tensor] = []
    verifier.train()
    for step in range(steps):
        generator = torch.Generator(device).manual_seed(seed_of(seed, "verifier", step))
        images, captions, match = matching_batch(batch, size_px, generator)
        tokens = tokens_of(captions, verifier.text.most_words)[0].to(device)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            odds = verifier(images, tokens).float()
        loss = F.binary_cross_entropy_with_logits(odds, match)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(verifier.parameters(), 1.0)
        optimizer.step()
        rates.step()
        right = [*right[-19:], ((odds > 0) == (match > 0.5)).float().mean().detach()]
        if progress is not None and (step + 1) % 100 == 0:
            progress(step + 1, float(loss), float(torch.stack(right).mean()))
    verifier.eval()
    return float(torch.stack(right).mean())
