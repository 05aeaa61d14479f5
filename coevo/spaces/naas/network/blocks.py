"""What elastic networks are made of, and the layers that each block runs: one description for cost and for training.

A block knows its channels, kernels and strides; the size of what enters it comes from the blocks before. Batch norms,
activations and additions cost no MACs and are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coevo.cost_models.accelerator import Layer, convolution, matrix_product


@dataclass(frozen=True, slots=True)
class Plain:
    """A convolution with batch norm and activation; `residual` adds its input."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    residual: bool = False


@dataclass(frozen=True, slots=True)
class MaxPool:
    """3 x 3, stride 2, padding 1."""

    name: str


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """1 x 1, 3 x 3 with the stride, 1 x 1, and a shortcut: where the shape changes, average pooling and 1 x 1."""

    name: str
    inputs: int
    middle: int
    outputs: int
    stride: int = 1

    @property
    def projects(self) -> bool:
        return self.stride != 1 or self.inputs != self.outputs


@dataclass(frozen=True, slots=True)
class Inverted:
    """1 x 1 expansion (none where middle = inputs), depthwise, squeeze and excitation where `squeezed` > 0, 1 x 1; a
    shortcut where shape does not change."""

    name: str
    inputs: int
    middle: int
    outputs: int
    kernel: int
    stride: int = 1
    squeezed: int = 0

    @property
    def expands(self) -> bool:
        return self.middle != self.inputs

    @property
    def adds(self) -> bool:
        return self.stride == 1 and self.inputs == self.outputs


@dataclass(frozen=True, slots=True)
class Head:
    """Global average pooling, then linear layers of these widths; activations between them."""

    name: str
    widths: tuple[int, ...]


Block = Plain | MaxPool | Bottleneck | Inverted | Head


def divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` next to `value`, not more than a tenth below it (MobileNetV2's rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def halved(size: int, stride: int) -> int:
    """Rows after a padded odd kernel with this stride."""
    return (size - 1) // stride + 1


def layers_of(blocks: Sequence[Block], input_size: int, batch: int = 1) -> list[Layer]:
    """Every layer with MACs, in the order in which they run."""
    return list(_layers(blocks, input_size, batch))


def _layers(blocks: Sequence[Block], size: int, batch: int) -> Iterator[Layer]:
    def conv(name: str, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> Layer:
        return convolution(name, (size, size), inputs, outputs, kernel, stride, kernel // 2, groups=groups, batch=batch)

    for block in blocks:
        if isinstance(block, Plain):
            yield conv(block.name, block.inputs, block.outputs, block.kernel, block.stride)
            size = halved(size, block.stride)
        elif isinstance(block, MaxPool):
            size = halved(size, 2)
        elif isinstance(block, Bottleneck):
            yield conv(f"{block.name}.reduce", block.inputs, block.middle, 1)
            yield conv(f"{block.name}.spatial", block.middle, block.middle, 3, block.stride)
            size = halved(size, block.stride)
            yield conv(f"{block.name}.expand", block.middle, block.outputs, 1)
            if block.projects:
                yield conv(f"{block.name}.shortcut", block.inputs, block.outputs, 1)
        elif isinstance(block, Inverted):
            if block.expands:
                yield conv(f"{block.name}.expand", block.inputs, block.middle, 1)
            yield conv(f"{block.name}.depthwise", block.middle, block.middle, block.kernel, block.stride, block.middle)
            size = halved(size, block.stride)
            if block.squeezed:
                yield matrix_product(f"{block.name}.squeeze", batch, block.squeezed, block.middle)
                yield matrix_product(f"{block.name}.excite", batch, block.middle, block.squeezed)
            yield conv(f"{block.name}.project", block.middle, block.outputs, 1)
        else:
            for number, (inputs, outputs) in enumerate(zip(block.widths[:-1], block.widths[1:], strict=True)):
                yield matrix_product(f"{block.name}.{number}", batch, outputs, inputs)
