"""The voxels of one stride."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Tensor = Any


@dataclass(frozen=True, eq=False)
class Level:
    """The voxels of one stride, in the order of their keys.

    Attributes:
        coords: int32 [capacity, 4] (batch, x, y, z) in units of stride-1 voxels, multiples of `stride`.
        keys: int64 [capacity], rising in the rows that are in use; the others may hold anything.
        count: int32 [1] on the device, rows in use; never above the capacity.
        stride: of x, y and z.
        exact: whether all rows are known to be in use, so that the count is the capacity.
        made: what was made of the level, a hash table of its keys.
    """

    coords: Tensor
    keys: Tensor
    count: Tensor
    stride: tuple[int, int, int]
    exact: bool = True
    made: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def capacity(self) -> int:
        """Rows that are allocated."""
        return int(self.keys.shape[0])
