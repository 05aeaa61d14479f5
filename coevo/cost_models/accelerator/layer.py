"""A layer as one loop nest: eight sizes, strides, dilations, and widths where they differ from the accelerator's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from coevo.errors import InputError
from coevo.hardware.accelerators import DIMENSIONS

LARGEST_MACS = 2**50  # counts stay exact in float64 with room for padding and reloads


@dataclass(frozen=True, slots=True)
class Layer:
    """`sizes` by loop (N, G, K, C, Y, X, R, S; what is left out is 1): K and C are those of one group. `stride` and
    `dilation` of rows and columns. `bits`: widths of weights, inputs, outputs, None for the accelerator's.
    Padding is counted as data: the input is what the windows of all outputs touch."""

    name: str
    sizes: Mapping[str, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    bits: tuple[int, int, int] | None = None
    kind: str = field(default="convolution", compare=False)

    def __post_init__(self) -> None:
        unknown = [name for name in self.sizes if name not in DIMENSIONS]
        if unknown:
            raise InputError(f"layer {self.name!r}: loops are {', '.join(DIMENSIONS)}, got {', '.join(unknown)}")
        for name, size in self.sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise InputError(f"layer {self.name!r}: size {name} must be a whole number of at least 1, got {size!r}")
        for label, pair in (("stride", self.stride), ("dilation", self.dilation)):
            if min(pair) < 1:
                raise InputError(f"layer {self.name!r}: {label} must be at least 1, got {pair}")
        if self.bits is not None and not all(1 <= bits <= 64 for bits in self.bits):
            raise InputError(f"layer {self.name!r}: widths must lie in 1..64 bits, got {self.bits}")
        object.__setattr__(self, "sizes", {name: int(self.sizes.get(name, 1)) for name in DIMENSIONS})
        if self.macs > LARGEST_MACS:
            raise InputError(
                f"layer {self.name!r}: {self.macs:.3g} MACs are more than the {LARGEST_MACS:.3g} that are counted "
                "exactly; split the layer"
            )

    @property
    def macs(self) -> int:
        return math.prod(self.sizes.values())

    @property
    def shape(self) -> tuple[object, ...]:
        """What its mapping depends on: everything but its name."""
        return (*self.sizes.values(), *self.stride, *self.dilation, *(self.bits or ()))


def convolution(
    name: str,
    input_hw: tuple[int, int],
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    batch: int = 1,
    bits: tuple[int, int, int] | None = None,
) -> Layer:
    """A 2-D convolution from what frameworks call it by. `input_hw` is without padding."""
    kernel, stride, padding, dilation = (
        value if isinstance(value, tuple) else (value, value) for value in (kernel, stride, padding, dilation)
    )
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise InputError(
            f"layer {name!r}: {in_channels} input and {out_channels} output channels do not divide into {groups} groups"
        )
    outputs = []
    for label, size, taps, step, pad, spread in zip(
        ("rows", "columns"), input_hw, kernel, stride, padding, dilation, strict=True
    ):
        span = (taps - 1) * spread + 1
        if min(size, taps, step, spread) < 1 or pad < 0:
            raise InputError(
                f"layer {name!r}: {label}: sizes, kernel, stride and dilation must be at least 1, padding at least "
                f"0, got {size}, {taps}, {step}, {spread} and {pad}"
            )
        if span > size + 2 * pad:
            raise InputError(
                f"layer {name!r}: a kernel that spans {span} {label} is larger than its padded input of "
                f"{size + 2 * pad} {label}; lower the kernel or the dilation, or pad more"
            )
        outputs.append((size + 2 * pad - span) // step + 1)
    sizes = {"N": batch, "G": groups, "K": out_channels // groups, "C": in_channels // groups,
             "Y": outputs[0], "X": outputs[1], "R": kernel[0], "S": kernel[1]}  # fmt: skip
    kind = "depthwise convolution" if groups == in_channels > 1 else "convolution"
    return Layer(name, sizes, stride, dilation, bits, kind)


def matrix_product(
    name: str, rows: int, columns: int, inner: int, batch: int = 1, bits: tuple[int, int, int] | None = None
) -> Layer:
    """`out[b, rows, columns] = in[b, rows, inner] @ w[b, inner, columns]`; both operands have `batch`."""
    return Layer(name, {"N": rows, "G": batch, "K": columns, "C": inner}, bits=bits, kind="matrix product")


def attention(
    name: str, heads: int, queries: int, keys: int, width: int, key_heads: int | None = None, batch: int = 1
) -> tuple[Layer, Layer]:
    """The two products of one attention: scores = Q K^T and mix = softmax(scores) V; `width` is a head's. Several
    query heads share a key head (grouped-query attention) where `key_heads` is smaller than `heads`. The softmax
    itself has no MACs and is not counted."""
    key_heads = key_heads or heads
    if heads % key_heads:
        raise InputError(f"layer {name!r}: {heads} query heads do not divide into {key_heads} key heads")
    rows = queries * heads // key_heads
    shared = batch * key_heads
    return (
        Layer(f"{name}.scores", {"N": rows, "G": shared, "K": keys, "C": width}, kind="attention"),
        Layer(f"{name}.mix", {"N": rows, "G": shared, "K": width, "C": keys}, kind="attention"),
    )
