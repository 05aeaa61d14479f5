"""A batch in buffers of one capacity, so that kernels see the same shapes whatever it holds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from coevo.errors import ConfigError, InputError
from coevo.kernels.sparse.hierarchy import Hierarchy, build_levels
from coevo.kernels.sparse.inference.compile import rooms
from coevo.kernels.sparse.shape import DEFAULT_SPLITS, STAGES
from coevo.kernels.sparse.tensors import SparseTensor


class PaddedBatch:
    """Call `put`, then `build` for the levels and maps, then `features` and `labels` of them.

    Triton compiles a kernel anew for numbers of rows that 16 divides and that it does not, and sums are cut by the
    number of rows: batches as they come would compile for minutes, and no graph could hold them.

    Args:
        in_channels: of the features.
        capacity: most voxels of strides 1 to 16, one number for each or one.
        splits, extent, batches: as `compile_for_inference`.

    Raises:
        ConfigError: a capacity that is none of these.
    """

    def __init__(
        self,
        in_channels: int,
        capacity: int | Sequence[int],
        device: torch.device | str,
        *,
        splits: Sequence[int] = DEFAULT_SPLITS,
        extent: int | Sequence[int] | None = None,
        batches: int = 1,
    ) -> None:
        room = rooms(capacity)
        if len(room) != STAGES + 1 or min(room) < 1:
            raise ConfigError(f"capacity must be a number >= 1 or {STAGES + 1} of them, got {capacity}")
        self.capacity, self.device, self.in_channels = room, torch.device(device), in_channels
        self.splits, self.extent, self.batches = tuple(splits), extent, batches
        rows = room[0]
        self._coords = torch.zeros((rows, 4), dtype=torch.int32, device=self.device)
        self._feats = torch.zeros((rows, in_channels), device=self.device)
        self._labels = torch.zeros(rows, dtype=torch.int64, device=self.device)
        self._count = torch.zeros(1, dtype=torch.int32, device=self.device)

    def put(self, feats: Tensor, coords: Tensor, labels: Tensor | None = None, *, ignored: int = 255) -> None:
        """What comes next: feats [N, in_channels], coords whole numbers [N, 4] of distinct voxels, labels [N]; on the
        buffers' device, N at most the capacity. Rows that are not in use get the label `ignored`.

        Raises:
            InputError: shapes or devices do not fit, or the batch exceeds the capacity.
        """
        rows = len(feats)
        if rows > self.capacity[0]:
            raise InputError(f"a batch has {rows} voxels, the capacity is {self.capacity[0]}; draw fewer, or make room "
                             "for more")  # fmt: skip
        given = [feats, coords] if labels is None else [feats, coords, labels]
        if (
            feats.shape != (rows, self.in_channels)
            or any(len(each) != rows for each in given)
            or (coords.shape != (rows, 4) or (labels is not None and labels.shape != (rows,)))
        ):
            raise InputError(
                f"expected features [N, {self.in_channels}], coordinates [N, 4] and labels [N], got "
                f"{', '.join(str(tuple(each.shape)) for each in given)}"
            )
        if any(each.device.type != self.device.type for each in given):
            raise InputError(f"the network is on {self.device}; put features, coordinates and labels there too")
        self._feats[:rows].copy_(feats)
        self._coords[:rows].copy_(coords)
        self._labels.fill_(ignored)
        if labels is not None:
            self._labels[:rows].copy_(labels)
        self._count.fill_(rows)

    def build(self) -> Hierarchy:
        """The levels and maps, in new memory. Whether the coordinates were right its `check` says."""
        return build_levels(
            self._coords, STAGES + 1, count=self._count, capacity=self.capacity, splits=self.splits,
            extent=self.extent, batches=self.batches,
        )  # fmt: skip

    def features(self, made: Hierarchy) -> SparseTensor:
        """Those of `put`, in the order of the levels."""
        order, finest = self._order(made), made.levels[0]
        channels = self.in_channels
        flat = (order[:, None] * channels + torch.arange(channels, device=self.device)).view(-1)
        feats = self._feats.view(-1).gather(0, flat).view(-1, channels)  # a tenth of the time of whole rows of 16 bytes
        return SparseTensor(feats, finest.coords, finest.stride, made.caches())

    def labels(self, made: Hierarchy, ignored: int = 255) -> Tensor:
        """int64 [capacity], those of `put`, in the order of the levels; `ignored` in rows that are not in use."""
        finest = made.levels[0]
        used = torch.arange(finest.capacity, device=self.device) < finest.count
        found: Tensor = torch.where(used, self._labels[self._order(made)], ignored)
        return found

    def _order(self, made: Hierarchy) -> Tensor:
        order: Tensor = made.order.clamp(0, self.capacity[0] - 1).to(torch.int64)
        return order
