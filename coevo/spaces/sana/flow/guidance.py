"""Classifier-free guidance (arXiv 2207.12598), within an interval of times (arXiv 2404.07724)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from coevo.errors import ConfigError, InputError


@dataclass(frozen=True)
class Guidance:
    """How far to go from the velocity without text beyond that with it.

    scale: null + scale (text - null); 1 is the velocity with text alone, and costs half.
    first, last: the interval of times, first >= last, in which that is done; outside of it the scale is 1.
    """

    scale: float = 4.5
    first: float = 1.0
    last: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.scale < float("inf"):
            raise ConfigError(f"a guidance of {self.scale}: expected 0 or more; Sana has 4.5, and 1 is none")
        if not 1 >= self.first >= self.last >= 0:
            raise ConfigError(f"guidance from {self.first} to {self.last}: expected times with 1 >= first >= last >= 0")

    def acts_at(self, time: float) -> bool:
        """Whether the velocity without text is needed."""
        return self.scale != 1 and self.last <= time <= self.first


@dataclass(frozen=True, eq=False)
class Text:
    """features [B, T, caption_channels], mask [B, T] (bool) or None."""

    features: torch.Tensor
    mask: torch.Tensor | None

    def padded(self, tokens: int) -> Text:
        """With masked tokens of zeros up to so many."""
        missing = tokens - self.features.shape[1]
        mask = torch.ones(self.features.shape[:2], dtype=torch.bool, device=self.features.device)
        mask = mask if self.mask is None else self.mask.bool()
        return Text(F.pad(self.features, (0, 0, 0, missing)), F.pad(mask, (0, missing), value=False))


def null_of(null_text: torch.Tensor, null_mask: torch.Tensor | None, batch: int) -> Text:
    """The text of no caption for a whole batch.

    Args:
        null_text: [T, caption_channels], [1, T, caption_channels] or [batch, T, caption_channels].
        null_mask: [T], [1, T] or [batch, T], or None.
        batch: how many.

    Raises:
        InputError: other shapes.
    """
    features = null_text[None] if null_text.ndim == 2 else null_text
    mask = null_mask[None] if null_mask is not None and null_mask.ndim == 1 else null_mask
    fits = features.ndim == 3 and features.shape[0] in (1, batch)
    if not fits or (mask is not None and (mask.shape[0] not in (1, batch) or mask.shape[1] != features.shape[1])):
        raise InputError(
            f"null_text is [T, C], [1, T, C] or [{batch}, T, C], with a mask [.., T] or none; got "
            f"{list(null_text.shape)} and {None if null_mask is None else list(null_mask.shape)}"
        )
    return Text(features.expand(batch, -1, -1), None if mask is None else mask.expand(batch, -1))


def joined(null: Text, text: Text) -> Text:
    """Both in one batch, the text of no caption first."""
    if null.features.shape[1] != text.features.shape[1] or (null.mask is None) != (text.mask is None):
        tokens = max(null.features.shape[1], text.features.shape[1])
        null, text = null.padded(tokens), text.padded(tokens)
    features = torch.cat([null.features.to(text.features), text.features])
    if null.mask is None or text.mask is None:
        return Text(features, None)
    return Text(features, torch.cat([null.mask.bool(), text.mask.bool()]))


def drop_text(
    text: torch.Tensor,
    text_mask: torch.Tensor | None,
    null_text: torch.Tensor,
    null_mask: torch.Tensor | None = None,
    *,
    share: float = 0.1,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """A batch's text with some captions, each by itself, replaced by none: what guidance needs of training.

    Args:
        text, text_mask: [B, T, C] and [B, T] or None.
        null_text, null_mask: as of `null_of`.
        share: probability of a caption to go; Sana has 0.1.
        generator: None is torch's global one.
    """
    batch = text.shape[0]
    home = text.device if generator is None else generator.device
    goes = (torch.rand(batch, generator=generator, device=home) < share).to(text.device)
    both = joined(null_of(null_text, null_mask, batch), Text(text, text_mask))
    features = torch.where(goes[:, None, None], both.features[:batch], both.features[batch:])
    if both.mask is None:
        return features, None
    return features, torch.where(goes[:, None], both.mask[:batch], both.mask[batch:])
