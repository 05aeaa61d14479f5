"""Folded layers whose channels are padded with zeros to multiples of 16, so that no call has to copy features.

Widths of a network that are no such multiples (81, 163, 61 at 0.64) would otherwise be padded again in every call
(`convolution.alignment`). Zeros stay zeros: a padded channel has weights 0 and shift 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from coevo.kernels.sparse.convolution.alignment import missing
from coevo.kernels.sparse.inference.folding import FoldedConv, FoldedLinear


def aligned(channels: int) -> int:
    """The next multiple of 16."""
    return channels + missing(channels)


def align_conv(conv: FoldedConv, inputs: Sequence[int], shortcut: Sequence[int] = ()) -> None:
    """Pads a layer in place. `inputs` and `shortcut` are the channels of the tensors that stand side by side in its
    input and in its shortcut's; each of them is padded."""
    outputs = missing(conv.weight.shape[2])
    conv.weight = pad(_aligned_rows(conv.weight, inputs), (0, outputs))
    conv.shift = pad(conv.shift, (0, outputs))
    if conv.shortcut_weight is not None:
        conv.shortcut_weight = pad(_aligned_rows(conv.shortcut_weight, shortcut), (0, outputs))


def align_linear(linear: FoldedLinear, *, outputs: bool = True) -> None:
    """Pads a linear layer's inputs in place, and its outputs where they go on into the network."""
    linear.weight = _aligned_rows(linear.weight, [linear.weight.shape[0]])
    if outputs:
        spare = missing(linear.weight.shape[1])
        linear.weight, linear.bias = pad(linear.weight, (0, spare)), pad(linear.bias, (0, spare))


def _aligned_rows(weight: Tensor, parts: Sequence[int]) -> Tensor:
    """The weight [.., C_in, C_out] with the rows of each part of C_in padded."""
    pieces = [pad(each, (0, 0, 0, missing(each.shape[-2]))) for each in torch.split(weight, list(parts), dim=-2)]
    return torch.cat(pieces, -2)
