"""Growth keeps what a transformer computes, and what begins as zero learns."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coevo.errors import InputError, UnknownName
from coevo.spaces.sana.depth.growth import GATED, STRATEGIES, grow, truncated
from coevo.spaces.sana.depth.identity import OUTPUTS, ZERO_BIASES, is_identity
from coevo.spaces.sana.flow.objective import flow_loss
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer
from tests.spaces.sana.small import batch, forward, transformer

SILENT = (("partial_preservation", False), ("cyclic", True), ("block_expand", True))
"""(strategy, zero_gate) whose new blocks change nothing at first."""


@settings(max_examples=25, deadline=None)
@given(
    way=st.sampled_from(SILENT), source=st.integers(1, 4), more=st.integers(0, 5), drop=st.integers(0, 3),
    qk_norm=st.booleans(), seed=st.integers(0, 2**16),
)  # fmt: skip
def test_a_grown_model_equals_its_truncated_source(way, source, more, drop, qk_norm, seed):
    strategy, zero_gate = way
    drop = min(drop, source - 1)
    depth = source + more
    if strategy == "block_expand":
        depth += -depth % (source - drop)
    model, data = transformer(source, seed=seed, qk_norm=qk_norm), batch(2, seed, masked=True)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    grown = grow(
        model, depth, strategy, drop_last=drop, zero_gate=zero_gate, generator=torch.Generator().manual_seed(seed)
    )  # fmt: skip
    assert len(grown.blocks) == grown.config.depth == depth
    assert torch.equal(forward(grown, data), forward(truncated(model, drop), data))
    assert sum(not is_identity(each) for each in grown.blocks) == source - drop
    for name, each in model.state_dict().items():
        assert torch.equal(each, before[name])
    for one, other in zip(grown.parameters(), model.parameters(), strict=False):
        assert one.data_ptr() != other.data_ptr()


@pytest.mark.parametrize(("strategy", "zero_gate"), SILENT)
@pytest.mark.parametrize("qk_norm", [True, False])
def test_every_zeroed_tensor_learns(strategy, zero_gate, qk_norm):
    model, data = transformer(2, qk_norm=qk_norm), batch(8)
    grown = grow(model, 4, strategy, drop_last=0, zero_gate=zero_gate)
    zeroed = {name: each for name, each in grown.named_parameters() if name.startswith("blocks.") and not each.any()}
    new = [i for i, block in enumerate(grown.blocks) if is_identity(block)]
    assert {name for i in new for name in (f"blocks.{i}.{out}" for out in OUTPUTS)} <= set(zeroed)
    optimizer = torch.optim.SGD(grown.parameters(), lr=0.05)
    for step in range(3):
        optimizer.zero_grad()
        loss = flow_loss(grown, data.latents, data.text, generator=torch.Generator().manual_seed(step))
        loss.backward()
        if step == 0:  # the outputs at once; what is before them once they have moved
            for name, each in zeroed.items():
                if name.split(".", 2)[2] in OUTPUTS:
                    assert each.grad.abs().max() > 0, name
        optimizer.step()
    for name, each in zeroed.items():
        assert each.abs().max() > 1e-9, name
    for i in new:  # and so does everything else of a new block
        assert all(p.grad.abs().max() > 0 for p in grown.blocks[i].parameters())


def test_partial_preservation_draws_what_the_released_code_draws():
    model = transformer(3, width=64, ffn_ratio=4.0)
    grown = grow(model, 5, drop_last=1, generator=torch.Generator().manual_seed(3))
    for block in grown.blocks[2:]:
        for name, each in block.named_parameters():
            if name in OUTPUTS or name in ZERO_BIASES:
                assert not each.any(), name
            elif name.endswith("_norm.weight"):
                assert torch.equal(each, torch.ones_like(each)), name
            else:
                wanted = 0.2 if name.startswith("ffn.depthwise") else 0.02
                assert each.mean().abs() < wanted / 3 and abs(each.std() / wanted - 1) < 0.2, name
    assert not torch.equal(grown.blocks[2].table, grown.blocks[3].table)
    again = grow(model, 5, drop_last=1, generator=torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(grown.parameters(), again.parameters(), strict=True))


def test_where_blocks_come_from():
    model = transformer(4)

    def same(grown, to, of):
        return all(
            torch.equal(a, b) for a, b in zip(grown.blocks[to].parameters(), model.blocks[of].parameters(), strict=True)
        )

    cyclic = grow(model, 7, "cyclic", drop_last=1)
    assert all(same(cyclic, i, i % 3) for i in range(7))
    expanded = grow(model, 8, "block_expand", drop_last=0)
    assert all(same(expanded, i, i // 2) for i in range(8))
    gated = grow(model, 8, "block_expand", drop_last=0, zero_gate=True)
    assert [same(gated, i, i // 2) for i in range(8)] == [True, False] * 4
    assert not gated.blocks[1].table.any()
    assert torch.equal(gated.blocks[1].attention.qkv.weight, model.blocks[0].attention.qkv.weight)
    noisy = grow(model, 6, "progressive", drop_last=0)
    assert all(same(noisy, i, i) for i in range(4))
    for i in (4, 5):  # noise on noise
        change = noisy.blocks[i].attention.qkv.weight - noisy.blocks[i - 1].attention.qkv.weight
        assert abs(change.std() / 0.01 - 1) < 0.1
    mixed = grow(
        model, 6, "interpolation", drop_last=0
    )  # block 5 is at 5 * 4 / 6 = 3.33: its upper neighbour is itself
    a, b = (model.blocks[i].ffn.expand.weight for i in (2, 3))
    assert torch.allclose(mixed.blocks[4].ffn.expand.weight, (1 / 3) * a + (2 / 3) * b, atol=1e-6)
    assert torch.allclose(mixed.blocks[5].ffn.expand.weight, b, atol=1e-6)
    fresh = grow(model, 6, "random", drop_last=2)
    assert same(fresh, 0, 0) and same(fresh, 1, 1) and not any(same(fresh, 2, i) for i in range(4))
    assert not fresh.blocks[2].attention.out.bias.any() and fresh.blocks[2].attention.out.weight.any()
    for grown in (cyclic, expanded, gated, noisy, mixed, fresh):
        assert torch.equal(grown.patches.projection.weight, model.patches.projection.weight)
        assert torch.equal(grown.table, model.table)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_dtype_mode_and_frozen_stems_are_kept(strategy):
    model = transformer(2).to(torch.bfloat16).eval().use_fused()
    model.out.weight.requires_grad_(False)
    grown = grow(model, 4, strategy, drop_last=0)
    assert {each.dtype for each in grown.parameters()} == {torch.bfloat16} and not grown.training
    assert all(each.fused for each in grown.blocks) and all(each.ffn.fused for each in grown.blocks)
    assert not grown.out.weight.requires_grad and grown.out.bias.requires_grad


def test_blocks_bring_their_shapes():
    blocks = [BlockConfig("linear", 1.0), BlockConfig("softmax", 2.0)]
    torch.manual_seed(0)
    model = SanaTransformer(SanaConfig.small(32, 2, sample_size=4, caption_channels=8).with_blocks(blocks))
    assert grow(model, 4, "cyclic", drop_last=0).config.blocks == (*blocks, *blocks)
    assert grow(model, 4, drop_last=0).config.blocks == (*blocks, blocks[1], blocks[1])
    with pytest.raises(InputError, match="mixture of the source's blocks 0 and 1"):
        grow(model, 5, "interpolation", drop_last=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 2}, "grows to a depth of 3 or more, got 2"),
        ({"depth": 4.0}, "got 4.0"),
        ({"drop_last": 3}, "expected 0 to 2"),
        ({"drop_last": -1}, "expected 0 to 2"),
        ({"strategy": "block_expand", "depth": 5}, "Choose a depth of 3 or 6"),
        ({"strategy": "progressive", "zero_gate": True}, "zero_gate belongs to cyclic and block_expand"),
    ],
)
def test_bad_growth(changes, message):
    given = {"depth": 5, "strategy": "partial_preservation", "drop_last": 0, **changes}
    with pytest.raises(InputError, match=message):
        grow(transformer(3), given.pop("depth"), given.pop("strategy"), **given)


def test_an_unknown_strategy_names_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'progressive'"):
        grow(transformer(3), 5, "progresive")
    assert set(GATED) <= set(STRATEGIES)
