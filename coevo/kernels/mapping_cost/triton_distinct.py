"""How many of the mappings that a search draws are distinct: each is hashed on the device, and hashes are counted.

When two mappings are the same says `coevo.kernels.mapping_cost.distinct`, whose numbers these hashes are. A stricter
count merges orders that no cost can tell apart: of them only that counts which loops multiply
the reloads of each tensor, and which loop moves a window first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.mapping_cost import triton_structure as st
from coevo.kernels.mapping_cost.tables import Tables
from coevo.kernels.mapping_cost.triton_batch import check_device, upload_figures
from coevo.kernels.mapping_cost.triton_count import NEVER, first_rank
from coevo.kernels.mapping_cost.triton_sample import draw, rooms_of
from coevo.kernels.mapping_cost.triton_search import BLOCK, judged

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
CHUNK = 2**26


@dataclass(frozen=True)
class Distinct:
    """Of `drawn` mappings: `valid` ones, the share of these that are `distinct`, and the share that costs differ in
    what they depend on (`distinct_to_cost`). `slices`: one hash in so many was counted."""

    drawn: int
    valid: int
    distinct: float
    distinct_to_cost: float
    slices: int


def count_distinct(
    tables: Tables, draws: int, seed: int, device: str, first: int = 0, slices: int = 1, chunk: int = CHUNK
) -> Distinct:
    """Hashes draws `first` to `first + draws` of a search. With `slices` (a power of two) only hashes that are a
    multiple of it are kept: equal mappings stay together, so the shares are those of all draws, up to chance."""
    check_device(device)
    s = st.structure_of([tables])
    figures, rooms = upload_figures([tables], device), torch.from_numpy(rooms_of([tables])).to(device)
    valid, kept, strict = 0, [], []
    for begin in range(0, draws, chunk):
        size = min(chunk, draws - begin)
        hashes, fine = _hashed(s, rooms, figures, first + begin, size, seed)
        valid += int(fine.sum())
        kept.append(hashes[0][fine & (hashes[0] % slices == 0)])
        strict.append(hashes[1][fine & (hashes[1] % slices == 0)])
    counted = [torch.cat(parts) for parts in (kept, strict)]
    distinct, to_cost = (len(torch.unique(part)) / max(1, len(part)) for part in counted)
    return Distinct(draws, valid, distinct, to_cost, slices)


def hashed(tables: Tables, numbers: range, seed: int, device: str) -> tuple[Tensor, Tensor]:
    """(hashes int64 [2, B] of the mappings and of what their costs depend on, valid bool [B])."""
    check_device(device)
    figures, rooms = upload_figures([tables], device), torch.from_numpy(rooms_of([tables])).to(device)
    return _hashed(st.structure_of([tables]), rooms, figures, numbers.start, len(numbers), seed)


def _hashed(
    s: st.Structure, rooms: Tensor, figures: Tensor, first: int, count: int, seed: int
) -> tuple[Tensor, Tensor]:
    start = torch.tensor([first, seed], dtype=torch.int64, device=rooms.device)
    hashes = torch.empty((2, count), dtype=torch.int64, device=rooms.device)
    fine = torch.empty(count, dtype=torch.bool, device=rooms.device)
    hash_kernel[(triton.cdiv(count, BLOCK),)](
        rooms, figures, start, hashes, fine, count,
        s=s, BLOCK=BLOCK, num_warps=BLOCK // 32, enable_fp_fusion=False,
    )  # fmt: skip
    return hashes, fine


@triton.jit(do_not_specialize=["count"])
def hash_kernel(rooms, figures, start, hashes, valid, count, s: tl.constexpr, BLOCK: tl.constexpr):
    """hashes [2, B] of the mappings, and of what their costs depend on; valid [B]."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    temporal, order, spatial = draw(tl.load(start) + at, tl.load(start + 1), rooms, s)
    fine, _energy, _cycles = judged(temporal, order, spatial, figures, s)
    bounds = tl.full((BLOCK,), 0, tl.uint64)
    for i in tl.static_range(len(temporal)):
        bounds = _mixed(bounds, temporal[i].to(tl.uint64))
    for i in tl.static_range(len(spatial)):
        bounds = _mixed(bounds, spatial[i].to(tl.uint64))
    tl.store(hashes + at, _mixed(bounds, _orders(temporal, order, s)).to(tl.int64, bitcast=True), at < count)
    seen = bounds
    for tensor in tl.static_range(3):
        for level in tl.static_range(1, st.num_levels(s)):
            if st.keeps(s, level, tensor):
                seen = _mixed(seen, _reloaded(temporal, order, tensor, level, s))
    tl.store(hashes + count + at, seen.to(tl.int64, bitcast=True), at < count)
    tl.store(valid + at, fine, at < count)


@triton.jit
def _mixed(state, value):
    """`distinct.mixed`."""
    state = (state ^ value) + 0x9E3779B97F4A7C15
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB
    return state ^ (state >> 31)


@triton.jit
def _orders(temporal, order, s: tl.constexpr):
    """One number for the orders of the loops with a bound above 1 at all memories."""
    orders = tl.full(temporal[0].shape, 0, tl.uint64)
    for level in tl.static_range(st.num_levels(s)):
        bits = tl.full(temporal[0].shape, 0, tl.uint64)
        for a in tl.static_range(8):
            for b in tl.static_range(8):
                if a < b:
                    both = (temporal[8 * level + a] > 1.0) & (temporal[8 * level + b] > 1.0)
                    bits = bits * 2 + (both & (order[8 * level + a] < order[8 * level + b])).to(tl.uint64)
        orders = _mixed(orders, bits)
    return orders


@triton.jit
def _reloaded(temporal, order, tensor: tl.constexpr, below: tl.constexpr, s: tl.constexpr):
    """Which loops above memory `below` multiply the tensor's reloads there, and which one moves a window first."""
    bits = tl.full(temporal[0].shape, 0, tl.uint64)
    last = tl.full(temporal[0].shape, NEVER, tl.int32)
    for up in tl.static_range(below):
        first = tl.where(last < NEVER, -1, first_rank(temporal, order, tensor, below - 1 - up))
        for loop in tl.static_range(8):
            outside = order[8 * (below - 1 - up) + loop] > first
            if st.slides(s, tensor) and st.is_relevant(tensor, loop):
                outside = order[8 * (below - 1 - up) + loop] == first
            counts = outside & (temporal[8 * (below - 1 - up) + loop] > 1.0)
            if not st.is_relevant(tensor, loop) or st.slides(s, tensor):
                bits = bits * 2 + counts.to(tl.uint64)
        last = first
    return bits
