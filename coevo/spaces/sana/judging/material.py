"""Scenes and prompts that train, that judge a search, and that are seen once, when a design is exported.

The three kinds of scenes have seeds of their own; prompts that judge a search are none of those that judge an export;
noise has a seed for each use. What a design is chosen by says nothing about what it is told to score in the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coevo.errors import ConfigError
from coevo.spaces.sana.data.drawn import CATEGORIES, draw_scenes
from coevo.spaces.sana.data.prompts import Prompt, all_prompts, captions_of, prompt_suite
from coevo.spaces.sana.data.scenes import SOURCE, SceneBatch, render_batch
from coevo.spaces.sana.judging.codec import Codec
from coevo.spaces.sana.text.attribute import tokens_of
from coevo.spaces.sana.training.batches import Batch
from coevo.supernets.reproducibility import seed_of

PARTS = ("train", "search", "validation")
RENDERED = 1024


class Scenes:
    """Procedural scenes of one part, with captions of their categories; rendered when asked for.

    Args:
        count: scenes.
        part: of `PARTS`.
        seed: of the data.
        size_px: of images.
        codec: images to latents; of an autoencoder, latents are kept.
        device: where latents and tokens are.
    """

    def __init__(self, count: int, part: str, *, seed: int, size_px: int, codec: Codec, device: torch.device) -> None:
        if part not in PARTS or count < 1:
            raise ConfigError(f"scenes are at least one, of {', '.join(PARTS)}; got {count} of {part!r}")
        self.scenes, self.categories = drawn_scenes(count, seed, part)
        self.captions = captions_of(self.scenes, self.categories)
        tokens, mask = tokens_of(self.captions)
        self.tokens, self.mask = tokens.to(device), mask.to(device)
        self.part, self.seed, self.size_px, self.codec, self.device = part, seed, size_px, codec, device
        self._on_device = self.scenes.to(device)
        self._kept: Tensor | None = None
        if codec.factor > 1:
            rows = torch.split(torch.arange(count, device=device), RENDERED)
            self._kept = torch.cat([codec.encode(self._images(each)) for each in rows])

    @property
    def source(self) -> str:
        """What the scenes are, in words."""
        return f"{len(self)} {SOURCE}, {self.size_px} pixels, seed {self.seed} ({self.part})"

    def __len__(self) -> int:
        return len(self.scenes)

    def _images(self, rows: Tensor) -> Tensor:
        return render_batch(self._on_device.at(rows), self.size_px)

    def latents(self, rows: Tensor) -> Tensor:
        """[rows, C, H, W] of those scenes, int64 on the device."""
        return self.codec.encode(self._images(rows)) if self._kept is None else self._kept[rows]

    def batch(self, rows: Tensor) -> Batch:
        """With the words of their captions."""
        return Batch(self.latents(rows), self.tokens[rows], self.mask[rows])

    def all(self, batch: int = RENDERED) -> list[Batch]:
        """All of them, in order."""
        return [self.batch(rows) for rows in torch.split(torch.arange(len(self), device=self.device), batch)]

    def rows_of(self, step: int, batch: int, seed: int) -> Tensor:
        """Which scenes an update reads: they follow from (seed, step). int64 [batch] on the device."""
        generator = torch.Generator().manual_seed(seed_of(seed, "rows", step))
        return torch.randint(len(self), (batch,), generator=generator).to(self.device)


def drawn_scenes(count: int, seed: int, part: str) -> tuple[SceneBatch, Tensor]:
    """Scenes and the numbers of their categories, which follow from (seed, part), on the CPU."""
    return draw_scenes(count, torch.Generator().manual_seed(seed_of(seed, "scenes", part)))


@dataclass(frozen=True)
class Suites:
    """Prompts that judge a search, and others that judge what it exports; equally many of every category."""

    search: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]


def prompt_suites(per_category: int, seed: int) -> Suites:
    """Disjoint suites of so many prompts a category.

    Raises:
        ConfigError: twice as many prompts as the smallest category has.
    """
    least = min(len(all_prompts(category)) for category in CATEGORIES)
    if not 1 <= per_category <= least // 2:
        raise ConfigError(
            f"prompts_per_category is {per_category}: expected 1 to {least // 2}, so that every category has as many "
            "for the search and for the export; take more images a prompt instead"
        )
    halves: tuple[list[Prompt], list[Prompt]] = ([], [])
    for category in CATEGORIES:
        both = prompt_suite(2 * per_category, seed, (category,))
        halves[0].extend(both[:per_category])
        halves[1].extend(both[per_category:])
    return Suites(tuple(halves[0]), tuple(halves[1]))
