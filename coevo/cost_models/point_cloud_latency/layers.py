"""What a table is asked for: a layer by its kind, its level and its channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from coevo.errors import InputError

KINDS = ("conv3", "shortcut", "down", "up", "linear", "scatter", "gather", "corners")
"""A 3x3x3 convolution with its norm and ReLU; what a 1x1x1 shortcut adds to one; 2x2x2 convolutions of stride 2 and
their transposes; a linear layer of points; means over points, interpolation at points, and finding their corners."""
QUANTUM = 16
"""Channels that kernels pad to."""
FINE_TO, MIDDLE_TO = 128, 256
"""Channels up to which an axis has every multiple of 16, and then of 32; beyond, of 64: the widths of tiles grow."""
COARSE = (16, 32, 64, 128, 256, 384, 576, 768)


@dataclass(frozen=True, slots=True)
class Layer:
    """`kind` is one of `KINDS`; `level` 0 .. 4 of the voxels of stride 2^level it puts out (of the finer ones for
    "down" and "up"); channels in and out, in multiples of 16 as they are computed."""

    kind: str
    level: int
    inputs: int
    outputs: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.level < 0 or min(self.inputs, self.outputs) < 1:
            raise InputError(f"a layer is one of {', '.join(KINDS)}, at a level >= 0, with channels >= 1; got {self}")

    @classmethod
    def of(cls, kind: str, level: int, inputs: int, outputs: int) -> Layer:
        """With channels rounded up to multiples of 16, as kernels pad them."""
        return cls(kind, level, padded(inputs), padded(outputs))


def padded(channels: int) -> int:
    """The next multiple of 16."""
    return -(-channels // QUANTUM) * QUANTUM


@dataclass(frozen=True, slots=True)
class Axes:
    """Channels at which a kind of layer is measured."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def axes_over(layers: Iterable[Layer], coarse: bool = False) -> dict[tuple[str, int], Axes]:
    """{(kind, level): axes} that span all these layers; `coarse` takes a fifth as many entries."""
    spans: dict[tuple[str, int], list[int]] = {}
    for layer in layers:
        span = spans.setdefault((layer.kind, layer.level), [layer.inputs, layer.inputs, layer.outputs, layer.outputs])
        span[0], span[1] = min(span[0], layer.inputs), max(span[1], layer.inputs)
        span[2], span[3] = min(span[2], layer.outputs), max(span[3], layer.outputs)
    found: Mapping[tuple[str, int], list[int]] = dict(sorted(spans.items()))
    return {key: Axes(_axis(a, b, coarse), _axis(c, d, coarse)) for key, (a, b, c, d) in found.items()}


def _axis(low: int, high: int, coarse: bool) -> tuple[int, ...]:
    every: Sequence[int] = COARSE
    if not coarse:
        every = [
            *range(QUANTUM, FINE_TO + 1, 16),
            *range(FINE_TO + 32, MIDDLE_TO + 1, 32),
            *range(MIDDLE_TO + 64, high + 1, 64),
        ]
    return tuple(sorted({low, high, *(each for each in every if low < each < high)}))
