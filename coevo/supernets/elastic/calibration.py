"""Statistics of batch norms averaged anew over some batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from coevo.errors import InputError

T = TypeVar("T")


@torch.no_grad()
def calibrate(net: nn.Module, batches: Iterable[T], run: Callable[[T], Any]) -> int:
    """Sets the running statistics of all of a network's batch norms to plain means over `batches`, of which there were
    so many; SPVNAS and Once-for-All take 20 to 50.

    Everything but the norms is in evaluation mode meanwhile: no dropout. Modes and momenta are put back.

    Args:
        net: a network or a supernet with a design set.
        batches: what `run` takes one by one.
        run: puts a batch through the network.

    Raises:
        InputError: there was no batch.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    modes = {module: module.training for module in net.modules()}
    momenta = [norm.momentum for norm in norms]
    seen = 0
    try:
        net.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for batch in batches:
            run(batch)
            seen += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    if not seen:
        raise InputError("batch norms are calibrated over at least one batch, there was none")
    return seen
