"""The blocks of `coevo.kernels.sparse.modules.blocks` with channels that shrink; parameter names are the same."""

from __future__ import annotations

from typing import cast

from torch import nn

from coevo.kernels.sparse.tensors import SparseTensor
from coevo.supernets.elastic.row_norm import ElasticBatchNorm
from coevo.supernets.elastic.sparse_convolution import ElasticConv3d

Normed = tuple[ElasticConv3d, ElasticBatchNorm]


def _pair(layers: nn.ModuleList, place: int) -> Normed:
    """The convolution at this place and the norm behind it."""
    return cast(ElasticConv3d, layers[place]), cast(ElasticBatchNorm, layers[place + 1])


def normed(
    conv: ElasticConv3d, norm: ElasticBatchNorm, x: SparseTensor, outputs: int, second: SparseTensor | None = None,
    residual: SparseTensor | None = None, relu: bool = True,
) -> SparseTensor:  # fmt: skip
    """Convolution, batch norm, an added residual, ReLU."""
    found: SparseTensor = conv(x, outputs, second)
    added = None if residual is None else residual.feats
    return found.with_feats(norm(found.feats, found.count, added, relu))


class ElasticStem(nn.ModuleList):
    """Two 3x3x3 convolutions of one width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        first, last = ElasticConv3d(inputs, outputs), ElasticConv3d(outputs, outputs)
        super().__init__([first, ElasticBatchNorm(outputs), nn.Identity(), last, ElasticBatchNorm(outputs)])

    @property
    def layers(self) -> tuple[Normed, Normed]:
        """The two convolutions, each with its norm."""
        return _pair(self, 0), _pair(self, 3)

    def forward(self, x: SparseTensor, outputs: int) -> SparseTensor:
        first, last = self.layers
        return normed(*last, normed(*first, x, outputs), outputs)


class ElasticConvBlock(nn.Module):
    """The 2x2x2 convolution with stride 2 that begins a stage."""

    def __init__(self, inputs: int, outputs: int, transposed: bool = False) -> None:
        super().__init__()
        conv = ElasticConv3d(inputs, outputs, 2, 2, transposed)
        self.net = nn.ModuleList([conv, ElasticBatchNorm(outputs)])

    @property
    def layers(self) -> Normed:
        """Convolution and norm."""
        return _pair(self.net, 0)

    def forward(self, x: SparseTensor, outputs: int) -> SparseTensor:
        return normed(*self.layers, x, outputs)


class ElasticResidualBlock(nn.Module):
    """Two 3x3x3 convolutions with a width of their own between them, and a shortcut.

    Args:
        inputs, middle, outputs: most channels.
        projects: whether the shortcut is a 1x1x1 convolution; else input and output have the same channels.
        most_first: as `ElasticConv3d`.
    """

    def __init__(self, inputs: int, middle: int, outputs: int, projects: bool, most_first: int | None = None) -> None:
        super().__init__()
        first, last = ElasticConv3d(inputs, middle, most_first=most_first), ElasticConv3d(middle, outputs)
        self.net = nn.ModuleList([first, ElasticBatchNorm(middle), nn.Identity(), last, ElasticBatchNorm(outputs)])
        self.downsample: nn.ModuleList | None = None
        if projects:
            pointwise = ElasticConv3d(inputs, outputs, 1, most_first=most_first)
            self.downsample = nn.ModuleList([pointwise, ElasticBatchNorm(outputs)])

    @property
    def layers(self) -> tuple[Normed, Normed]:
        """The two convolutions, each with its norm."""
        return _pair(self.net, 0), _pair(self.net, 3)

    @property
    def shortcut(self) -> Normed | None:
        """The 1x1x1 convolution with its norm."""
        return None if self.downsample is None else _pair(self.downsample, 0)

    def forward(self, x: SparseTensor, middle: int, outputs: int, second: SparseTensor | None = None) -> SparseTensor:
        (first, last), projection, beside = self.layers, self.shortcut, x
        if projection is not None:
            beside = normed(*projection, x, outputs, second, relu=False)
        return normed(*last, normed(*first, x, middle, second), outputs, residual=beside)
