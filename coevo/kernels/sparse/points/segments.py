"""Entries grouped by the row that they add to: sums in a fixed order, without atomics."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Segments:
    """E entries sorted by one of S segments; entries of one segment keep their order, so that its sum is always the
    same to the last bit. Built on the device without a look at its contents."""

    order: Tensor
    """int32 [E]: the entries of segment 0, of segment 1, ..., then those of none."""
    starts: Tensor
    """int32 [S + 1]: segment s is order[starts[s] : starts[s + 1]]."""

    def __len__(self) -> int:
        return self.starts.shape[0] - 1

    @property
    def lengths(self) -> Tensor:
        """int32 [S]."""
        return self.starts[1:] - self.starts[:-1]


def group(index: Tensor, num_segments: int, is_sorted: bool = False) -> Segments:
    """Segments of int32 `index` [E], each 0 .. num_segments - 1, or -1 for an entry that belongs to none.

    With `is_sorted` the entries rise already, those of none at the end, and are not sorted again.
    """
    keys = torch.where(index < 0, num_segments, index)
    if is_sorted:
        found, order = keys, torch.arange(len(index), dtype=torch.int32, device=index.device)
    else:
        found, order = torch.sort(keys, stable=True)
    bounds = torch.arange(num_segments + 1, dtype=found.dtype, device=index.device)
    starts = torch.searchsorted(found, bounds, out_int32=True)
    return Segments(order.to(torch.int32), starts)
