"""Parts of the largest network's tensors: what a subnet runs on, and what is copied when it is taken out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def leading(wide: Tensor, shape: Sequence[int]) -> Tensor:
    """The corner of `wide` with this shape, as a view: nothing is copied."""
    return wide[tuple(slice(0, size) for size in shape)]


def joined_channels(first: int, second: int, most_first: int, device: torch.device | str = "cpu") -> Tensor:
    """int64 [first + second]: where the channels of two tensors side by side stand in the largest network, whose first
    tensor has `most_first` of them. A leading slice would take the wrong ones for the second tensor."""
    return torch.cat([torch.arange(first, device=device), torch.arange(most_first, most_first + second, device=device)])
