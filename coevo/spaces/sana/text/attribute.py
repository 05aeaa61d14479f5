"""A small encoder of captions from the closed vocabulary, trained together with the transformer that reads it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
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


class CaptionLayer(nn.Module):
    """Attention over the words and a perceptron, each behind a LayerNorm."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """x [B, T, channels]; `there` bool [B, 1, 1, T]."""
        parts = self.qkv(self.attention_norm(x)).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=there)
        x = x + self.out(read.transpose(1, 2).reshape(x.shape))
        made: Tensor = x + self.perceptron(x)
        return made


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
        self.channels, self.heads, self.most_words = channels, heads, most_words
        self.words = nn.Embedding(_FIRST_WORD + len(VOCABULARY), channels)
        self.places = nn.Parameter(torch.randn(1 + most_words, channels))
        self.layers = nn.ModuleList(CaptionLayer(channels, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)

    def to_json(self) -> dict[str, int]:
        """The arguments that make it."""
        return {
            "channels": self.channels, "layers": len(self.layers), "heads": self.heads, "most_words": self.most_words
        }  # fmt: skip

    def tokens_of(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """`tokens_of` on the encoder's device."""
        tokens, mask = tokens_of(captions, self.most_words)
        device = self.places.device
        return tokens.to(device), mask.to(device)

    def forward(self, tokens: Tensor) -> Tensor:
        """Features [B, T, channels] of tokens [B, T]; those after a caption's end mean nothing."""
        features = self.words(tokens) + self.places[: tokens.shape[1]]
        there = (tokens > 0)[:, None, None]
        for layer in self.layers:
            features = layer(features, there)
        normed: Tensor = self.norm(features)
        return normed
