"""Everything that a U-Net over the strides 1, 2, 4, ... needs of a scan's coordinates, in one call.

On a CUDA device: one sort of keys, ranks and parents of all strides in three launches, a launch a level for its 3x3x3
map, its 2x2x2 maps and their inverses, and one sort by masks for all of them. With a capacity nothing waits for the
host and nothing is allocated by counts, so the call can be captured in a CUDA graph. `reference` is plain torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.coordinates.keys import NOTHING, Extent, in_range, pack, unpack
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.coordinates.reference import check_coordinates, rows_at
from coevo.kernels.sparse.coordinates.status import DUPLICATES, OUT_OF_RANGE, TOO_MANY, check_status
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.maps.offsets import triple
from coevo.kernels.sparse.maps.reference import kernel_map
from coevo.kernels.sparse.tensors import Caches

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any
MOST_LEVELS = 17


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """L levels of a scan and the maps between them. Rows from a level's count on are not in use.

    Attributes:
        levels: of strides 1, 2, 4, ..
        submanifold: the 3x3x3 map of each level; its rows are sorted already by the level's splits.
        down: L - 1 maps of the 2x2x2 convolution of stride 2 from each level to the next; `.inverse()` is made, and
            both are sorted.
        ancestors: int32 [rows of level 0] of each level >= 1: the row there of each row of level 0.
        order: int32 [rows of level 0], the given row at each row of level 0.
        places: int32 [N], the row of level 0 of each given row; -1 where it is not in use.
        status: int32 [1] on the device, bits of `coordinates.status`; 0 where all is well.
    """

    levels: tuple[Level, ...]
    submanifold: tuple[KernelMap, ...]
    down: tuple[KernelMap, ...]
    ancestors: tuple[Tensor, ...]
    order: Tensor
    places: Tensor
    status: Tensor

    def caches(self) -> Caches:
        """The levels and maps as tensors share them."""
        levels = {level.stride: level for level in self.levels}
        maps = {}
        for each in self.submanifold:
            maps[self._stride_of(each), each.kernel_size, each.stride, each.dilation] = each
        for level, each in zip(self.levels, self.down, strict=False):
            maps[level.stride, each.kernel_size, each.stride, each.dilation] = each
        return Caches(levels=levels, maps=maps, order=self.order, inverse=self.places)

    def _stride_of(self, submanifold: KernelMap) -> tuple[int, int, int]:
        return self.levels[self.submanifold.index(submanifold)].stride

    def check(self) -> None:
        """InputError where the coordinates were wrong or a capacity was exceeded. Waits for the device."""
        check_status(self.status)


def build_levels(
    coords: Tensor,
    levels: int = 5,
    *,
    count: Tensor | None = None,
    capacity: int | Sequence[int] | None = None,
    splits: int | Sequence[int] = 1,
    merge: bool = False,
    extent: int | Sequence[int] | None = None,
    batches: int = 1,
) -> Hierarchy:
    """The levels of strides 1, 2, .. 2^(levels - 1), their 3x3x3 maps and the 2x2x2 maps between them.

    Args:
        coords: int32 [N, 4] (batch, x, y, z) in any order, N >= 0.
        count: int32 [1] on the device, how many of the N rows are in use; all of them where it is None.
        capacity: most rows of the levels, one number for each or one for all, at most N. Where it is None, the levels
            have exactly as many rows as they have voxels: that waits for the device once, and raises what `check`
            would.
        splits: ranges of offsets by which the rows of each level's 3x3x3 map are sorted, one number for each or one.
        merge: whether rows with one coordinate are one voxel (points that fall into it), or an error.
        extent: coordinates are known to be -extent .. extent - 1, one number or one each for x, y and z, and batch
            indices below `batches` (both rounded up to powers of two): keys are then sorted in 32 bits, in two thirds
            of the time. 2048, 2048, 1024 voxels of 0.05 m hold a scan of 100 m. Others are as ones that cannot be
            packed. Where it is None, anything that can be packed is right, whatever `batches`.

    Raises:
        InputError: coordinates of a wrong shape; without a capacity also duplicates and what cannot be packed. With a
            capacity these are bits of `status`, read by `check`.
    """
    check_coordinates(coords)
    if not 1 <= levels <= MOST_LEVELS:
        raise InputError(f"a hierarchy has 1 to {MOST_LEVELS} levels (strides 1 to 65536), got {levels}")
    cut = _each(splits, levels, "splits")
    most = None if capacity is None else tuple(min(each, len(coords)) for each in _each(capacity, levels, "capacity"))
    within = None if extent is None else Extent.of(triple(extent, "extent"), batches)
    if coords.is_cuda and len(coords):
        from coevo.kernels.sparse.triton_hierarchy import build

        return build(coords, levels, count, most, cut, merge, within)
    return reference(coords, levels, count=count, splits=cut, merge=merge, capacity=most, extent=within)


def reference(
    coords: Tensor,
    levels: int,
    *,
    count: Tensor | None = None,
    capacity: Sequence[int] | None = None,
    splits: Sequence[int] | None = None,
    merge: bool = False,
    extent: Extent | None = None,
) -> Hierarchy:
    """`build_levels` in plain torch, on any device. It waits for the device."""
    given = coords if count is None else coords[: int(count)]
    possible = in_range(given)
    if extent is not None:
        possible &= extent.holds(given)
    wrong = 0 if bool(possible.all()) else OUT_OF_RANGE
    rows = possible.nonzero()[:, 0]
    keys, order = torch.sort(pack(given[rows]), stable=True)
    begins = torch.ones_like(keys, dtype=torch.bool)
    begins[1:] = keys[1:] != keys[:-1]
    if not merge and not bool(begins.all()):
        wrong |= DUPLICATES
        begins[:] = True
    finest = keys[begins]
    places = torch.full((len(coords),), -1, dtype=torch.int32, device=coords.device)
    places[rows[order]] = (torch.cumsum(begins, dim=0) - 1).to(torch.int32)

    of_level = []
    for number in range(levels):
        lower = (1 << 3 * number) - 1
        own = finest if number == 0 else torch.unique(finest & ~lower)
        limit = len(own) if capacity is None else capacity[number]
        wrong |= TOO_MANY if len(own) > limit else 0
        padded = torch.full((limit,), NOTHING, dtype=torch.int64, device=coords.device)
        own = own[:limit]
        padded[: len(own)] = own
        used = torch.tensor([len(own)], dtype=torch.int32, device=coords.device)
        of_level.append(Level(unpack(padded), padded, used, (1 << number,) * 3, exact=capacity is None))
    places[places >= of_level[0].capacity] = -1
    finest = finest[: of_level[0].capacity]
    ancestors = []
    for number, level in enumerate(of_level[1:], 1):
        found = rows_at(level, unpack(finest & ~((1 << 3 * number) - 1))).to(torch.int32)
        ancestors.append(torch.nn.functional.pad(found, (0, of_level[0].capacity - len(found)), value=-1))
    one, two, three = (1, 1, 1), (2, 2, 2), (3, 3, 3)
    submanifold = tuple(kernel_map(level, level, three, one, one) for level in of_level)
    down = tuple(kernel_map(a, b, two, two, one) for a, b in itertools.pairwise(of_level))
    for each, cut in zip(submanifold, splits or (1,) * levels, strict=True):
        each.sorted(cut)
    for each in down:
        each.sorted()
        each.inverse().sorted()
    status = torch.tensor([wrong], dtype=torch.int32, device=coords.device)
    if capacity is None:
        check_status(status)
    first = rows[order[begins]][: of_level[0].capacity].to(torch.int32)
    first = torch.nn.functional.pad(first, (0, of_level[0].capacity - len(first)))
    return Hierarchy(tuple(of_level), submanifold, down, tuple(ancestors), first, places, status)


def _each(value: int | Sequence[int], levels: int, name: str) -> tuple[int, ...]:
    """A whole number >= 1 for each level."""
    values = (value,) * levels if isinstance(value, int) else tuple(value)
    if len(values) != levels or not all(isinstance(each, int) and each >= 1 for each in values):
        raise InputError(f"{name} must be a whole number >= 1, or one for each of {levels} levels, got {value!r}")
    return values
