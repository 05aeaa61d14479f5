"""What went wrong on the device: a word of bits that kernels set, read by the host when it waits anyway."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError
from coevo.kernels.sparse.coordinates.keys import HIGHEST, LOWEST, MOST_BATCHES

Tensor = Any
OUT_OF_RANGE, DUPLICATES, TOO_MANY = 1, 2, 4
"""Coordinates that cannot be packed; two rows with the same coordinates; more voxels than a level's capacity."""


def check_status(status: Tensor) -> None:
    """InputError where a bit of status (int32 [1]) is set. Waits for the device."""
    bits = int(status)
    wrong = []
    if bits & OUT_OF_RANGE:
        wrong.append(
            f"coordinates outside what can be packed (x, y, z {LOWEST} .. {HIGHEST}, batch 0 .. {MOST_BATCHES - 1}) "
            "or outside the extent that was given; shift the scan towards the origin, or take larger voxels"
        )
    if bits & DUPLICATES:
        wrong.append("rows with the same coordinates; quantise the points first (`quantize.quantize`)")
    if bits & TOO_MANY:
        wrong.append("more voxels than the capacity; build with a larger one")
    if wrong:
        raise InputError("the voxels have " + ", and ".join(wrong))
