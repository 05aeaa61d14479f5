"""Captions as tokens, and the encoder of them."""

from __future__ import annotations

import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.data.drawn import CATEGORIES
from coevo.spaces.sana.data.prompts import all_prompts
from coevo.spaces.sana.text.attribute import BEGIN, AttributeEncoder, tokens_of


def test_tokens_tell_captions_apart() -> None:
    texts = [prompt.text for category in CATEGORIES for prompt in all_prompts(category)]
    tokens, mask = tokens_of([*texts, ""])
    assert tokens.shape == mask.shape == (len(texts) + 1, 16)
    assert len({tuple(row) for row in tokens.tolist()}) == len(texts) + 1
    assert (tokens[:, 0] == BEGIN).all()
    assert mask.sum(1).tolist() == [1 + len(text.split()) for text in texts] + [1]
    assert torch.equal(mask, tokens > 0)
    assert tokens_of([])[0].shape == (0, 16)


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(
        InputError, match=r"unknown attribute 'orange' in the caption 'an? orange ring'.*vocabulary: a, two"
    ):
        tokens_of(["a ring", "a orange ring"])
    with pytest.raises(InputError, match="at most 3 words, got 5"):
        tokens_of(["a ring and a ring"], 3)
    with pytest.raises(InputError, match="multiple of the 4 heads, got 30"):
        AttributeEncoder(30)


@pytest.mark.parametrize("layers", [0, 2])
def test_features_follow_from_the_words_and_their_order(layers: int) -> None:
    torch.manual_seed(0)
    encoder = AttributeEncoder(32, layers).eval()
    assert encoder.to_json() == {"channels": 32, "layers": layers, "heads": 4, "most_words": 15}
    tokens, _ = encoder.tokens_of(["a red ring and a blue cross", "a blue ring and a red cross", "a ring"])
    features = encoder(tokens)
    assert features.shape == (3, 16, 32)
    assert (features[0, :8] - features[1, :8]).abs().max() > 0.1
    alone = encoder(tokens[2:])
    assert torch.allclose(features[2, :3], alone[0, :3], atol=1e-5)
    longer = tokens[2:].clone()
    assert torch.allclose(encoder(longer[:, :3])[0], alone[0, :3], atol=1e-5)  # what stands after the end is not read


def test_every_weight_learns() -> None:
    torch.manual_seed(1)
    encoder = AttributeEncoder(16, 1)
    tokens, mask = encoder.tokens_of(["two red rings"])
    (encoder(tokens)[mask] ** 3).sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in encoder.parameters())
