"""A scan's features brought in the order of its voxels and to the channels that the first convolution takes."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether the kernels run in Triton's interpreter on the CPU (TRITON_INTERPRET=1 when this module is imported)."""
BLOCK = 2048 if INTERPRETED else 128


@triton.jit(do_not_specialize=["rows"])
def _take_rows(
    features, order, count, out, rows, pitch, CHANNELS: tl.constexpr, WIDTH: tl.constexpr,
    POWER: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """out [rows, WIDTH]: features [N, CHANNELS] at the rows `order`, then zeros; nothing from `count` on."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, POWER)[None, :]
    used = (place < rows) & (place < tl.load(count))
    row = tl.load(order + place, mask=place < rows, other=0)
    found = tl.load(
        features + row.to(tl.int64)[:, None] * pitch + channel, mask=used[:, None] & (channel < CHANNELS), other=0.0
    )
    tl.store(out + place.to(tl.int64)[:, None] * WIDTH + channel, found, mask=used[:, None] & (channel < WIDTH))


def take_rows(features: Tensor, order: Tensor, count: Tensor, channels: int) -> Tensor:
    """[len(order), channels] of features [N, C] with C <= channels: row i is that of order[i] (int32), padded with
    zeros. Rows from `count` (int32 [1]) on are not set."""
    rows, own = len(order), features.shape[1]
    features = features if features.stride(1) == 1 else features.contiguous()
    out = features.new_empty((rows, channels))
    if rows:
        _take_rows[(triton.cdiv(rows, BLOCK),)](
            features,
            order,
            count,
            out,
            rows,
            features.stride(0),
            CHANNELS=own,
            WIDTH=channels,
            POWER=triton.next_power_of_2(channels),
            BLOCK=BLOCK,
        )
    return out
