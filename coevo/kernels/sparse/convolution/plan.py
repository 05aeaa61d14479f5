"""How a convolution is carried out, and which way is taken where nobody measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coevo.errors import InputError

Tile = tuple[int, int, int, int, int, int, int | None]
"""Rows, columns, depth, extra, warps, stages and registers of a plan."""
Dataflow = Literal["reference", "sorted", "unsorted", "gather_scatter", "fetch_on_demand"]
DATAFLOWS = ("reference", "sorted", "unsorted", "gather_scatter", "fetch_on_demand")


@dataclass(frozen=True)
class Plan:
    """A way to carry out a convolution.

    Attributes:
        dataflow: "sorted" and "unsorted" are the masked implicit GEMM (`implicit_gemm`), "gather_scatter" and
            "fetch_on_demand" the modules of these names, "reference" plain torch.
        splits: ranges of offsets of the sorted implicit GEMM, each with an order of rows of its own. Sums of the ranges
            before the last are kept in the output's dtype.
        rows, columns, depth: the tile of output rows, output channels and input channels, powers of two.
        extra: input channels that a step takes besides `depth`, where that divides them: 64 + 32 for 96.
        warps, stages: of the kernel; stages are tiles in flight.
        registers: the most that a thread may use; None for the compiler's choice.
        described: whether weights come through the tensor memory accelerator (compute capability 9), where their
            layout allows it.
        permuted: whether neighbours are read from a copy in the sorted order.
        fixed: whether the tile stays as it is whatever the channels, so that one compiled kernel serves every width;
            otherwise it shrinks to the channels, and those that it divides need no masks.
        group_spread, group_rows: epsilon and S of adaptive grouping (`gather_scatter`).
    """

    dataflow: Dataflow = "sorted"
    splits: int = 1
    rows: int = 128
    columns: int = 128
    depth: int = 64
    extra: int = 0
    warps: int = 8
    stages: int = 4
    registers: int | None = None
    described: bool = False
    permuted: bool = True
    fixed: bool = False
    group_spread: float = 0.3
    group_rows: int = 20_000

    def __post_init__(self) -> None:
        if self.dataflow not in DATAFLOWS:
            raise InputError(f"a plan's dataflow is one of {', '.join(DATAFLOWS)}, got {self.dataflow!r}")
        if self.splits < 1:
            raise InputError(f"a plan has at least 1 split, got {self.splits}")
        for name in ("rows", "columns", "depth"):
            value = getattr(self, name)
            if value < 16 or value & (value - 1):
                raise InputError(f"a plan's {name} must be a power of two >= 16, got {value}")
        if self.extra and (self.extra < 16 or self.extra & (self.extra - 1)):
            raise InputError(f"a plan's extra must be 0 or a power of two >= 16, got {self.extra}")

    @classmethod
    def of_tile(cls, tile: Tile, splits: int, volume: int) -> Plan:
        """The sorted implicit GEMM over a map of `volume` offsets. A map of few is for one convolution: a copy of it in
        the sorted order would not pay."""
        rows, columns, depth, extra, warps, stages, registers = tile
        return cls(
            splits=splits,
            rows=rows,
            columns=columns,
            depth=depth,
            extra=extra,
            warps=warps,
            stages=stages,
            registers=registers,
            described=columns > 32,
            permuted=volume >= 27,
        )
