"""Batch norm of a subnet: scale and shift are shared, statistics are each subnet's own.

Running averages over many subnets fit none of them (Yu and Huang 2019, slimmable networks, section 3.3). So training
normalises by the batch; before a subnet is judged, its statistics are recorded on some training examples and kept while
it is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional


class ElasticBatchNorm2d(nn.Module):
    """Normalises [batch, channels, rows, columns] over all but channels. `mode`: "batch" (training), "record" (the
    same, and statistics are kept), "fixed" (by the statistics that were kept)."""

    mean: Tensor | None
    variance: Tensor | None

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.mode = "batch"
        self.mean = self.variance = None

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        weight, bias = self.weight[:channels], self.bias[:channels]
        if self.mode == "fixed":
            if self.mean is None or self.variance is None or len(self.mean) != channels:
                raise RuntimeError(f"no statistics of {channels} channels were recorded; record before judging")
            return functional.batch_norm(x, self.mean, self.variance, weight, bias, False, 0.0, self.eps)
        if self.mode == "record":
            with torch.no_grad():
                self.variance, self.mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        return functional.batch_norm(x, None, None, weight, bias, True, 0.0, self.eps)


def _norms(network: nn.Module) -> list[ElasticBatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, ElasticBatchNorm2d)]


@contextmanager
def recording(network: nn.Module) -> Iterator[None]:
    """While it lasts, every pass keeps the statistics of its own batch."""
    with _mode(network, "record"):
        yield


@contextmanager
def settled(network: nn.Module) -> Iterator[None]:
    """While it lasts, what was recorded last is what normalises."""
    with _mode(network, "fixed"):
        yield


@contextmanager
def _mode(network: nn.Module, mode: str) -> Iterator[None]:
    norms = _norms(network)
    before = [norm.mode for norm in norms]
    try:
        for norm in norms:
            norm.mode = mode
        yield
    finally:
        for norm, was in zip(norms, before, strict=True):
            norm.mode = was
