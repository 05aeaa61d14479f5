"""A sparse convolution whose channels shrink."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coevo.kernels.sparse.convolution.autograd import convolve
from coevo.kernels.sparse.convolution.defaults import plan_of_any_width
from coevo.kernels.sparse.maps.offsets import triple, volume
from coevo.kernels.sparse.tensors import SparseTensor
from coevo.supernets.elastic.slicing import joined_channels


class ElasticConv3d(nn.Module):
    """Weights `kernel` [K, inputs, outputs] of the largest layer ([inputs, outputs] where K is 1), no bias; a subnet
    uses the first channels of both sides, which the kernels read in place.

    Args:
        inputs, outputs: most channels.
        kernel_size, stride, transposed: as `coevo.kernels.sparse.modules.Conv3d`.
        most_first: where the input is two tensors side by side, the most channels of the first: those of the second
            meet the weights from there on.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1, transposed: bool = False,
        most_first: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size, self.stride = triple(kernel_size, "kernel_size"), triple(stride, "stride")
        self.transposed, self.most_first = transposed, most_first
        size = volume(self.kernel_size)
        self.kernel = nn.Parameter(torch.empty((inputs, outputs) if size == 1 else (size, inputs, outputs)))
        bound = 1 / math.sqrt((outputs if transposed else inputs) * size)
        nn.init.uniform_(self.kernel, -bound, bound)
        self._joined: dict[tuple[int, int, torch.device], Tensor] = {}

    def forward(self, x: SparseTensor, outputs: int, second: SparseTensor | None = None) -> SparseTensor:
        """The first `outputs` channels of the convolution of x, or of x and `second` side by side."""
        weight, inputs = self.kernel[..., :outputs], x.feats.shape[1]
        if weight.dim() == 2:
            found = x.feats @ weight[:inputs]
            if second is not None:
                assert self.most_first is not None
                found = found + second.feats @ weight[self.most_first : self.most_first + second.feats.shape[1]]
            return x.with_feats(found)
        if self.transposed:
            kernel_map = x.caches.transposed_map(x.stride, self.kernel_size, self.stride)
            stride = tuple(each // by for each, by in zip(x.stride, self.stride, strict=True))
        else:
            kernel_map = x.caches.kernel_map(x.stride, self.kernel_size, self.stride)
            stride = tuple(each * by for each, by in zip(x.stride, self.stride, strict=True))
        plan = plan_of_any_width(x.feats)
        if second is None:
            found = convolve(x.feats, weight[:, :inputs], kernel_map, plan=plan)
        else:
            channels = self._channels(inputs, second.feats.shape[1])
            found = convolve(x.feats, weight, kernel_map, second=second.feats, channels=channels, plan=plan)
        return x.with_feats(found, stride)

    def _channels(self, first: int, second: int) -> Tensor:
        """`joined_channels`, made once for each pair of widths."""
        assert self.most_first is not None
        key = (first, second, self.kernel.device)
        if key not in self._joined:
            self._joined[key] = joined_channels(first, second, self.most_first, self.kernel.device)
        return self._joined[key]
