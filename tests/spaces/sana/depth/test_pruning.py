"""A pruned model is its masked source; the search finds what there is to find."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coevo.errors import InputError
from coevo.spaces.sana.depth.masks import uniform_keep
from coevo.spaces.sana.depth.pruning import most_important, pruned, search_keep
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer
from tests.spaces.sana.small import batch, forward, transformer


@settings(max_examples=15, deadline=None)
@given(keep=st.lists(st.booleans(), min_size=1, max_size=5).filter(any), seed=st.integers(0, 99))
def test_a_pruned_model_equals_the_masked_one(keep, seed):
    model, data = transformer(len(keep), seed=seed), batch(2, seed, masked=True)
    smaller = pruned(model, keep)
    assert torch.equal(forward(smaller, data), forward(model, data, keep=keep))
    assert len(smaller.blocks) == smaller.config.depth == sum(keep)
    with torch.no_grad():
        smaller.blocks[0].table.add_(1)  # a copy: the source stays
        smaller.out.bias.add_(1)
    assert torch.equal(forward(pruned(model, keep), data), forward(model, data, keep=keep))


def test_shapes_modes_and_frozen_blocks_go_along():
    blocks = [BlockConfig("linear", 1.0), BlockConfig("softmax", 2.0), BlockConfig("linear", 0.5)]
    torch.manual_seed(0)
    model = SanaTransformer(SanaConfig.small(32, 3, sample_size=4, caption_channels=8).with_blocks(blocks)).eval()
    model.blocks[2].table.requires_grad_(False)
    assert not any(each.fused for each in pruned(model, (True,) * 3).blocks)
    smaller = pruned(model.bfloat16().use_fused(), (False, True, True))
    assert all(each.fused and each.ffn.fused and each.attention.fused for each in smaller.blocks)
    assert smaller.config.blocks == tuple(blocks[1:]) and not smaller.training
    assert {each.dtype for each in smaller.parameters()} == {torch.bfloat16}
    assert not smaller.blocks[1].table.requires_grad and smaller.blocks[0].table.requires_grad


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(InputError, match="yes or no to 2 blocks, the transformer has 3"):
        pruned(transformer(3), (True, False))
    with pytest.raises(InputError, match="keeps none"):
        pruned(transformer(3), (False,) * 3)


def test_the_most_important_blocks_stay():
    assert most_important([3, 1, 2, 2], 2) == (True, False, True, False)
    for scores, message in (([1, np.nan], "finite"), ([[1.0]], "finite"), ([1, 2], "1 to 2 kept blocks, got 3")):
        with pytest.raises(InputError, match=message):
            most_important(scores, 3)


def test_the_search_finds_two_runs_that_single_scores_miss():
    depth, kept = 12, 6
    wanted = tuple(i not in (2, 3, 4, 8, 9, 10) for i in range(depth))

    def score(keep):  # neighbours that leave together cost nothing, so that no sum over blocks tells
        scored.append(keep)
        return sum(a != b for a, b in zip(keep, wanted, strict=True)) - 0.5 * sum(
            not a and not b for a, b in itertools.pairwise(keep)
        )

    scored: list[tuple[bool, ...]] = []
    begin = [uniform_keep(depth, kept), (True,) * 6 + (False,) * 6]
    found = search_keep(depth, kept, score, evaluations=200, rng=np.random.default_rng(0), begin=begin)
    assert found.keep == wanted and found.score == score(wanted)
    scored.pop()
    assert scored[:2] == begin and len(scored) == len(set(scored)) == len(found.history) <= 200
    assert all(sum(each) == kept for each in scored)
    again = search_keep(depth, kept, score, evaluations=200, rng=np.random.default_rng(0), begin=begin)
    assert again.history == found.history


def test_small_spaces_end_and_scores_that_are_no_numbers_lose():
    found = search_keep(
        4, 2, lambda keep: float("nan") if keep[0] else 1.0, evaluations=50, rng=np.random.default_rng(0)
    )
    assert len(found.history) == 6 and not found.keep[0] and found.score == 1.0
    assert search_keep(3, 3, lambda keep: 2.0, evaluations=9, rng=np.random.default_rng(0)).history == [
        ((True,) * 3, 2)
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"begin": [(True, False)]}, "yes or no to 2 blocks"),
        ({"begin": [(True, False, False)]}, "keeps 1 blocks, expected 2"),
        ({"evaluations": 0}, "from 1 up"),
        ({"crossover": 2}, "0 to 1"),
    ],
)
def test_bad_searches(changes, message):
    given = {"evaluations": 5, "rng": np.random.default_rng(0), **changes}
    with pytest.raises(InputError, match=message):
        search_keep(3, 2, lambda keep: 0.0, **given)
