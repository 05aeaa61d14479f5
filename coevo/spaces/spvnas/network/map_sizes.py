"""Sizes of the kernel maps of scans, for closed-form counts."""

from __future__ import annotations

from collections.abc import Iterable

from coevo.errors import InputError
from coevo.kernels.sparse.modules.macs import count_pairs
from coevo.kernels.sparse.shape import STAGES
from coevo.kernels.sparse.tensors import SparseTensor
from coevo.spaces.spvnas.network.macs import MapSizes


def map_sizes(x: SparseTensor, num_points: int | None = None, num_scans: int = 1) -> MapSizes:
    """Of one scan, or a scan's share of a batch of so many; maps are made where they are missing. Waits for the device.

    Args:
        x: of stride 1.
        num_points: of the point branch; as many as voxels where it is None.
        num_scans: in the batch.
    """
    if num_scans < 1:
        raise InputError(f"a batch has at least one scan, got {num_scans}")
    pairs, rows = [], []
    for level in range(STAGES + 1):
        stride = 1 << level
        pairs.append(count_pairs(x.caches.kernel_map(stride, 3)) / num_scans)
        rows.append(int(x.caches.level(stride).count) / num_scans)
        if level < STAGES:
            x.caches.kernel_map(stride, 2, 2)  # makes the coarser voxels
    return MapSizes(tuple(rows), tuple(pairs), rows[0] if num_points is None else num_points / num_scans)


def mean_map_sizes(scans: Iterable[SparseTensor]) -> MapSizes:
    """Of scans one by one, points being voxels."""
    return MapSizes.mean([map_sizes(each) for each in scans])
