"""Kernel maps of any kernel, stride and dilation on a CUDA device, through a hash table of the inputs' keys.

Open addressing with linear probing in a table of two to four slots a row. Which slot a key takes depends on who came
first; what a probe finds does not. A submanifold map probes half its offsets and writes each pair both ways.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.coordinates.triton_keys import INTERPRETED, in_range, packed, unpacked
from coevo.kernels.sparse.coordinates.triton_levels import empty_table, insert, look_up
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.maps.offsets import Triple, offsets

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
INSERT_BLOCK, PROBES = (1024, 8192) if INTERPRETED else (128, 512)
"""Rows of an instance that inserts, and probes (rows times offsets) of one that looks up."""


@triton.jit(do_not_specialize=["rows", "last"])
def _insert(keys, count, slots, values, rows, last, BLOCK: tl.constexpr):
    """Every key in use to a table."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    used = row < tl.load(count)
    insert(slots, values, tl.load(keys + row, mask=used, other=0), row, used, last)


@triton.jit(do_not_specialize=["rows", "asked", "volume", "last"])
def _probe(
    keys,
    count,
    steps,
    slots,
    values,
    neighbours,
    rows,
    asked,
    volume,
    last,
    MIRROR: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """neighbours [volume, rows] at the offsets 0 .. asked - 1, whose steps are [volume, 3]. With MIRROR each pair is
    written at the opposite offset too, where -1 stands, and the middle offset is the row itself."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    used = row < tl.load(count)
    key = tl.load(keys + row, mask=used, other=0)
    batch, x, y, z = unpacked(key[:, None])
    k = (tl.program_id(1) * CHUNK + tl.arange(0, CHUNK))[None, :]
    mine = k < asked
    x += tl.load(steps + 3 * k, mask=mine, other=0)
    y += tl.load(steps + 3 * k + 1, mask=mine, other=0)
    z += tl.load(steps + 3 * k + 2, mask=mine, other=0)
    waiting = used[:, None] & mine & in_range(x, y, z)
    wanted = packed(batch + k * 0, x, y, z)
    found = look_up(slots, values, wanted, waiting, last)
    tl.store(neighbours + k * rows + row[:, None], found, mask=(row < rows)[:, None] & mine)
    if MIRROR:
        across = neighbours + (volume - 1 - k) * rows + found
        tl.store(across, tl.broadcast_to(row[:, None], (BLOCK, CHUNK)), mask=found >= 0)
        if tl.program_id(1) == 0:
            tl.store(neighbours + (volume // 2) * rows + row, row, mask=used)


def kernel_map(inputs: Level, outputs: Level, kernel_size: Triple, stride: Triple, dilation: Triple) -> KernelMap:
    """`reference.kernel_map` on a CUDA device. Nothing waits for the host."""
    device = inputs.keys.device
    steps = _steps(kernel_size, inputs.stride, dilation, device)
    volume, rows = len(steps), outputs.capacity
    symmetric = inputs is outputs and all(size % 2 for size in kernel_size)
    asked = volume // 2 if symmetric else volume
    room = torch.full if symmetric else torch.empty
    neighbours = room((volume, rows), *((-1,) if symmetric else ()), dtype=torch.int32, device=device)
    if rows:
        slots, values = table_of(inputs)
        chunk = 16 if asked <= 16 else 32
        _probe[(triton.cdiv(rows, PROBES // chunk), triton.cdiv(max(asked, 1), chunk))](
            outputs.keys,
            outputs.count,
            steps,
            slots,
            values,
            neighbours,
            rows,
            asked,
            volume,
            len(slots) - 1,
            MIRROR=symmetric,
            BLOCK=PROBES // chunk,
            CHUNK=chunk,
        )
    return KernelMap(
        neighbours,
        count_in=inputs.count,
        count_out=outputs.count,
        capacity_in=inputs.capacity,
        kernel_size=kernel_size,
        stride=stride,
        dilation=dilation,
        symmetric=symmetric,
    )


def table_of(level: Level) -> tuple[Tensor, Tensor]:
    """Slots int64 [2^n], keys or -1, and values int32 [2^n], rows: made on first use."""
    if "table" not in level.made:
        slots, values = empty_table(level.capacity, level.keys.device)
        slots.fill_(-1)
        if level.capacity:
            _insert[(triton.cdiv(level.capacity, INSERT_BLOCK),)](
                level.keys, level.count, slots, values, level.capacity, len(slots) - 1, BLOCK=INSERT_BLOCK
            )
        level.made["table"] = (slots, values)
    table: tuple[Tensor, Tensor] = level.made["table"]
    return table


@lru_cache(maxsize=256)
def _steps(kernel_size: Triple, stride: Triple, dilation: Triple, device: Any) -> Tensor:
    """int32 [K, 3]: the offsets in units of stride-1 voxels, copied to the device once."""
    steps = torch.tensor(offsets(kernel_size)).reshape(-1, 3) * torch.tensor(stride) * torch.tensor(dilation)
    return steps.to(torch.int32).to(device)
