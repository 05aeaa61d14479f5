"""A transformer together with the encoder of its captions, so that both are trained, and kept, as one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from coevo.spaces.sana.model.transformer import SanaTransformer


class Captioned(nn.Module):
    """Called as the transformer is, with tokens in place of features.

    Args:
        transformer: reads the encoder's features.
        encoder: tokens int64 [B, T] to features [B, T, caption_channels], such as a `text.AttributeEncoder`.
    """

    def __init__(self, transformer: SanaTransformer, encoder: nn.Module) -> None:
        super().__init__()
        self.transformer, self.encoder = transformer, encoder

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        text: Tensor,
        text_mask: Tensor | None = None,
        *,
        keep: Sequence[bool] | None = None,
    ) -> Tensor:
        """The velocity [B, C, H, W]; `text` are tokens [B, T], the rest is as of the transformer."""
        found: Tensor = self.transformer(latents, timestep, self.encoder(text), text_mask, keep=keep)
        return found
