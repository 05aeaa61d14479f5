"""Parameters and multiply-accumulates in closed form, against modules and against what torch counts."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.macs import block_macs, block_parameters, macs_of, parameters_of
from coevo.spaces.sana.model.transformer import SanaTransformer

MIXED = SanaConfig.small(48, 3, head_dim=16, cross_heads=3, patch_size=2).with_blocks(
    (BlockConfig("linear", 2.5), BlockConfig("softmax", 1.3), BlockConfig("linear", 3.0))
)
CONFIGS = {
    "small": SanaConfig.small(32, 2, head_dim=8, qk_norm=False),
    "mixed": MIXED,
    "sana-0.6b": SanaConfig.named("sana-0.6b"),
    "sana-4.8b": SanaConfig.named("sana-4.8b"),
}


def meta(config: SanaConfig) -> SanaTransformer:
    with torch.device("meta"):
        return SanaTransformer(config)


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_those_of_the_module(name: str) -> None:
    config = CONFIGS[name]
    model = meta(config)
    assert parameters_of(config) == sum(each.numel() for each in model.parameters())
    for index in {0, config.depth // 2, config.depth - 1}:
        assert block_parameters(config, index) == sum(each.numel() for each in model.blocks[index].parameters())


def test_a_depth_mask_leaves_its_blocks_out() -> None:
    keep = (True, False, True)
    without = MIXED.with_blocks((MIXED.blocks[0], MIXED.blocks[2]))
    assert parameters_of(MIXED, keep) == parameters_of(without)
    assert macs_of(MIXED, keep) == macs_of(without)


@pytest.mark.parametrize(("name", "side", "text_tokens"), [("small", 12, 1), ("mixed", 8, 5), ("sana-0.6b", 8, 3)])
def test_macs_are_what_torch_counts(name: str, side: int, text_tokens: int) -> None:
    config = CONFIGS[name]
    model = meta(config)
    args = (
        torch.empty(1, config.in_channels, side, side, device="meta"),
        torch.empty(1, device="meta"),
        torch.empty(1, text_tokens, config.caption_channels, device="meta"),
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*args)
    tokens = (side // config.patch_size) ** 2
    assert 2 * macs_of(config, tokens=tokens, text_tokens=text_tokens) == counter.get_total_flops()


def test_a_block_of_1024_tokens() -> None:
    """At 1024 pixels most of a block is its Mix-FFN, and the core of linear attention next to nothing."""
    for name, gflops in (("sana-1.6b", 148), ("sana-0.6b", 40)):
        macs = block_macs(SanaConfig.named(name), 0)
        assert 2 * macs.total / 1e9 == pytest.approx(gflops, rel=0.05)
        assert 0.5 < (macs.pointwise + macs.depthwise) / macs.total < 0.56
        assert 0.0015 < macs.attention / macs.total < 0.005
