"""Parameters and multiply-accumulates of a transformer, from its shape alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.embeddings import FREQUENCIES


@dataclass(frozen=True)
class BlockMacs:
    """Multiply-accumulates of one block for one image.

    projections: the matrices of the self-attention.
    attention: its core, linear or softmax.
    cross_attention: matrices and core of the attention over the text.
    pointwise: the Mix-FFN's matrices.
    depthwise: its convolution.
    """

    projections: int
    attention: int
    cross_attention: int
    pointwise: int
    depthwise: int

    @property
    def total(self) -> int:
        return self.projections + self.attention + self.cross_attention + self.pointwise + self.depthwise


def block_parameters(config: SanaConfig, index: int) -> int:
    """Parameters of a block: 15.5 D^2 and what is linear in D, for the released shapes."""
    width, inner, hidden = config.width, config.cross_heads * config.cross_head_dim, config.ffn_channels(index)
    norms = 2 * (width + inner) if config.qk_norm else 0
    attention = 3 * width * width + _linear(width, width)
    cross = _linear(width, inner) + _linear(width, 2 * inner) + _linear(inner, width)
    ffn = _linear(width, 2 * hidden) + 2 * hidden * (9 + 1) + hidden * width
    return attention + cross + norms + ffn + 6 * width


def parameters_of(config: SanaConfig, keep: Sequence[bool] | None = None) -> int:
    """Parameters of a transformer, or of the one with the blocks of a depth mask."""
    width, pixels = config.width, config.patch_size**2
    patches = _linear(config.in_channels * pixels, width)
    time = _linear(FREQUENCIES, width) + _linear(width, width) + _linear(width, 6 * width)
    text = _linear(config.caption_channels, width) + _linear(width, width) + width
    head = _linear(width, pixels * config.out_channels) + 2 * width
    return patches + time + text + head + sum(block_parameters(config, index) for index in _kept(config, keep))


def block_macs(config: SanaConfig, index: int, *, tokens: int | None = None, text_tokens: int = 300) -> BlockMacs:
    """What a block computes for one image.

    Args:
        config: the transformer's shape.
        index: of the block.
        tokens: of the image; None is what `sample_size` makes.
        text_tokens: of the text, masked ones among them.
    """
    n, width, inner = tokens or config.tokens, config.width, config.cross_heads * config.cross_head_dim
    hidden, head_dim = config.ffn_channels(index), config.head_dim
    linear = config.blocks[index].attention == "linear"
    # Linear: sums of keys and values with a column of ones, then their product with queries, both (d + 1) d a head.
    core = 2 * n * config.heads * (head_dim + 1) * head_dim if linear else 2 * n * n * width
    return BlockMacs(
        projections=4 * n * width * width,
        attention=core,
        cross_attention=2 * n * width * inner + 2 * text_tokens * width * inner + 2 * n * text_tokens * inner,
        pointwise=3 * n * width * hidden,
        depthwise=n * 2 * hidden * 9,
    )


def macs_of(
    config: SanaConfig, keep: Sequence[bool] | None = None, *, tokens: int | None = None, text_tokens: int = 300
) -> int:
    """Multiply-accumulates of one evaluation for one image; arguments as of `block_macs` and `parameters_of`. Norms,
    activations, gates and the softmax itself are not counted."""
    n, width = tokens or config.tokens, config.width
    patch = config.patch_size**2 * width
    outer = n * patch * (config.in_channels + config.out_channels)
    time = FREQUENCIES * width + 7 * width * width
    text = text_tokens * (config.caption_channels * width + width * width)
    blocks = (block_macs(config, index, tokens=n, text_tokens=text_tokens) for index in _kept(config, keep))
    return outer + time + text + sum(each.total for each in blocks)


def _kept(config: SanaConfig, keep: Sequence[bool] | None) -> list[int]:
    return [index for index in range(config.depth) if keep is None or keep[index]]


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs
