"""A running average of weights, which samples better than the weights of the last update."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """The exponential moving average of a module's parameters, in float32.

    Args:
        net: whose parameters are averaged; the average begins as they are.
        keep: share of the average that an update keeps, 0 to 1. The first updates keep less, (1 + n) / (10 + n) after n
            of them, so that the beginning is forgotten.
    """

    def __init__(self, net: nn.Module, keep: float) -> None:
        self.keep = keep
        self.tensors: dict[str, Tensor] = {n: p.detach().float().clone() for n, p in net.named_parameters()}

    @torch.no_grad()
    def update(self, net: nn.Module, updates: int) -> None:
        """After `updates` updates, this one counted."""
        share = 1 - min(self.keep, (1 + updates) / (10 + updates))
        new = [each.detach().float() for each in net.parameters()]
        torch._foreach_lerp_(list(self.tensors.values()), new, share)

    @torch.no_grad()
    def copy_to(self, net: nn.Module) -> None:
        """Into the parameters of a module of the same names."""
        for name, each in net.named_parameters():
            each.copy_(self.tensors[name])
