"""A linear layer whose widths shrink."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class ElasticLinear(nn.Module):
    """Weights [outputs, inputs] and bias [outputs] of the largest layer; a subnet uses the first of both."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.uniform_(self.weight, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs))

    def forward(self, x: Tensor, outputs: int) -> Tensor:
        """[batch, inputs] -> [batch, outputs]."""
        return functional.linear(x, self.weight[:outputs, : x.shape[1]], self.bias[:outputs])
