"""Multiplications and parameters of a design in closed form, from the mean sizes of a data set's kernel maps.

A convolution has pairs * C_in * C_out of them, a linear layer points * C_in * C_out (the measure of SPVNAS, whose
published numbers are means over the frames of SemanticKITTI's sequence 08). With mean sizes the count of a design is
one sum: microseconds a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coevo.errors import InputError
from coevo.kernels.sparse.shape import STAGES, UNetShape
from coevo.spaces.spvnas.design import Bounds
from coevo.spaces.spvnas.network.layers import Layer, layers_of


@dataclass(frozen=True)
class MapSizes:
    """Sizes of a frame, or their means over frames.

    Attributes:
        rows: [5] voxels at strides 1, 2, 4, 8 and 16.
        pairs: [5] pairs of voxels that are neighbours in a 3x3x3 window, each voxel with itself among them.
        points: of the point branch and the classifier; voxels of stride 1 unless points are raw.
    """

    rows: tuple[float, ...]
    pairs: tuple[float, ...]
    points: float

    def __post_init__(self) -> None:
        numbers = (*self.rows, *self.pairs, self.points)
        if len(self.rows) != STAGES + 1 or len(self.pairs) != STAGES + 1 or not all(each >= 0 for each in numbers):
            raise InputError(
                f"sizes of maps are {STAGES + 1} numbers of rows and of pairs and a number of points, all >= 0, got "
                f"{self.rows}, {self.pairs} and {self.points}"
            )

    @classmethod
    def mean(cls, frames: Sequence[MapSizes]) -> MapSizes:
        """Of at least one frame."""
        if not frames:
            raise InputError("the mean of the sizes of no frame was asked for")

        def over(each: Sequence[float]) -> float:
            return sum(each) / len(frames)

        rows = tuple(over(each) for each in zip(*(frame.rows for frame in frames), strict=True))
        pairs = tuple(over(each) for each in zip(*(frame.pairs for frame in frames), strict=True))
        return cls(rows, pairs, over([frame.points for frame in frames]))

    def scaled(self, ratio: float) -> MapSizes:
        """Every size times `ratio`."""
        return MapSizes(
            tuple(ratio * each for each in self.rows), tuple(ratio * each for each in self.pairs), ratio * self.points
        )

    def of(self, layer: Layer) -> float:
        """Pairs, or rows, that a layer multiplies."""
        if layer.kind == "linear":
            return self.points
        return (self.pairs if layer.kind == "submanifold" else self.rows)[layer.level]


ONE_SWEEP = MapSizes((94_625, 68_931, 42_166, 21_525, 9_522), (286_263, 309_177, 267_754, 166_517, 82_740), 94_625)
"""One real HDL-64E sweep of KITTI (123,389 points) at 0.05 m."""
MEAN_FRAME = ONE_SWEEP.scaled(0.83)
"""The mean frame of SemanticKITTI's sequence 08: SPVNAS's published counts are 0.83 of that sweep's at every width."""


def macs_of(
    design: UNetShape, sizes: MapSizes = MEAN_FRAME, num_classes: int = 19, in_channels: int = 4
) -> dict[str, int]:
    """Multiply-accumulates of every layer of a frame, by the names of the static network's modules."""
    layers = layers_of(design, num_classes, in_channels)
    return {layer.name: round(sizes.of(layer) * layer.inputs * layer.outputs) for layer in layers}


def total_macs(design: UNetShape, sizes: MapSizes = MEAN_FRAME, num_classes: int = 19, in_channels: int = 4) -> int:
    """Of all layers."""
    return sum(macs_of(design, sizes, num_classes, in_channels).values())


def parameters_of(design: UNetShape, num_classes: int = 19, in_channels: int = 4) -> int:
    """What an optimizer trains: weights, biases, and scales and shifts of norms."""
    return sum(layer.parameters for layer in layers_of(design, num_classes, in_channels))


def check_budget(
    bounds: Bounds, most_macs: float, sizes: MapSizes = MEAN_FRAME, num_classes: int = 19, in_channels: int = 4
) -> None:
    """InputError where no design of the space stays within `most_macs` a frame."""
    least = total_macs(bounds.smallest, sizes, num_classes, in_channels)
    if not most_macs >= least:
        raise InputError(
            f"the budget of {most_macs / 1e9:.2f} GMACs is below the smallest network of the space {bounds.id}, which "
            f"has {least / 1e9:.2f}; raise the budget, or search a smaller space (Bounds.scaled)"
        )
