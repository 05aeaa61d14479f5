"""Channels put in the order of their importance, so that a subnet's leading channels are the ones that matter.

The largest network gives the same answers before and after: whatever writes channels and whatever reads them is put in
one order. After training the largest network, and before smaller ones train, this is where they begin (Cai et al. 2020,
Once-for-All, section 3.2; the released SPVNAS has a hook for it that nothing calls).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coevo.errors import ConfigError

BY = ("readers", "writers")


@dataclass(frozen=True, eq=False)
class Channels:
    """`size` channels of one tensor axis of a parameter or buffer, from `start` on."""

    tensor: Tensor
    axis: int
    size: int
    start: int = 0

    def view(self, tensor: Tensor | None = None) -> Tensor:
        """The channels' part of the tensor, or of another one of its shape."""
        return (self.tensor if tensor is None else tensor).narrow(self.axis, self.start, self.size)


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels that must keep one order.

    Attributes:
        writers: weights whose outputs they are.
        followers: what else goes with each channel: norms' scales, shifts and statistics, biases.
        readers: weights whose inputs they are.
    """

    writers: tuple[Channels, ...]
    followers: tuple[Channels, ...]
    readers: tuple[Channels, ...]

    def importance(self, by: str = "readers") -> Tensor:
        """float64 [size]: the sum of the weights' magnitudes over all that read the channels, or all that write them.

        A norm stands behind most writers, so that the scale of their weights says nothing; readers are Once-for-All's
        measure, writers that of SPVNAS's hook. ConfigError for another name.
        """
        if by not in BY:
            raise ConfigError(f"importance is by one of {', '.join(BY)}, got {by!r}")
        parts = self.readers if by == "readers" else self.writers
        return torch.stack([_magnitudes(each) for each in parts]).sum(dim=0)


def _magnitudes(channels: Channels) -> Tensor:
    part = channels.view().detach().double().abs().movedim(channels.axis, 0)
    return part.reshape(channels.size, -1).sum(dim=1)


@torch.no_grad()
def sort_channels(
    groups: Iterable[ChannelGroup], by: str = "readers", optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Puts the channels of every group in falling order of importance, in place; ties keep their order.

    Args:
        groups: each is sorted once, one after another.
        by: see `ChannelGroup.importance`.
        optimizer: its momenta are put in the same order. What it keeps of a tensor in another form, factored or in few
            bits, has no such order: that tensor's state is forgotten, and the optimizer begins it anew.
    """
    for group in groups:
        order = torch.argsort(group.importance(by), descending=True, stable=True)
        for channels in (*group.writers, *group.followers, *group.readers):
            for tensor in (channels.tensor, *_momenta(channels.tensor, optimizer)):
                part = channels.view(tensor.detach())
                part.copy_(part.index_select(channels.axis, order))


def _momenta(tensor: Tensor, optimizer: torch.optim.Optimizer | None) -> Sequence[Tensor]:
    if optimizer is None or tensor not in optimizer.state:
        return ()
    held = [each for each in optimizer.state[tensor].values() if torch.is_tensor(each) and each.numel() > 1]
    if any(each.shape != tensor.shape or not each.is_floating_point() for each in held):
        del optimizer.state[tensor]
        return ()
    return held
