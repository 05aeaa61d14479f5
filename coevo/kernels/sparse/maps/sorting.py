"""Rows of many maps sorted by their masks in one sort.

What is sorted is a segment: the rows of one map and one range of its offsets. A row's sort key is the segment's number
above 27 bits that rise as the mask falls, all in one int32; so segments stay where they are, and one stable sort orders
all of them. A row that is not in use has the mask 0 and a higher number than those that are: it comes last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.maps.kernel_map import SortedRows

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
MOST_SEGMENTS, MOST_BITS = 32, 27
BLOCK = 1024


@dataclass(eq=False)
class Segments:
    """Segments as they are handed out, before their keys are written.

    `tables` int32 [2, 32] has, of every segment, the first row's place among all and the full mask of its range;
    `keys` int32 [rows] the sort keys, (segment - 16) * 2^27 + full - mask.
    """

    ranges: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(first segment, base, rows of a segment, splits) of every map."""
    rows: int = 0
    segments: int = 0

    def add(self, capacity: int, splits: int) -> tuple[int, int]:
        """Room for a map with `capacity` rows: where it begins, and its first segment's number."""
        if self.segments + splits > MOST_SEGMENTS:
            raise InputError(f"one sort orders {MOST_SEGMENTS} maps and ranges of offsets at most: take fewer splits")
        base, segment = self.rows, self.segments
        self.ranges.append((segment, base, capacity, splits))
        self.rows += capacity * splits
        self.segments += splits
        return base, segment

    def buffers(self, device: Any) -> tuple[Tensor, Tensor]:
        """(keys, tables), not set."""
        keys = torch.empty(max(self.rows, 1), dtype=torch.int32, device=device)
        return keys, torch.empty((2, MOST_SEGMENTS), dtype=torch.int32, device=device)


@triton.jit(do_not_specialize=["rows"])
def _unpack(keys, places, tables, order, masks, rows, BLOCK: tl.constexpr):
    """order, masks [rows] of sorted keys and the places that they came from."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < rows
    key = tl.load(keys + row, mask=inside, other=0)
    segment = (key >> 27) + 16
    base = tl.load(tables + segment, mask=inside, other=0)
    full = tl.load(tables + 32 + segment, mask=inside, other=0)
    place = tl.load(places + row, mask=inside, other=0)
    tl.store(order + row, place.to(tl.int32) - base, mask=inside)
    tl.store(masks + row, full - (key & ((1 << 27) - 1)), mask=inside)


def sort_segments(segments: Segments, keys: Tensor, tables: Tensor, widths: list[int]) -> list[SortedRows]:
    """The sorted rows of every map that was added, whose keys and tables the maps' kernels have written. widths: the
    offsets a range of each."""
    ordered, places = torch.sort(keys, stable=True)
    order, masks = torch.empty((2, len(keys)), dtype=torch.int32, device=keys.device)
    _unpack[(triton.cdiv(len(keys), BLOCK),)](
        ordered, places, tables, order, masks, segments.rows, BLOCK=BLOCK, num_warps=4
    )
    made = []
    for (_, base, capacity, splits), width in zip(segments.ranges, widths, strict=True):
        part = slice(base, base + splits * capacity)
        made.append(SortedRows(order[part].view(splits, capacity), masks[part].view(splits, capacity), width))
    return made
