"""Verifiers: the noisy one's rate of errors, altered prompts, and a learned one that learns."""

from __future__ import annotations

import random

import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.data.drawn import CATEGORIES, draw_scenes
from coevo.spaces.sana.data.prompts import altered, captions_of, parse_prompt, prompts_of
from coevo.spaces.sana.data.satisfaction import satisfied, why_not
from coevo.spaces.sana.data.scenes import render_batch
from coevo.spaces.sana.scaling.verifiers import LearnedVerifier, NoisyVerifier, matching_batch, train_verifier


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_scene_satisfies_an_altered_prompt() -> None:
    scenes, categories = draw_scenes(1500, seeded(0))
    rng = random.Random(0)
    seen = set()
    for scene, prompt in zip(scenes.scenes(), prompts_of(scenes, categories), strict=True):
        other = altered(prompt, rng)
        seen.add((prompt.category, other.category))
        assert why_not(scene.objects, prompt) is None and why_not(scene.objects, other) is not None
        assert parse_prompt(other.text) == other
    assert {before for before, _ in seen} == set(CATEGORIES)
    assert {("single_object", "counting"), ("two_object", "single_object"), ("position", "position")} <= seen


def test_a_noisy_verifier_is_wrong_as_often_as_it_says() -> None:
    scenes, categories = draw_scenes(300, seeded(1))
    images, captions = render_batch(scenes, 64), captions_of(scenes, categories)
    assert NoisyVerifier(0.0)(images, captions) == [1.0] * 300
    assert NoisyVerifier(1.0)(images, captions) == [0.0] * 300
    first, again = NoisyVerifier(0.2, seed=1), NoisyVerifier(0.2, seed=1)
    answers = first(images, captions)
    assert answers == again(images, captions) != first(images, captions)
    assert sum(answers) / 300 == pytest.approx(0.8, abs=0.08)
    with pytest.raises(InputError, match="share of 0 to 1, got 2"):
        NoisyVerifier(2)


def test_matching_batches_say_what_matches() -> None:
    images, captions, match = matching_batch(200, 64, seeded(2), distort=lambda images, _: images)
    assert torch.equal(satisfied(images, captions).float(), match)
    assert 70 < match.sum() < 130
    again = matching_batch(200, 64, seeded(2))
    assert again[1] == captions and torch.equal(again[2], match) and not torch.equal(again[0], images)


def test_a_learned_verifier_learns_and_reads_images_and_words() -> None:
    torch.manual_seed(0)
    verifier = LearnedVerifier(16, 1)
    right = train_verifier(verifier, 3, batch=8, size_px=32)
    assert 0 <= right <= 1
    images, captions, match = matching_batch(24, 32, seeded(3))
    before = verifier.score(images, captions)
    optimizer = torch.optim.AdamW(verifier.parameters(), lr=3e-3)
    tokens, _ = verifier.text.tokens_of(captions)
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(verifier(images, tokens), match)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = verifier.score(images, captions, batch=7)
    hits = [(score > 0) == (wanted > 0.5) for score, wanted in zip(after, match.tolist(), strict=True)]
    assert sum(hits) >= 22 and before != after
    assert verifier.score(images.flip(0), captions) != pytest.approx(after, abs=1e-3)
    with pytest.raises(InputError, match="unknown attribute 'teal'"):
        verifier.score(images[:1], ["a teal ring"])
    with pytest.raises(InputError, match="at least one step"):
        train_verifier(verifier, 0)
