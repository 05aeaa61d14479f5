"""Which builder makes levels: the kernels on a CUDA device, plain torch elsewhere."""

from __future__ import annotations

from typing import Any

from coevo.kernels.sparse.coordinates import padded, reference
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.maps.offsets import Triple

Tensor = Any


def sorted_level(coords: Tensor, stride: Triple) -> tuple[Level, Tensor, Tensor]:
    """The level of coords [N, 4], and the two ways between orders (`reference.sorted_level`)."""
    return reference.sorted_level(coords, stride)


def outputs(inputs: Level, kernel_size: Triple, stride: Triple, dilation: Triple) -> Level:
    """The voxels that a convolution of a stride puts out: the inputs where it is 1, the floored ones where it is the
    kernel size (without dilation), else all that windows reach. The outputs of a
    level that is not exact have a padded capacity, and nothing waits for the device."""
    if stride == (1, 1, 1):
        return inputs
    if kernel_size == stride and dilation == (1, 1, 1):
        return reference.parents(inputs, stride) if inputs.exact else padded.parents(inputs, stride)
    reached = reference.reached if inputs.exact else padded.reached
    return reached(inputs, kernel_size, stride, dilation)
