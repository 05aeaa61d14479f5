"""A small encoder of captions from the closed vocabulary, trained together with the transformer that reads it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.spaces.sana.data.prompts import VOCABULARY, check_words

BEGIN = 1
"""The token before every caption; alone it is the empty caption, which guidance steers away from."""
_FIRST_WORD = 2
_NUMBER = {word: number for number, word in enumerate(VOCABULARY, _FIRST_WORD)}


def tokens_of(captions: Sequence[str], most_words: int = 15) -> tuple[Tensor, Tensor]:
    """Captions as numbers of words, and where they are.

    Args:
        captions: words of the vocabulary between spaces; "" is the empty caption.
        most_words: places for words; every caption takes them, so that shapes stay the same.

    Returns:
        tokens int64 [B, 1 + most_words], 0 after the end, and mask bool of that shape.

    Raises:
        InputError: a word outside the vocabulary (it is named), or more words than places.
    """
    known: dict[str, list[int]] = {}
    rows = []
    for caption in captions:
        if caption not in known:
            check_words(caption)
            words = [_NUMBER[word] for word in caption.split()]
            if len(words) > most_words:
                raise InputError(f"caption {caption!r}: expected at most {most_words} words, got {len(words)}")
            known[caption] = [BEGIN, *words, *[0] * (most_words - len(words))]
        rows.append(known[caption])
    tokens = torch.tensor(rows, dtype=torch.int64).view(len(rows), 1 + most_words)
    return tokens, tokens > 0


class AttributeEncoder(nn.Module):
    """Word and place embeddings, then a few layers of attention over the caption.

    Args:
        channels: of the features, the transformer's `caption_channels`.
        layers: of attention; 0 leaves the embeddings as they are.
        most_words: longest caption.

    Raises:
        InputError: channels that the heads do not divide.
    """

    def __init__(self, channels: int, layers: int = 2, *, heads: int = 4, most_words: int = 15) -> None:
        super().__init__()
        if channels % heads:
            raise InputError(f"channels: expected a multiple of the {heads} heads, got {channels}")
        self.channels, self.most_words = channels, most_words
        self.words = nn.Embedding(_FIRST_WORD + len(VOCABULARY), channels)
        self.places = nn.Parameter(torch.randn(1 + most_words, channels))
        layer = [
            nn.TransformerEncoderLayer(
                channels, heads, 4 * channels, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        ]
        self.layers = nn.ModuleList(layer)
        self.norm = nn.LayerNorm(channels)

    def tokens_of(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """`tokens_of` on the encoder's device."""
        tokens, mask = tokens_of(captions, self.most_words)
        device = self.places.device
        return tokens.to(device), mask.to(device)

    def forward(self, tokens: Tensor) -> Tensor:
        """Features [B, T, channels] of tokens [B, T]; those after a caption's end mean nothing."""
        features = self.words(tokens) + self.places[: tokens.shape[1]]
        after = tokens == 0
        for layer in self.layers:
            features = layer(features, src_key_padding_mask=after)
        normed: Tensor = self.norm(features)
        return normed
