"""Subnets are what is taken out of them; every mask is valid; a sandwich trains everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coevo.errors import InputError, UnknownName
from coevo.spaces.sana.depth.elastic_ffn import ElasticMixFFN
from coevo.spaces.sana.depth.masks import uniform_keep
from coevo.spaces.sana.depth.supernet import DepthSupernet, Subnet, drawn_keep, identity_supernet
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.mix_ffn import MixFFN
from tests.spaces.sana.small import batch, forward, transformer

RATIOS = (0.5, 1.0, 2.0)


def supernet(depth: int = 3, seed: int = 0, **more) -> DepthSupernet:
    return DepthSupernet(transformer(depth, seed=seed, ffn_ratio=2.0), RATIOS, **more)


@settings(max_examples=20, deadline=None)
@given(depth=st.integers(1, 4), seed=st.integers(0, 2**16))
def test_an_extracted_subnet_computes_what_the_supernet_does(depth, seed):
    net, data = supernet(depth, seed), batch(2, seed, masked=True)
    design = net.draw(np.random.default_rng(seed))
    net.set_design(design)
    inside, alone = forward(net, data), net.extract(design)
    assert torch.equal(forward(alone, data), inside)
    assert len(alone.blocks) == sum(design.keep) and not any(isinstance(m, ElasticMixFFN) for m in alone.modules())
    assert sum(p.numel() for p in alone.parameters()) <= sum(p.numel() for p in net.parameters())
    net.set_design(net.draw(np.random.default_rng(seed + 1)))
    assert torch.equal(forward(alone, data), forward(net.extract(design), data))  # whatever was set last


def test_the_largest_is_the_transformer_and_no_weight_is_shared():
    model, data = transformer(3, ffn_ratio=2.0), batch(2)
    net = DepthSupernet(model, RATIOS)
    assert torch.equal(forward(net, data), forward(model, data))
    assert torch.equal(forward(net.extract(net.largest), data), forward(model, data))
    assert list(net.transformer.state_dict()) == list(model.state_dict())
    with torch.no_grad():
        for each in net.parameters():
            each.zero_()
    assert forward(model, data).abs().max() > 0


def test_narrow_channels_come_from_both_halves_of_the_gate():
    torch.manual_seed(0)
    wide, narrow = ElasticMixFFN(8, 6), MixFFN(8, 4)
    narrow.load_state_dict(wide.weights(4))
    assert torch.equal(narrow.expand.weight, wide.expand.weight[[0, 1, 2, 3, 6, 7, 8, 9]])
    x = torch.randn(2, 12, 8)
    wide.active = 4
    assert torch.equal(wide(x, (3, 4)), narrow(x, (3, 4)))
    for wrong in (0, 7):
        with pytest.raises(InputError, match="1 to 6 of them"):
            wide.weights(wrong)


def test_kernels_serve_subnets_too():
    model, data = transformer(3, ffn_ratio=2.0), batch(2, masked=True)
    plain, fused = DepthSupernet(model, RATIOS), DepthSupernet(model.use_fused(), RATIOS)
    for seed in range(3):
        design = plain.draw(np.random.default_rng(seed))
        for net in (plain, fused):
            net.set_design(design)
        wanted = forward(plain, data)
        assert torch.allclose(forward(fused, data), wanted, atol=1e-5 * wanted.abs().max())
        assert torch.equal(forward(fused.extract(design), data), forward(fused, data))


def test_sorting_keeps_the_largest_and_helps_the_narrow():
    net, data = supernet(2, seed=4), batch(3)
    whole = forward(net, data)
    narrow = Subnet((True, True), (0.5, 0.5), ("linear", "linear"))
    with torch.no_grad():  # the last channels matter most
        for block in net.transformer.blocks:
            block.ffn.project.weight.mul_(torch.linspace(0, 1, 64) ** 4)
    whole = forward(net, data)

    def away():
        net.set_design(narrow)
        found = (forward(net, data) - whole).norm()
        net.set_design(net.largest)
        return found

    before = away()
    net.sort_ffn()
    assert torch.allclose(forward(net, data), whole, atol=1e-5)
    sums = net.transformer.blocks[0].ffn.project.weight.abs().sum(0)
    assert (sums.diff() <= 1e-6).all() and away() < 0.5 * before


def test_every_mask_of_identities_is_the_same_network():
    config = SanaConfig.small(32, 4, sample_size=4, caption_channels=8, ffn_ratio=2.0)
    net, data, rng = identity_supernet(config, RATIOS, least=2, seed=1), batch(2), np.random.default_rng(0)
    whole = forward(net, data)
    for _ in range(8):
        net.set_design(net.draw(rng))
        assert torch.equal(forward(net, data), whole)


def test_drawn_subnets_cover_the_space():
    net, rng = supernet(4, least=2), np.random.default_rng(0)
    drawn = [net.draw(rng) for _ in range(300)]
    assert {sum(each.keep) for each in drawn} == {2, 3, 4}
    assert {r for each in drawn for r in each.ffn_ratios} == set(RATIOS)
    assert {k for each in drawn for k in each.attention} == {"linear", "softmax"}
    small = net.smallest(rng)
    assert sum(small.keep) == 2 and set(small.ffn_ratios) == {0.5}
    often = np.mean([drawn_keep([8, 1, 1, 1], 4, 1, rng)[0] for _ in range(2000)])
    assert abs(often - 8 / 11) < 0.04
    for prior in ([1, 2, 3], [1, 1, 1, 0], [1, 1, 1, np.nan]):
        with pytest.raises(InputError, match="4 finite weights over 0"):
            net.draw(rng, prior)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": (True, True)}, "yes or no to 2 blocks, the transformer has 3"),
        ({"ffn_ratios": (1.0,)}, "ffn_ratios has 1 entries, the supernet has 3"),
        ({"attention": ("linear",) * 4}, "attention has 4 entries"),
        ({"ffn_ratios": (1.0, 1.0, 1.5)}, "1.5 is none of the supernet's"),
        ({"attention": ("linear", "linear", "softmaxx")}, "Did you mean 'softmax'"),
        ({"keep": (True, False, False)}, "keep 2 blocks or more, got 1"),
    ],
)
def test_bad_subnets(changes, message):
    net = supernet(3, least=2)
    before = net.design
    design = replace(Subnet(uniform_keep(3, 2), (1.0,) * 3, ("linear",) * 3), **changes)
    for use in (net.set_design, net.extract):
        with pytest.raises(InputError, match=message):
            use(design)
    assert net.design is before


def test_bad_supernets():
    with pytest.raises(InputError, match="block 0 of the transformer has 2"):
        DepthSupernet(transformer(2, ffn_ratio=2.0), (1.0, 3.0))
    with pytest.raises(UnknownName, match="linear, softmax"):
        DepthSupernet(transformer(2, ffn_ratio=2.0), RATIOS, ("cosine",))
    for given_, message in (
        ({"ratios": ()}, "distinct FFN ratios"), ({"ratios": (2.0, 2.0)}, "distinct FFN ratios"),
        ({"attention": ()}, "one kind"), ({"least": 3}, "1 to 2 kept blocks"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            DepthSupernet(transformer(2, ffn_ratio=2.0), **{"ratios": RATIOS, **given_})
