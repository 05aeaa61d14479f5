"""Mappings that lie on a CUDA device, costed there in one launch: `reference.count` and `cost` for a batch.

A mapping is a column of a structure of arrays, in the narrowest whole numbers that hold its bounds; the eight ranks of
a memory are four bits each of one number. Every mapping is read once and its energy, cycles and validity written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.errors import InputError, missing_extra
from coevo.kernels.mapping_cost import triton_structure as st
from coevo.kernels.mapping_cost.tables import LOOPS, MappingArrays, Tables
from coevo.kernels.mapping_cost.triton_cost import cost, covers, fits, is_exact
from coevo.kernels.mapping_cost.triton_count import count

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
BLOCK = 32
"""Mappings of an instance, one a lane: the instances of one warp, which wait for no other, are the fastest."""
REGISTERS = 128
"""Of a lane: sixteen warps on a multiprocessor of Hopper's. With all that the compiler would take there are ten, and an
H200 costs a third fewer mappings a second."""


@dataclass(frozen=True, eq=False)
class DeviceMappings:
    """B mappings on a device: `temporal` [L, 8, B] and `spatial` [A, 8, B], int16 or int32; `order` int32 [L, B], the
    rank of loop d in its bits 4 d to 4 d + 3."""

    temporal: Tensor
    order: Tensor
    spatial: Tensor

    def __len__(self) -> int:
        return int(self.order.shape[-1])

    @property
    def bytes_a_mapping(self) -> int:
        """What a kernel must read of one mapping."""
        parts = (self.temporal, self.order, self.spatial)
        return sum(part.element_size() * part.shape[:-1].numel() for part in parts)

    @classmethod
    def of(cls, mappings: MappingArrays, device: str) -> DeviceMappings:
        """The same mappings on `device`."""
        check_device(device)
        bounds = (mappings.temporal, mappings.spatial)
        largest = max((int(part.max()) for part in bounds if part.size), default=1)
        if largest >= 2**31:
            raise InputError(f"a bound of a mapping must be below 2^31 on a device, got {largest}")
        dtype = np.int16 if largest < 2**15 else np.int32
        shifted = (mappings.rank << (4 * np.arange(LOOPS))).sum(axis=-1)
        temporal, spatial = (np.ascontiguousarray(np.moveaxis(part, 0, -1), dtype=dtype) for part in bounds)
        order = np.ascontiguousarray(shifted.T, dtype=np.int32)
        return cls(*(torch.from_numpy(part).to(device) for part in (temporal, order, spatial)))


@dataclass(frozen=True, eq=False)
class DeviceCosts:
    """`energy_pj`, `cycles` float64 [B], `valid` int8 [B], on the device. A mapping is also invalid where a count could
    reach 2^53 and be rounded, which `reference.count` refuses."""

    energy_pj: Tensor
    cycles: Tensor
    valid: Tensor


def check_device(device: str) -> None:
    """InputError unless the device is one that Triton compiles for (or its interpreter runs)."""
    if torch.device(device).type != "cuda" and not st.INTERPRETED:
        raise InputError(f"the device kernels compile for CUDA devices, got the device {device!r}; expected 'cuda'")


def upload_figures(problems: Sequence[Tables], device: str) -> Tensor:
    """float64 [P, F] on the device."""
    return torch.from_numpy(st.figures_of(problems)).to(device)


def cost_batch(tables: Tables, mappings: DeviceMappings, figures: Tensor | None = None) -> DeviceCosts:
    """Energy, cycles and validity of every mapping. `figures`: what `upload_figures([tables], ...)` gave, for repeated
    calls."""
    device, batch = mappings.order.device, len(mappings)
    check_device(str(device))
    if figures is None:
        figures = upload_figures([tables], str(device))
    found = DeviceCosts(
        torch.empty(batch, dtype=torch.float64, device=device),
        torch.empty(batch, dtype=torch.float64, device=device),
        torch.empty(batch, dtype=torch.int8, device=device),
    )
    if batch:
        cost_kernel[(triton.cdiv(batch, BLOCK),)](
            mappings.temporal, mappings.order, mappings.spatial, figures, found.energy_pj, found.cycles, found.valid,
            batch, s=st.structure_of([tables]), BLOCK=BLOCK, num_warps=BLOCK // 32, maxnreg=REGISTERS,
        )  # fmt: skip
    return found


def count_batch(tables: Tables, mappings: DeviceMappings) -> Tensor:
    """Every count, float64 [B, 5, L, 3]: reads, writes, sent, delivered and tile words as `Counts` has them."""
    device, batch = mappings.order.device, len(mappings)
    check_device(str(device))
    counts = torch.zeros((5, tables.levels, 3, batch), dtype=torch.float64, device=device)
    if batch:
        count_kernel[(triton.cdiv(batch, BLOCK),)](
            mappings.temporal, mappings.order, mappings.spatial, counts,
            batch, s=st.structure_of([tables]), BLOCK=BLOCK, num_warps=BLOCK // 32,
        )  # fmt: skip
    return counts.movedim(-1, 0)


@triton.jit
def _read(temporal, order, spatial, at, batch, s: tl.constexpr):
    """Bounds and ranks of the mappings `at`: tuples [L * 8], [L * 8], [A * 8]."""
    mask = at < batch
    bounds, ranks, along = (), (), ()
    for level in tl.static_range(st.num_levels(s)):
        packed = tl.load(order + level * batch + at, mask, 0)
        for loop in tl.static_range(8):
            bound = tl.load(temporal + (8 * level + loop) * batch + at, mask, 1)
            bounds = bounds + (bound.to(tl.float64),)
            ranks = ranks + ((packed >> (4 * loop)) & 7,)
    for entry in tl.static_range(8 * st.num_axes(s)):
        along = along + (tl.load(spatial + entry * batch + at, mask, 1).to(tl.float64),)
    return bounds, ranks, along


@triton.jit
def cost_kernel(
    temporal, order, spatial, figures, energy_pj, cycles, valid, batch, s: tl.constexpr, BLOCK: tl.constexpr
):
    """One launch over all mappings; the arrays are those of `DeviceMappings` and `DeviceCosts`."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    bounds, ranks, along = _read(temporal, order, spatial, at, batch, s)
    counts, tile_words, instances, steps = count(bounds, ranks, along, s)
    energy, time = cost(counts, tile_words, instances, steps, figures, s)
    fine = fits(tile_words, figures, s) & covers(bounds, along, figures, s) & is_exact(instances, steps, s)
    tl.store(energy_pj + at, energy, at < batch)
    tl.store(cycles + at, time, at < batch)
    tl.store(valid + at, fine.to(tl.int8), at < batch)


@triton.jit
def count_kernel(temporal, order, spatial, out, batch, s: tl.constexpr, BLOCK: tl.constexpr):
    """out [5, L, 3, B]."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    bounds, ranks, along = _read(temporal, order, spatial, at, batch, s)
    counts, tile_words, _instances, _steps = count(bounds, ranks, along, s)
    for entry in tl.static_range(3 * st.num_levels(s)):
        for kind in tl.static_range(4):
            tl.store(out + (3 * kind * st.num_levels(s) + entry) * batch + at, counts[kind][entry], at < batch)
        tl.store(out + (12 * st.num_levels(s) + entry) * batch + at, tile_words[entry], at < batch)
