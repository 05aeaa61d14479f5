"""A Mix-FFN of which a subnet uses leading hidden channels, in both halves of its gate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from coevo.errors import InputError
from coevo.spaces.sana.model import operations
from coevo.spaces.sana.model.mix_ffn import MixFFN
from coevo.supernets.elastic import ChannelGroup, Channels


class ElasticMixFFN(MixFFN):
    """The parameters of a Mix-FFN of `hidden` channels, by the same names.

    Channel i of a subnet is channel i of the first half, whose value it is, and channel i of the second, whose SiLU it
    is multiplied by.

    Attributes:
        active: hidden channels in use, 1 to `hidden`.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden)
        self.hidden, self.active = hidden, hidden

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """[B, N, D] to [B, N, D]; `grid` is the tokens' height and width, N their product."""
        if self.active == self.hidden:
            return super().forward(x, grid)
        hidden = F.linear(x, self._both(self.expand.weight), self._both(self.expand.bias))
        assert self.depthwise.bias is not None
        weight, bias = self._both(self.depthwise.weight), self._both(self.depthwise.bias)
        mixed = operations.glu_convolution(hidden.reshape(len(x), *grid, -1), weight, bias, fused=self.fused)
        return F.linear(mixed.flatten(1, 2), self.project.weight[:, : self.active])

    def weights(self, hidden: int) -> dict[str, Tensor]:
        """Those of a Mix-FFN with the leading `hidden` channels, by its names, as views or copies.

        Raises:
            InputError: more channels than there are, or none.
        """
        check_hidden(hidden, self.hidden)
        before, self.active = self.active, hidden
        try:
            found = {name: self._both(each) for name, each in self.named_parameters() if name != "project.weight"}
            return {**found, "project.weight": self.project.weight[:, :hidden]}
        finally:
            self.active = before

    def channel_group(self) -> ChannelGroup:
        """The hidden channels, for `coevo.supernets.elastic.sort_channels`."""
        size, both = self.hidden, (0, self.hidden)
        assert self.depthwise.bias is not None
        followers = (self.expand.bias, self.depthwise.weight, self.depthwise.bias)
        return ChannelGroup(
            writers=tuple(Channels(self.expand.weight, 0, size, start) for start in both),
            followers=tuple(Channels(each, 0, size, start) for each in followers for start in both),
            readers=(Channels(self.project.weight, 1, size),),
        )

    def _both(self, rows: Tensor) -> Tensor:
        return torch.cat([rows[: self.active], rows[self.hidden : self.hidden + self.active]])


def check_hidden(hidden: int, most: int) -> None:
    """InputError unless 1 <= hidden <= most."""
    if not 1 <= hidden <= most:
        raise InputError(f"a Mix-FFN of {most} hidden channels can use 1 to {most} of them, got {hidden}")


def widest(ratios: Sequence[float]) -> float:
    """The largest ratio. InputError where there is none, or they are not distinct numbers over 0."""
    if not ratios or min(ratios) <= 0 or len(set(ratios)) != len(ratios):
        raise InputError(f"expected distinct FFN ratios over 0, got {tuple(ratios)}")
    return max(ratios)
