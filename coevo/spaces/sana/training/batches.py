"""What a training step reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.spaces.sana.data.latents import Latents
from coevo.supernets.reproducibility import seed_of


@dataclass(frozen=True, eq=False)
class Batch:
    """Latents with their captions.

    Attributes:
        latents: [B, C, H, W], of unit variance or near it.
        text: features [B, T, caption_channels]; or int64 tokens [B, T], for a `Captioned` transformer.
        text_mask: bool [B, T], true where there is text; None where there is everywhere.

    Raises:
        InputError: tensors of other shapes, or of different numbers of images.
    """

    latents: Tensor
    text: Tensor
    text_mask: Tensor | None = None

    def __post_init__(self) -> None:
        shapes = [tuple(each.shape) for each in (self.latents, self.text, self.text_mask) if each is not None]
        places = 3 if self.text.is_floating_point() else 2
        if self.latents.ndim != 4 or self.text.ndim != places or len({each[0] for each in shapes}) != 1:
            raise InputError(
                "a batch is latents [B, C, H, W], text (features [B, T, channels] or tokens [B, T]) and a mask [B, T], "
                f"got {shapes}"
            )
        if self.text_mask is not None and self.text_mask.shape != self.text.shape[:2]:
            raise InputError(
                f"the text's mask is {list(self.text.shape[:2])} as the text is, got {list(self.text_mask.shape)}"
            )

    @classmethod
    def of(cls, latents: Latents, read: Callable[[Sequence[str]], tuple[Tensor, Tensor]]) -> Batch:
        """Encoded images with their captions.

        Args:
            latents: of `data.latents`.
            read: captions to text and mask, such as `AttributeEncoder.tokens_of`.
        """
        text, mask = read(latents.captions)
        return cls(latents.latents, text, mask)

    @property
    def size(self) -> int:
        """Images."""
        return len(self.latents)

    def to(self, device: torch.device | str) -> Batch:
        """On a device."""
        mask = None if self.text_mask is None else self.text_mask.to(device, non_blocking=True)
        return Batch(
            self.latents.to(device, non_blocking=True), self.text.to(device, non_blocking=True), mask
        )  # fmt: skip


Batches = Callable[[int], Batch]
"""The batch of an update, which must follow from its number alone, so that a stopped training goes on alike."""


class Drawn:
    """Batches drawn from tensors that are held, each image once before any comes again.

    Args:
        whole: all images.
        batch: images of an update, at most all.
        seed: of the order.

    Raises:
        InputError: a batch larger than what there is, or of no image.
    """

    def __init__(self, whole: Batch, batch: int, seed: int = 0) -> None:
        if not 1 <= batch <= whole.size:
            raise InputError(f"a batch has 1 to {whole.size} images, as many as there are, got {batch}")
        self.whole, self.batch, self.seed = whole, batch, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> Batch:
        steps = self.whole.size // self.batch
        epoch, at = divmod(step, steps)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(seed_of(self.seed, "epoch", epoch))
            self._epoch, self._order = epoch, torch.randperm(self.whole.size, generator=generator)
        return part(self.whole, self._order[at * self.batch : (at + 1) * self.batch])


def part(whole: Batch, places: Tensor) -> Batch:
    """The images at these places, int64 [any]."""
    places = places.to(whole.latents.device)
    mask = None if whole.text_mask is None else whole.text_mask[places]
    return Batch(whole.latents[places], whole.text[places], mask)


def in_parts(whole: Batch, batch: int) -> Sequence[Batch]:
    """All images, in order, at most `batch` at once."""
    return [part(whole, each) for each in torch.split(torch.arange(whole.size), batch)]
