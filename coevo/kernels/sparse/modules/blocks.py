"""The blocks of MinkUNet and SPVCNN, with the parameter names of SPVNAS."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from coevo.errors import InputError
from coevo.kernels.sparse.modules.activation import ReLU
from coevo.kernels.sparse.modules.batch_norm import BatchNorm, normalize
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

    def forward(self, x: SparseTensor, second: SparseTensor | None = None) -> SparseTensor:
        """At the same voxels; `second` as `Conv3d` has it."""
        if self.downsample is not None:
            pointwise, fitted = layers_of(self.downsample)
            shortcut = fitted(pointwise(x, second))
        else:
            shortcut = x if second is None else concatenate([x, second])
        first, norm, _, last, last_norm = layers_of(self.net)
        middle = normalize(first(x, second), norm, relu=True)
        return normalize(last(middle), last_norm, residual=shortcut.feats, relu=True)


def concatenate(tensors: list[SparseTensor]) -> SparseTensor:
    """The channels of tensors of the same voxels side by side."""
    return tensors[0].with_feats(torch.cat([each.feats for each in tensors], dim=1))
