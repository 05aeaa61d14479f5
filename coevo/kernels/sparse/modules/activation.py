"""Activations of sparse tensors."""

from __future__ import annotations

from torch import nn

from coevo.kernels.sparse.tensors import SparseTensor


class ReLU(nn.ReLU):
    """`torch.nn.ReLU` of the features."""

    def forward(self, x: SparseTensor) -> SparseTensor:  # type: ignore[override]
        return x.with_feats(super().forward(x.feats))
