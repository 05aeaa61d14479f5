"""Blocks that change nothing: their three output layers are zero, whatever is before those."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coevo.spaces.sana.model.block import SanaBlock
from coevo.spaces.sana.model.transformer import SanaTransformer

OUTPUTS = ("attention.out.weight", "attention.out.bias", "cross_attention.out.weight", "cross_attention.out.bias",
           "ffn.project.weight")  # fmt: skip
"""What a block adds to the tokens goes through these; with all of them zero the block is the identity."""
ZERO_BIASES = ("cross_attention.query.bias", "cross_attention.key_value.bias")
QUERY_KEY_NORMS = (
    "attention.query_norm.weight", "attention.key_norm.weight", "cross_attention.query_norm.weight",
    "cross_attention.key_norm.weight",
)  # fmt: skip
DEPTHWISE = ("ffn.depthwise.weight", "ffn.depthwise.bias")
DEPTHWISE_SCALE = 0.2
SCALE = 0.02


@torch.no_grad()
def draw_identity(block: SanaBlock, generator: torch.Generator) -> None:
    """A new block of partial preservation (Sana-1.5, section 2.1; the released code's `constant`), in place.

    Outputs and the biases of cross-attention are zero, norms of queries and keys one, the depthwise convolution's
    weights and bias normal of deviation 0.2, everything else normal of 0.02, the table of the time's rows too.

    Args:
        generator: on the CPU; the block may be anywhere.
    """
    for name, parameter in block.named_parameters():
        if name in OUTPUTS or name in ZERO_BIASES:
            parameter.zero_()
        elif name in QUERY_KEY_NORMS:
            parameter.fill_(1.0)
        else:
            parameter.copy_(normal(parameter, generator) * (DEPTHWISE_SCALE if name in DEPTHWISE else SCALE))


@torch.no_grad()
def close_gates(block: SanaBlock) -> None:
    """The released code's `zero_gate`, in place: outputs and the whole table of the time's rows are zero, the rest
    stays."""
    for name, parameter in block.named_parameters():
        if name in OUTPUTS or name == "table":
            parameter.zero_()


def is_identity(block: nn.Module) -> bool:
    """Whether the block gives back the tokens that it gets, for any input."""
    return all(not bool(each.any()) for name, each in block.named_parameters() if name in OUTPUTS)


def is_fused(model: SanaTransformer) -> bool:
    """Whether the model's blocks run by the kernels (`use_fused`), so that what is made from it does too."""
    return any(isinstance(each, SanaBlock) and each.fused for each in model.blocks)


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Normal numbers of a tensor's shape, drawn on the CPU in float32, so that every device has the same ones."""
    return torch.randn(like.shape, generator=generator).to(like.device, like.dtype)
