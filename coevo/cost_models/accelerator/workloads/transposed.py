"""Transposed convolutions as plain ones: the phases of the output side by side as output channels."""

from __future__ import annotations

from coevo.cost_models.accelerator.layer import Layer
from coevo.errors import InputError


def transposed_convolution(
    name: str,
    output_hw: tuple[int, int],
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    batch: int = 1,
    bits: tuple[int, int, int] | None = None,
) -> Layer:
    """The convolution that computes the same products as a transposed one (Shi and others 2016, sub-pixel convolution).

    The output rows at distance `stride` see the same taps of the kernel, kernel / stride of them, so each such phase is
    a convolution of its own over the input and all of them share it: stride^2 times the output channels. That needs a
    kernel that the stride divides; others are an InputError, as is dilation.
    """
    if any(taps % step for taps, step in zip(kernel, stride, strict=True)) or dilation != (1, 1):
        raise InputError(
            f"layer {name!r}: a transposed convolution is mapped as a plain one where its stride divides its kernel "
            f"and its dilation is 1, got kernel {kernel}, stride {stride}, dilation {dilation}; export it as a resize "
            "and a convolution, or give its shape as layers of a workload file"
        )
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise InputError(
            f"layer {name!r}: {in_channels} input and {out_channels} output channels do not divide into {groups} groups"
        )
    rows, columns = (-(-size // step) for size, step in zip(output_hw, stride, strict=True))
    sizes = {
        "N": batch,
        "G": groups,
        "K": out_channels // groups * stride[0] * stride[1],
        "C": in_channels // groups,
        "Y": rows,
        "X": columns,
        "R": kernel[0] // stride[0],
        "S": kernel[1] // stride[1],
    }
    return Layer(name, sizes, bits=bits, kind="transposed convolution")
