"""The voxels of one stride."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Tensor = Any


@dataclass(frozen=True, eq=False)
class Level:
    """The voxels of one stride, in the order of their keys.

    Attributes:
        coords: int32 [capacity, 4] (batch, x, y, z) in units of stride-1 voxels, multiples of `stride`.
        keys: int64 [capacity], rising; `keys.NOTHING` in rows that are not in use.
        count: int32 [1] on the device, rows in use; never above the capacity.
        stride: of x, y and z.
    """

    coords: Tensor
    keys: Tensor
    count: Tensor
    stride: tuple[int, int, int]

    @property
    def capacity(self) -> int:
        """Rows that are allocated."""
        return int(self.keys.shape[0])
