"""The inverse of any map, and its rows sorted by masks, on a CUDA device (as in `reference`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates.triton_keys import INTERPRETED
from coevo.kernels.sparse.maps.kernel_map import KernelMap, SortedRows
from coevo.kernels.sparse.maps.offsets import Triple, sort_places
from coevo.kernels.sparse.maps.triton_descent import gray_rank

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
BLOCK = 1024 if INTERPRETED else 256


@triton.jit(do_not_specialize=["capacity_in", "capacity_out"])
def _invert(neighbours, back, capacity_in, capacity_out, BLOCK: tl.constexpr):
    """back [K, capacity_in], where -1 stands, from neighbours [K, capacity_out]."""
    k = tl.program_id(1).to(tl.int64)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    found = tl.load(neighbours + k * capacity_out + row, mask=row < capacity_out, other=-1)
    tl.store(back + k * capacity_in + found, row, mask=found >= 0)


@triton.jit(do_not_specialize=["capacity", "volume", "width"])
def _write_masks(neighbours, count, places, keys, masks, capacity, volume, width, BLOCK: tl.constexpr):
    """keys, masks [splits, capacity] of neighbours [volume, capacity]: keys rise as Gray ranks of sort words fall, and
    are 2^31 - 1 in rows that are not in use."""
    split = tl.program_id(1)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    used = row < tl.load(count)
    start = split * width
    mask, word = tl.zeros_like(row), tl.zeros_like(row)
    at = neighbours + start.to(tl.int64) * capacity + row
    for k in range(start, tl.minimum(start + width, volume)):
        found = tl.load(at, mask=used, other=-1)
        at += capacity
        there = (found >= 0).to(tl.int32)
        mask |= there << (k - start)
        word |= there << (tl.load(places + k) - start)
    key = tl.where(used, 0x7FFFFFFF - gray_rank(word), 0x7FFFFFFF)
    place = split.to(tl.int64) * capacity + row
    tl.store(keys + place, key, mask=row < capacity)
    tl.store(masks + place, mask, mask=row < capacity)


def inverse_neighbours(forward: KernelMap) -> Tensor:
    """int32 [K, capacity_in]: the output row that meets an input row at offset k, or -1."""
    volume, capacity = forward.volume, forward.capacity_out
    back = torch.full((volume, forward.capacity_in), -1, dtype=torch.int32, device=forward.neighbours.device)
    if capacity:
        grid = (triton.cdiv(capacity, BLOCK), volume)
        _invert[grid](forward.neighbours, back, forward.capacity_in, capacity, BLOCK=BLOCK)
    return back


def sorted_rows(forward: KernelMap, splits: int, width: int) -> SortedRows:
    """The rows of one map; `hierarchy.build_levels` sorts those of many at once."""
    device, capacity = forward.neighbours.device, forward.capacity_out
    keys, masks = torch.empty((2, splits, capacity), dtype=torch.int32, device=device)
    if capacity:
        _write_masks[(triton.cdiv(capacity, BLOCK), splits)](
            forward.neighbours,
            forward.count_out,
            _places(forward.kernel_size, splits, device),
            keys,
            masks,
            capacity,
            forward.volume,
            width,
            BLOCK=BLOCK,
        )
    order = torch.empty_like(masks)
    for split in range(splits):
        order[split] = torch.sort(keys[split], stable=True).indices
    return SortedRows(order, torch.gather(masks, 1, order.to(torch.int64)), width)


@lru_cache(maxsize=256)
def _places(kernel_size: Triple, splits: int, device: Any) -> Tensor:
    """int32 [K], copied to the device once."""
    return torch.tensor(sort_places(kernel_size, splits), dtype=torch.int32, device=device)
