"""Pooling modules over sparse tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coevo.kernels.sparse.maps.offsets import triple
from coevo.kernels.sparse.points.global_pooling import global_pool
from coevo.kernels.sparse.points.pooling import pool
from coevo.kernels.sparse.tensors import SparseTensor


class _Pool(nn.Module):
    mode: str

    def __init__(
        self, kernel_size: int | Sequence[int] = 2, stride: int | Sequence[int] | None = None,
        dilation: int | Sequence[int] = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = triple(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else triple(stride, "stride")
        self.dilation = triple(dilation, "dilation")

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, dilation={self.dilation}"

    def forward(self, x: SparseTensor) -> SparseTensor:
        kernel_map = x.caches.kernel_map(x.stride, self.kernel_size, self.stride, self.dilation)
        a, b, c = (each * by for each, by in zip(x.stride, self.stride, strict=True))
        return x.with_feats(pool(x.feats, kernel_map, self.mode), (a, b, c))


class MaxPool3d(_Pool):
    """The largest feature, channel by channel, of the voxels in each window.

    Args:
        kernel_size, stride, dilation: one whole number, or three for x, y and z; the stride is the kernel's size unless
            it is given.
    """

    mode = "max"


class AvgPool3d(_Pool):
    """The mean of the voxels that are present in each window; arguments as `MaxPool3d`."""

    mode = "average"


class _GlobalPool(nn.Module):
    mode: str

    def __init__(self, batch_size: int | None = None) -> None:
        super().__init__()
        self.batch_size = batch_size

    def forward(self, x: SparseTensor) -> Tensor:
        rows = torch.arange(x.feats.shape[0], device=x.feats.device)
        batch = torch.where(rows < x.count, x.coords[:, 0], -1)
        size = self.batch_size
        if size is None:
            size = int(batch.max()) + 1 if len(rows) else 0
        return global_pool(x.feats, batch, size, self.mode)


class GlobalMaxPool(_GlobalPool):
    """[batch_size, C]: the largest feature of each scan. Without `batch_size` the device is asked for it."""

    mode = "max"


class GlobalAvgPool(_GlobalPool):
    """[batch_size, C]: the mean over each scan's voxels. Without `batch_size` the device is asked for it."""

    mode = "average"
