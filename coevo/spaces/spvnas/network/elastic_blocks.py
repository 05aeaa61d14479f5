"""The blocks of `coevo.kernels.sparse.modules.blocks` with channels that shrink; parameter names are the same."""

from __future__ import annotations

from torch import nn

from coevo.kernels.sparse.tensors import SparseTensor
from coevo.supernets.elastic.row_norm import ElasticBatchNorm
from coevo.supernets.elastic.sparse_convolution import ElasticConv3d


def normed(
    conv: nn.Module, norm: nn.Module, x: SparseTensor, outputs: int, second: SparseTensor | None = None,
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

    def forward(self, x: SparseTensor, outputs: int) -> SparseTensor:
        first, norm, _, last, last_norm = self
        return normed(last, last_norm, normed(first, norm, x, outputs), outputs)


class ElasticConvBlock(nn.Module):
    """The 2x2x2 convolution with stride 2 that begins a stage."""

    def __init__(self, inputs: int, outputs: int, transposed: bool = False) -> None:
        super().__init__()
        conv = ElasticConv3d(inputs, outputs, 2, 2, transposed)
        self.net = nn.Sequential(conv, ElasticBatchNorm(outputs))

    def forward(self, x: SparseTensor, outputs: int) -> SparseTensor:
        return normed(self.net[0], self.net[1], x, outputs)


class ElasticResidualBlock(nn.Module):
    """Two 3x3x3 convolutions with a width of their own between them, and a shortcut.

    Args:
        inputs, middle, outputs: most channels.
        projects: whether the shortcut is a 1x1x1 convolution; else input and output have the same channels.
        most_first: as `ElasticConv3d`.
    """

    def __init__(self, inputs: int, middle: int, outputs: int, projects: bool, most_first: int | None = None) -> None:
        super().__init__()
        self.net = nn.Sequential(
            ElasticConv3d(inputs, middle, most_first=most_first), ElasticBatchNorm(middle), nn.Identity(),
            ElasticConv3d(middle, outputs), ElasticBatchNorm(outputs),
        )  # fmt: skip
        self.downsample: nn.Sequential | None = None
        if projects:
            pointwise = ElasticConv3d(inputs, outputs, 1, most_first=most_first)
            self.downsample = nn.Sequential(pointwise, ElasticBatchNorm(outputs))

    def forward(self, x: SparseTensor, middle: int, outputs: int, second: SparseTensor | None = None) -> SparseTensor:
        first, norm, _, last, last_norm = self.net
        shortcut = x
        if self.downsample is not None:
            shortcut = normed(self.downsample[0], self.downsample[1], x, outputs, second, relu=False)
        between = normed(first, norm, x, middle, second)
        return normed(last, last_norm, between, outputs, residual=shortcut)
