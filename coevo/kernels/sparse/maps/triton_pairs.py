"""`KernelMap.pairs` on a CUDA device: pairs counted block by block, and written where the counts before them end."""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.maps.kernel_map import KernelMap, Pairs

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
INTERPRETED = bool(triton.knobs.runtime.interpret)
BLOCK = 2048
"""Output rows of a program."""


@triton.jit(do_not_specialize=["capacity", "blocks"])
def _count_pairs(neighbours, count_out, counts, capacity, blocks, BLOCK: tl.constexpr):
    """counts [K, blocks]: the pairs of each offset in each block of output rows."""
    block, offset = tl.program_id(0), tl.program_id(1)
    row = block * BLOCK + tl.arange(0, BLOCK)
    used = row < tl.load(count_out)
    found = tl.load(neighbours + offset.to(tl.int64) * capacity + row, mask=used, other=-1)
    tl.store(counts + offset * blocks + block, tl.sum((found >= 0).to(tl.int32), axis=0))


@triton.jit(do_not_specialize=["capacity", "blocks"])
def _write_pairs(neighbours, count_out, upto, inputs, outputs, starts, capacity, blocks, BLOCK: tl.constexpr):
    """Pairs of one offset and block, from where those before them end; upto [K, blocks] counts with its own."""
    block, offset = tl.program_id(0), tl.program_id(1)
    row = block * BLOCK + tl.arange(0, BLOCK)
    used = row < tl.load(count_out)
    found = tl.load(neighbours + offset.to(tl.int64) * capacity + row, mask=used, other=-1)
    present = (found >= 0).to(tl.int32)
    place = offset * blocks + block
    first = tl.load(upto + place - 1, mask=place > 0, other=0)
    at = first + tl.cumsum(present, 0) - 1
    tl.store(inputs + at, found, mask=present > 0)
    tl.store(outputs + at, row, mask=present > 0)
    if block == 0:
        tl.store(starts + offset, first)
    if place == tl.num_programs(1) * blocks - 1:
        tl.store(starts + offset + 1, first + tl.sum(present, 0))


def compacted_pairs(forward: KernelMap) -> Pairs:
    """As `reference.compacted_pairs`; entries beyond the last pair are not written."""
    volume, capacity = forward.neighbours.shape
    device = forward.neighbours.device
    blocks = triton.cdiv(capacity, BLOCK)
    inputs, outputs = torch.empty((2, volume * capacity), dtype=torch.int32, device=device)
    if not blocks:
        return Pairs(inputs, outputs, torch.zeros(volume + 1, dtype=torch.int32, device=device))
    starts = torch.empty(volume + 1, dtype=torch.int32, device=device)
    counts = torch.empty(volume * blocks, dtype=torch.int32, device=device)
    grid = (blocks, volume)
    _count_pairs[grid](forward.neighbours, forward.count_out, counts, capacity, blocks, BLOCK=BLOCK)
    upto = torch.cumsum(counts, 0, dtype=torch.int32)
    _write_pairs[grid](
        forward.neighbours, forward.count_out, upto, inputs, outputs, starts, capacity, blocks, BLOCK=BLOCK
    )
    return Pairs(inputs, outputs, starts)
