"""Sparse convolution as a module."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.convolution.autograd import convolve
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.maps.offsets import triple, volume
from coevo.kernels.sparse.tensors import SparseTensor


class Conv3d(nn.Module):
    """A convolution over the voxels of a SparseTensor; with `transposed`, one back to the finer voxels it came from.

    With stride 1 (and not transposed) the output has the input's voxels. Parameters have the names and the layout of
    TorchSparse: `kernel` [K, in_channels, out_channels], or [in_channels, out_channels] where K is 1, and `bias`;
    offsets are numbered as `coevo.kernels.sparse.maps.offsets` says.

    Args:
        in_channels, out_channels: of the features.
        kernel_size, stride, dilation: one whole number, or three for x, y and z.
        bias: whether a bias [out_channels] is added.
        transposed: the stride is divided out; voxels and map are those of the convolution that made the input's.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        bias: bool = False,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        if in_channels < 1 or out_channels < 1:
            raise InputError(f"a convolution needs at least one channel each way, got {in_channels} to {out_channels}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = triple(kernel_size, "kernel_size")
        self.stride = triple(stride, "stride")
        self.dilation = triple(dilation, "dilation")
        self.transposed = transposed
        self.kernel_volume = volume(self.kernel_size)
        shape = (
            (in_channels, out_channels) if self.kernel_volume == 1 else (self.kernel_volume, in_channels, out_channels)
        )
        self.kernel = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +- 1 / sqrt(K * channels), the channels in, or out where transposed (TorchSparse)."""
        bound = 1 / math.sqrt((self.out_channels if self.transposed else self.in_channels) * self.kernel_volume)
        nn.init.uniform_(self.kernel, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"]
        parts += [
            f"{name}={getattr(self, name)}" for name in ("stride", "dilation") if getattr(self, name) != (1, 1, 1)
        ]
        parts += ["bias=True"] if self.bias is not None else []
        return ", ".join(parts + (["transposed=True"] if self.transposed else []))

    @property
    def is_pointwise(self) -> bool:
        """Whether the output's rows are the input's, each by itself."""
        return self.kernel_volume == 1 and self.stride == (1, 1, 1)

    def kernel_map(self, x: SparseTensor) -> KernelMap:
        """The map over x's voxels, made on first use and kept for the scan."""
        caches = x.caches
        if self.transposed:
            return caches.transposed_map(x.stride, self.kernel_size, self.stride, self.dilation)
        return caches.kernel_map(x.stride, self.kernel_size, self.stride, self.dilation)

    def output_stride(self, x: SparseTensor) -> tuple[int, int, int]:
        """Of the voxels of the output."""
        pairs = zip(x.stride, self.stride, strict=True)
        a, b, c = (each // by if self.transposed else each * by for each, by in pairs)
        return a, b, c

    def forward(self, x: SparseTensor, second: SparseTensor | None = None) -> SparseTensor:
        """The convolved features at the output's voxels.

        Args:
            x: features at voxels.
            second: of the same voxels; its channels stand behind x's, as if both had been concatenated.

        Raises:
            InputError: the channels are not the layer's, or, transposed, no such convolution made the voxels.
        """
        channels = x.feats.shape[1] + (0 if second is None else second.feats.shape[1])
        if channels != self.in_channels:
            raise InputError(f"Conv3d({self.extra_repr()}) got features with {channels} channels")
        if second is not None and second.stride != x.stride:
            raise InputError(f"both inputs must have the same voxels, got strides {x.stride} and {second.stride}")
        if self.is_pointwise:
            found, stride = self._pointwise(x.feats, None if second is None else second.feats), x.stride
        else:
            weight = self.kernel if self.kernel.dim() == 3 else self.kernel[None]
            other = None if second is None else second.feats
            found, stride = convolve(x.feats, weight, self.kernel_map(x), second=other), self.output_stride(x)
        if self.bias is not None:
            found = found + self.bias.to(found.dtype)
        return x.with_feats(found, stride)

    def _pointwise(self, features: Tensor, second: Tensor | None) -> Tensor:
        if second is None:
            return features @ self.kernel
        cut = features.shape[1]
        return features @ self.kernel[:cut] + second @ self.kernel[cut:]
