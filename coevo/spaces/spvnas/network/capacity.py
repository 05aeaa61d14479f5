"""Rows that hold scans, for networks of fixed shapes."""

from __future__ import annotations

from collections.abc import Sequence

from coevo.kernels.sparse.hierarchy import build_levels
from coevo.kernels.sparse.shape import STAGES
from coevo.spaces.spvnas.data.voxels import VoxelSample

LEVELS = STAGES + 1
ROOM = 1.1


def capacity_of(samples: Sequence[VoxelSample], points: str = "voxels") -> tuple[int, ...]:
    """Rows at strides 1 to 16 that hold every one of these scans, and a tenth more."""
    most = [0] * LEVELS
    for sample in samples:
        rows = [int(level.count) for level in build_levels(sample.coords, LEVELS).levels]
        rows[0] = len(sample.point_coords) if points == "raw" else rows[0]
        most = [max(pair) for pair in zip(most, rows, strict=True)]
    return tuple(int(ROOM * each) + 64 for each in most)
