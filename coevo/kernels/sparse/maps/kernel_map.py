"""Which input row meets which output row at which offset of a convolution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coevo.errors import InputError
from coevo.kernels.sparse.maps.offsets import Triple

Tensor = Any
MASK_BITS = 31
"""Offsets that one mask (int32, never negative) can hold."""


@dataclass(eq=False)
class SortedRows:
    """Output rows in an order in which rows that miss the same offsets stand beside each other.

    The K offsets are cut in `splits` ranges of `width` offsets (the last may be shorter): range s is
    s * width .. min(K, (s + 1) * width) - 1.

    Attributes:
        order: int32 [splits, capacity_out], the row at each place; rows in use first, those with rare offsets before
            others (`offsets.sort_places`), then the rows that are not in use.
        masks: int32 [splits, capacity_out], in that order: bit b says whether offset s * width + b has an input row;
            0 for rows that are not in use.
        width: offsets a range.
        neighbours: int32 [K, capacity_out], the map's with the columns of each range in its order; None until made.
    """

    order: Tensor
    masks: Tensor
    width: int
    neighbours: Tensor | None = None

    @property
    def splits(self) -> int:
        return int(self.order.shape[0])


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of a map, offset after offset, in the order of output rows, or of input rows where the inverse made
    them.

    Attributes:
        inputs, outputs: int32 [K * capacity_out]; pair p is inputs[p] -> outputs[p].
        starts: int32 [K + 1]; offset k has pairs starts[k] .. starts[k + 1] - 1; what lies beyond starts[K] is not set.
    """

    inputs: Tensor
    outputs: Tensor
    starts: Tensor


@dataclass(frozen=True, eq=False)
class KernelMap:
    """The map of one convolution. Rows at and above a count hold -1 and are never to be counted on.

    Attributes:
        neighbours: int32 [K, capacity_out], the input row that an output row meets at offset k, or -1.
        count_in, count_out: int32 [1] on the device, rows in use.
        capacity_in: rows that are allocated on the input side.
        kernel_size, stride, dilation: of the convolution, for x, y and z.
        symmetric: inputs and outputs are the same voxels and neighbours[K - 1 - k] inverts neighbours[k].
    """

    neighbours: Tensor
    count_in: Tensor
    count_out: Tensor
    capacity_in: int
    kernel_size: Triple
    stride: Triple
    dilation: Triple
    symmetric: bool
    made: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What was made of the map: the inverse, orders by the number of splits, pairs."""

    @property
    def volume(self) -> int:
        """K, the number of offsets."""
        return int(self.neighbours.shape[0])

    @property
    def capacity_out(self) -> int:
        """Rows that are allocated on the output side."""
        return int(self.neighbours.shape[1])

    def inverse(self) -> KernelMap:
        """The map from outputs back to inputs, [K, capacity_in]: of the input's gradient and of the transposed
        convolution. Its inverse is this map."""
        if "inverse" not in self.made:
            from coevo.kernels.sparse.maps.build import inverse_neighbours

            neighbours = self.neighbours.flip(0) if self.symmetric else inverse_neighbours(self)
            back = KernelMap(
                neighbours,
                count_in=self.count_out,
                count_out=self.count_in,
                capacity_in=self.capacity_out,
                kernel_size=self.kernel_size,
                stride=self.stride,
                dilation=self.dilation,
                symmetric=self.symmetric,
                made={"inverse": self},
            )
            self.made["inverse"] = back
        inverse: KernelMap = self.made["inverse"]
        return inverse

    def sorted(self, splits: int = 1) -> SortedRows:
        """Output rows with like masks beside each other, a range of offsets at a time. InputError where a range would
        have more offsets than a mask has bits."""
        width = check_splits(self.volume, splits)
        if ("sorted", splits) not in self.made:
            from coevo.kernels.sparse.maps.build import sorted_rows

            self.made["sorted", splits] = sorted_rows(self, splits, width)
        rows: SortedRows = self.made["sorted", splits]
        return rows

    def pairs(self) -> Pairs:
        """The pairs of every offset, compacted: those of the inverse turned round, where they are there."""
        back = self.made.get("inverse")
        if "pairs" not in self.made and back is not None and "pairs" in back.made:
            turned = back.made["pairs"]
            self.made["pairs"] = Pairs(turned.outputs, turned.inputs, turned.starts)
        if "pairs" not in self.made:
            from coevo.kernels.sparse.maps.build import compacted_pairs

            self.made["pairs"] = compacted_pairs(self)
        pairs: Pairs = self.made["pairs"]
        return pairs


def check_splits(volume: int, splits: int) -> int:
    """Offsets a range, where `volume` offsets are cut in `splits` ranges. InputError where that cannot be."""
    if not 1 <= splits <= volume:
        raise InputError(f"a kernel of {volume} offsets can be cut in 1 to {volume} ranges, got splits = {splits}")
    width = -(-volume // splits)
    if width > MASK_BITS:
        raise InputError(
            f"a mask holds {MASK_BITS} offsets, and {splits} ranges of {volume} offsets have up to {width}: "
            f"sort with at least {-(-volume // MASK_BITS)} splits, or do not sort"
        )
    return width
