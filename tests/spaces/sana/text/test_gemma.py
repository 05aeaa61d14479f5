"""What of a prompt reaches the transformer: the beginning and what stands after the instruction.

The words of the instruction, and which places are kept, are those of diffusers' SanaPipeline.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from coevo.errors import InputError, MissingExtra
from coevo.spaces.sana.text.gemma import INSTRUCTION, GemmaEncoder


class Words:
    """A tokenizer of words, with a beginning token, as Gemma's has."""

    padding_side = "left"

    def encode(self, text: str) -> list[int]:
        return [1, *(2 + int(hashlib.sha1(word.encode()).hexdigest()[:6], 16) % 996 for word in text.split())]

    def __call__(self, texts: list[str], *, max_length: int, **options: Any) -> dict[str, torch.Tensor]:
        assert options == {
            "padding": "max_length",
            "truncation": True,
            "add_special_tokens": True,
            "return_tensors": "pt",
        }
        assert self.padding_side == "right"
        rows = [self.encode(text)[:max_length] for text in texts]
        return {
            "input_ids": torch.tensor([row + [0] * (max_length - len(row)) for row in rows]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (max_length - len(row)) for row in rows]),
        }


class Places(nn.Module):
    """Its last hidden state says which token stood where."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor]:
        places = torch.arange(ids.shape[1]).expand_as(ids)
        return (torch.stack([ids, places], dim=-1).float() * self.weight,)


def test_the_prompt_after_the_instruction_is_kept() -> None:
    words = Words()
    encoder = GemmaEncoder(words, Places(), most_tokens=10)
    features, mask = encoder.encode([" A Red ring ", "two " * 30])
    prefix = len(words.encode(INSTRUCTION))
    assert features.shape == (2, 10, 2) and mask.dtype == torch.bool
    assert features[0, 0, 0] == 1 and features[0, 0, 1] == 0
    assert features[0, 1:, 1].tolist() == list(range(prefix - 1, prefix + 8))
    # One place before the prompt is kept: the last word of the instruction.
    assert features[0, 1:5, 0].tolist() == words.encode("Prompt: a red ring")[1:]
    assert mask[0].tolist() == [True] * 5 + [False] * 5 and mask[1].all()


def test_without_the_instruction() -> None:
    words = Words()
    features, mask = GemmaEncoder(words, Places(), most_tokens=6).encode([""], instruct=False)
    assert features.shape == (1, 6, 2) and mask.tolist() == [[True] + [False] * 5]
    with pytest.raises(InputError, match="at least one prompt"):
        GemmaEncoder(words, Places()).encode([])


def test_the_instruction_is_the_released_one() -> None:
    """The digest is of diffusers 0.42.1's default `complex_human_instruction`, its lines joined."""
    assert hashlib.sha256(INSTRUCTION.encode()).hexdigest() == DIGEST


def test_without_the_package_or_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="it is not there"):
        GemmaEncoder.load(tmp_path / "none")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match="'gemma'"):
        GemmaEncoder.load(tmp_path)


DIGEST = "48290080bb4fd4a264bdc81d0647ac0221359a36506e2b3e954616d6cb48c3da"
