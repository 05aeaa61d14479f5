"""How large an elastic network's images and widths are: the paper's for ImageNet, smaller ones for smaller data."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.errors import InputError


@dataclass(frozen=True, slots=True)
class Scale:
    """`input_sizes`: rows that a design may choose from; `width`: factor on every number of channels; `classes`;
    `channels` of an image; `stem_stride`: 2 for photographs, 1 for images of a few dozen rows."""

    input_sizes: tuple[int, ...]
    classes: int
    width: float = 1.0
    channels: int = 3
    stem_stride: int = 2

    def __post_init__(self) -> None:
        if not self.input_sizes or min(self.input_sizes) < 8 or len(set(self.input_sizes)) != len(self.input_sizes):
            raise InputError(f"input sizes must be distinct and at least 8 rows, got {self.input_sizes}")
        if self.classes < 2 or self.channels < 1 or self.width <= 0 or self.stem_stride not in (1, 2):
            raise InputError(f"expected 2 classes, 1 channel, a positive width and a stem stride of 1 or 2, got {self}")


IMAGENET = Scale(tuple(range(128, 257, 16)), 1000)
