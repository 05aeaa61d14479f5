"""coevo's own networks as an engine of `gpu_sparse.py`: modules as they are, and what `compile_for_inference` makes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from _sparse_case import CLASSES, INPUTS
from _sparse_engines import Engine, State
from _sparse_inputs import Scan
from torch import nn

from coevo.kernels.sparse.modules import BatchNorm, Conv3d, MinkUNet, ReLU, load_torchsparse
from coevo.kernels.sparse.tensors import SparseTensor


class OrderedMinkUNet(MinkUNet):
    """MinkUNet whose logits are in the order in which the coordinates were given, as the peers' are."""

    def forward(self, x: SparseTensor) -> torch.Tensor:
        return x.with_feats(super().forward(x)).in_given_order()


class CenterPointEncoder(nn.Module):
    """CenterPoint's sparse encoder (det3d's SpMiddleResNetFHD) of coevo's modules."""

    def __init__(self, inputs: int) -> None:
        super().__init__()

        def block(width: int) -> nn.Module:
            first, second = Conv3d(width, width), Conv3d(width, width)
            return nn.Sequential(first, BatchNorm(width), ReLU(), second, BatchNorm(width))

        self.entry = nn.Sequential(Conv3d(inputs, 16), BatchNorm(16), ReLU())
        widths = (16, 32, 64, 128)
        self.downs = nn.ModuleList(nn.Sequential(Conv3d(a, b, 3, 2), BatchNorm(b), ReLU()) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(block(width) for width in widths for _ in range(2))
        self.squeeze = nn.Sequential(Conv3d(128, 128, (1, 1, 3), (1, 1, 2)), BatchNorm(128), ReLU())

    def forward(self, x: SparseTensor) -> torch.Tensor:
        x = self.entry(x)
        for index, block in enumerate(self.blocks):
            if index and index % 2 == 0:
                x = self.downs[index // 2 - 1](x)
            x = x.with_feats(torch.relu(block(x).feats + x.feats))
        return self.squeeze(x).feats


class CoevoEngine(Engine):
    """coevo. Maps are cached by the tensor, so a second run over the same one builds none."""

    name, package = "coevo", "coevo"

    def network(self, state: State, ratio: float, grid: tuple[int, int, int], training: bool) -> nn.Module:
        net = OrderedMinkUNet(CLASSES, INPUTS, ratio)
        load_torchsparse(net, state)
        net = net.cuda()
        return net.train() if training else net.eval().half()

    def enter(self, net: Any, scan: Scan, training: bool = False) -> SparseTensor:
        return SparseTensor.of(scan.feats if training else scan.half, scan.coords)

    def centerpoint(self, grid: tuple[int, int, int], inputs: int) -> Any:
        return CenterPointEncoder(inputs).cuda().eval().half()
