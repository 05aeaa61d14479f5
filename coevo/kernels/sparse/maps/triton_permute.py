"""A map's neighbours in the order in which its rows are sorted, so that tiles of sorted rows read them side by side."""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether the kernels run in Triton's interpreter on the CPU (TRITON_INTERPRET=1 when this module is imported)."""
OFFSETS = tl.constexpr(9)
"""Offsets of an instance: their loads are under way at the same time."""
BLOCK = 1024 if INTERPRETED else 256


@triton.jit
def _permute(neighbours, order, permuted, capacity, VOLUME: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """permuted[k, p] = neighbours[k, order[k // WIDTH, p]]. Rows that are not in use have places too: nothing here
    waits for a count."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < capacity
    first = tl.program_id(1) * OFFSETS
    found = ()
    for each in tl.static_range(OFFSETS):
        k = first + each
        wanted = inside & (k < VOLUME)
        row = tl.load(order + (k // WIDTH) * capacity + place, mask=wanted, other=0)
        found = found + (tl.load(neighbours + k * capacity + row, mask=wanted, other=-1),)
    for each in tl.static_range(OFFSETS):
        k = first + each
        tl.store(permuted + k * capacity + place, found[each], mask=inside & (k < VOLUME))


def permute(neighbours: Tensor, order: Tensor, width: int, permuted: Tensor | None = None) -> Tensor:
    """int32 [K, capacity_out] of neighbours [K, capacity_out]: the columns of each range of `width` offsets in the
    order [splits, capacity_out] of its rows."""
    volume, capacity = neighbours.shape
    if permuted is None:
        permuted = torch.empty_like(neighbours)
    if capacity:
        _permute[(triton.cdiv(capacity, BLOCK), triton.cdiv(volume, OFFSETS.value))](
            neighbours, order, permuted, capacity, VOLUME=volume, WIDTH=width, BLOCK=BLOCK
        )
    return permuted
