"""Rows of many maps sorted by their masks in one sort.

What is sorted is a segment: the rows of one map and one range of its offsets. A row's sort key is the segment's number
above a field that falls as the rank of the row's sort word rises (`reference.sorted_rows`); so segments stay where they
are, and one stable sort orders all of them. A row that is not in use has the mask 0 and a higher number than those that
are: it comes last. 3x3x3 maps have a field of 27 bits and int32 keys, 2x2x2 maps one of 8 bits and int16 keys, which
take half the passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.maps.kernel_map import SortedRows
from coevo.kernels.sparse.maps.triton_permute import permute
from coevo.kernels.sparse.recorded import streams

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
MOST_SEGMENTS = 32
BLOCK = 256


@dataclass(frozen=True, eq=False)
class Written:
    """What the maps' kernels write of segments with `rows` rows together: sort keys [rows], masks int32 [rows], and of
    each segment the first row's place, bases int32 [MOST_SEGMENTS]."""

    keys: Tensor
    masks: Tensor
    bases: Tensor


@dataclass(eq=False)
class Segments:
    """Segments as they are handed out. `bits` of the field: 27 (int32 keys) or 8 (int16 keys)."""

    bits: int
    maps: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Of every map: where it begins, rows of a segment, splits, offsets a range."""
    rows: int = 0
    count: int = 0

    def add(self, capacity: int, splits: int, width: int) -> tuple[int, int]:
        """Room for a map with `capacity` rows: where it begins, and its first segment's number."""
        if self.count + splits > MOST_SEGMENTS:
            raise InputError(f"one sort orders {MOST_SEGMENTS} maps and ranges of offsets at most: take fewer splits")
        base, segment = self.rows, self.count
        self.maps.append((base, capacity, splits, width))
        self.rows += capacity * splits
        self.count += splits
        return base, segment


class Sort:
    """A sort of segments, which may run beside other work where launches are replayed: each fills but a part of the
    device. The maps' kernels write `written` before `begin`.

    Args:
        segments: what is sorted.
        device: where.
        volume: offsets of the maps whose neighbours `begin` is to put in order too; 0 for none.
    """

    def __init__(self, segments: Segments, device: Any, volume: int = 0):
        self.segments, rows = segments, segments.rows
        keys = torch.empty(rows, dtype=torch.int32 if segments.bits == 27 else torch.int16, device=device)
        bases = torch.empty(MOST_SEGMENTS, dtype=torch.int32, device=device)
        self.written = Written(keys, torch.empty(rows, dtype=torch.int32, device=device), bases)
        # all room is taken on the main stream, so that the allocator need not know of another
        self._out = torch.empty((2, rows), dtype=torch.int32, device=device)
        self._sorted, self._places = torch.empty_like(keys), torch.empty_like(keys, dtype=torch.int64)
        self._made = []
        for base, capacity, splits, width in segments.maps:
            part = self._out[:, base : base + splits * capacity].view(2, splits, capacity)
            room = torch.empty((volume, capacity), dtype=torch.int32, device=device) if volume else None
            self._made.append(SortedRows(part[0], part[1], width, room))
        self._beside: int | None = None

    def begin(self, beside: int | None, neighbours: Sequence[Tensor] = ()) -> None:
        """Sort what is written, and put the neighbours of the maps in order: in this stream, or in the side stream of
        that number (`streams.beside`)."""
        self._beside = beside
        if beside is None:
            self._sort(neighbours)
            return
        with streams.beside(beside, self._out.device):
            self._sort(neighbours)

    def end(self) -> list[SortedRows]:
        """The sorted rows of every map, in the order of `Segments.add`, ready for this stream."""
        if self._beside is not None:
            streams.join(self._beside, self._out.device)
        return self._made

    def _sort(self, neighbours: Sequence[Tensor]) -> None:
        rows = self.segments.rows
        if rows:
            torch.sort(self.written.keys, stable=True, out=(self._sorted, self._places))
            _unpack[(triton.cdiv(rows, BLOCK),)](
                self._sorted,
                self._places,
                self.written.masks,
                self.written.bases,
                self._out,
                rows,
                BITS=self.segments.bits,
                MIDDLE=16 if self.segments.bits == 27 else 0,
                BLOCK=BLOCK,
            )
        for each, made in zip(neighbours, self._made, strict=False):
            permute(each, made.order, made.width, made.neighbours)


@triton.jit(do_not_specialize=["rows"])
def _unpack(keys, places, masks, bases, out, rows, BITS: tl.constexpr, MIDDLE: tl.constexpr, BLOCK: tl.constexpr):
    """out [2, rows]: the row within its segment, and the mask, at each place of sorted keys that came from `places`."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < rows
    segment = (tl.load(keys + row, mask=inside, other=0).to(tl.int32) >> BITS) + MIDDLE
    base = tl.load(bases + segment, mask=inside, other=0)
    place = tl.load(places + row, mask=inside, other=0).to(tl.int32)
    tl.store(out + row, place - base, mask=inside)
    tl.store(out + rows + row, tl.load(masks + place, mask=inside, other=0), mask=inside)
