"""A 2-D convolution whose channels and kernel shrink."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ElasticConv2d(nn.Module):
    """Weights [outputs, inputs, kernel, kernel] of the largest layer ([channels, 1, kernel, kernel] where depthwise),
    no bias. A subnet uses the first channels, and the middle of the kernel.

    A smaller kernel is the middle of the next larger one after a learned matrix over its positions, shared by all
    channels, which starts as the identity (Once-for-All, section 3.2).
    """

    def __init__(self, inputs: int, outputs: int, kernels: tuple[int, ...], depthwise: bool = False):
        super().__init__()
        self.kernels = tuple(sorted(kernels, reverse=True))
        self.depthwise = depthwise
        largest = self.kernels[0]
        self.weight = nn.Parameter(torch.empty(outputs, 1 if depthwise else inputs, largest, largest))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.transforms = nn.ParameterDict({f"to_{kernel}": torch.eye(kernel * kernel) for kernel in self.kernels[1:]})

    def sliced(self, inputs: int, outputs: int, kernel: int) -> Tensor:
        """The weights of a subnet's layer."""
        weight = self.weight[:outputs] if self.depthwise else self.weight[:outputs, :inputs]
        for smaller in self.kernels[1:]:
            if smaller < kernel:
                break
            edge = (weight.shape[-1] - smaller) // 2
            middle = weight[:, :, edge : edge + smaller, edge : edge + smaller]
            weight = (middle.flatten(2) @ self.transforms[f"to_{smaller}"]).reshape(middle.shape)
        return weight

    def forward(self, x: Tensor, outputs: int, kernel: int, stride: int = 1) -> Tensor:
        """[batch, inputs, rows, columns] -> [batch, outputs, ...], padded so that stride 1 keeps the size."""
        weight = self.sliced(x.shape[1], outputs, kernel)
        return functional.conv2d(x, weight, None, stride, kernel // 2, 1, x.shape[1] if self.depthwise else 1)
