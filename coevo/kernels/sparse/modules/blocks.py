"""The blocks of MinkUNet and SPVCNN, with the parameter names of SPVNAS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from coevo.errors import InputError
from coevo.kernels.sparse.modules.activation import ReLU
from coevo.kernels.sparse.modules.batch_norm import BatchNorm, normalize
from coevo.kernels.sparse.modules.block_training import Source, fits, is_plain, run_block
from coevo.kernels.sparse.modules.conv import Conv3d
from coevo.kernels.sparse.tensors import SparseTensor


def layers_of(net: nn.Module) -> tuple[Any, ...]:
    """The layers of a Sequential or a ModuleList."""
    return tuple(net.children())


def run_fused(layers: nn.Sequential, x: SparseTensor) -> SparseTensor:
    """The layers one after another; a BatchNorm and the ReLU behind it in one pass."""
    at = 0
    while at < len(layers):
        layer = layers[at]
        if type(layer) is BatchNorm:
            relu = at + 1 < len(layers) and type(layers[at + 1]) is ReLU
            x = normalize(x, layer, relu=relu)
            at += 2 if relu else 1
        else:
            x = layer(x)
            at += 1
    return x


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, transposed: bool = False
    ) -> None:
        super().__init__()
        self.net = nn.Sequential(
            Conv3d(in_channels, out_channels, kernel_size, stride, transposed=transposed),
            BatchNorm(out_channels),
            ReLU(),
        )

    def forward(self, x: SparseTensor) -> SparseTensor:
        """At the voxels of the convolution's output."""
        return run_fused(self.net, x)


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions and a shortcut: the identity, or a 1x1x1 convolution where the channels change.

    Args:
        in_channels, out_channels: of the block; an input of two tensors has the channels of both.
        middle_channels: between the two convolutions, `out_channels` where it is None.
        projects: whether the shortcut is a convolution; where the channels change if it is None.
    """

    def __init__(
        self, in_channels: int, out_channels: int, middle_channels: int | None = None, projects: bool | None = None
    ) -> None:
        super().__init__()
        middle = out_channels if middle_channels is None else middle_channels
        if projects is False and in_channels != out_channels:
            raise InputError(f"a block from {in_channels} to {out_channels} channels needs a shortcut that projects")
        self.net = nn.Sequential(
            Conv3d(in_channels, middle),
            BatchNorm(middle),
            ReLU(),
            Conv3d(middle, out_channels),
            BatchNorm(out_channels),
        )
        self.downsample: nn.Sequential | None = None
        if projects or in_channels != out_channels:
            self.downsample = nn.Sequential(Conv3d(in_channels, out_channels, 1), BatchNorm(out_channels))
        self.relu = ReLU()

    def forward(
        self, x: SparseTensor, second: SparseTensor | None = None, before: BatchNorm | None = None
    ) -> SparseTensor:
        """At the same voxels; `second` as `Conv3d` has it. With `before`, x is normalised by it first, with a ReLU."""
        return self.run(x, second, before)[0]

    def run(
        self,
        x: SparseTensor,
        second: SparseTensor | None = None,
        before: BatchNorm | None = None,
        source: Source | None = None,
        forgets: bool = False,
    ) -> tuple[SparseTensor, Source | None]:
        """`forward`, with `source` and `forgets` as `block_training.run_block` has them where the block runs as one
        step; where it does not, nothing is forgotten and no source comes back."""
        first, norm, _, last, last_norm = layers_of(self.net)
        fitting = None if self.downsample is None else layers_of(self.downsample)
        convolutions, norms = [first, last], [norm, last_norm, *([] if before is None else [before])]
        if fitting is not None:
            convolutions, norms = [*convolutions, fitting[0]], [*norms, fitting[1]]
        joins = fitting is not None or second is None  # else the shortcut is both inputs side by side
        if joins and is_plain(self) and fits(convolutions, norms, x):
            return run_block(x, second, (first, norm), (last, last_norm), fitting, before, source, forgets)
        if before is not None:
            x = normalize(x, before, relu=True)
        if fitting is not None:
            shortcut = fitting[1](fitting[0](x, second))
        else:
            shortcut = x if second is None else concatenate([x, second])
        middle = normalize(first(x, second), norm, relu=True)
        return normalize(last(middle), last_norm, residual=shortcut.feats, relu=True), None


def run_stage(
    resample: ConvBlock, blocks: Sequence[ResidualBlock], x: SparseTensor, second: SparseTensor | None = None
) -> SparseTensor:
    """`resample` and the blocks one after another, the first with `second`. While training, the norm and ReLU of
    `resample` are left to the first block, and what goes from one block to its partner is not kept for backward."""
    is_joined = bool(blocks) and type(resample) is ConvBlock and is_plain(resample, *blocks)
    if not is_joined or any(type(each) is not ResidualBlock for each in blocks):
        x = resample(x)
        for number, block in enumerate(blocks):
            x = block(x, second if number == 0 else None)
        return x
    convolution, before, _ = layers_of(resample.net)
    x, source = convolution(x), None
    for number, block in enumerate(blocks):
        forgets = number % 2 == 0 and number + 1 < len(blocks)
        x, source = block.run(x, second, before, source, forgets)
        second = before = None
    return x


def concatenate(tensors: list[SparseTensor]) -> SparseTensor:
    """The channels of tensors of the same voxels side by side."""
    return tensors[0].with_feats(torch.cat([each.feats for each in tensors], dim=1))
