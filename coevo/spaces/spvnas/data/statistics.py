"""Statistics of scans: what a generator is held to, and what a network's cost depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.errors import missing_extra
from coevo.spaces.spvnas.data.labels import CLASSES
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.network.macs import MapSizes, total_macs

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "spvnas") from error

Tensor = Any
STRIDES = (1, 2, 4, 8, 16)
PERCENTS = (5, 25, 50, 75, 90, 95, 99)


@dataclass(frozen=True)
class LevelStatistics:
    """Voxels of one stride.

    Attributes:
        stride: of the voxels.
        voxels: their number.
        mean_neighbours: occupied voxels of the 27 around and at a voxel, on average.
        faces: shares of voxels with a neighbour across a face, along x, y and z (one way).
        alone: the share without any neighbour.
    """

    stride: int
    voxels: float
    mean_neighbours: float
    faces: tuple[float, float, float]
    alone: float


def level_statistics(coords: Tensor) -> tuple[LevelStatistics, ...]:
    """Of one scan's voxels, coords int [N, 3] or [N, 4] (the batch's number is left out), at `STRIDES`."""
    level = coords[:, -3:].to(torch.int64)
    level = level - level.amin(dim=0)
    found = []
    for stride in STRIDES:
        keys = torch.unique(_keys(level // stride))
        cells = torch.stack([keys >> 40, (keys >> 20) & 0xFFFFF, keys & 0xFFFFF], dim=1) - 1
        counts = torch.ones_like(keys)
        faces = {}
        for x, y, z in _HALF:  # a pair is seen from both its ends
            wanted = _keys(cells + torch.tensor([x, y, z], device=keys.device))
            at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
            there = keys[at] == wanted
            counts += there
            counts.index_add_(0, at[there], torch.ones_like(at[there]))
            faces[x, y, z] = float(there.double().mean())
        of_faces = (faces[1, 0, 0], faces[0, 1, 0], faces[0, 0, 1])
        mean, alone = float(counts.double().mean()), float((counts == 1).double().mean())
        found.append(LevelStatistics(stride, len(keys), mean, of_faces, alone))
    return tuple(found)


_HALF = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) > (0, 0, 0)]


def _keys(cells: Tensor) -> Tensor:
    shifted = cells + 1
    return (shifted[:, 0] << 40) | (shifted[:, 1] << 20) | shifted[:, 2]


def range_percentiles_m(scan: Scan) -> dict[int, float]:
    """Percentiles of the points' distances, by percent."""
    ranges = np.linalg.norm(scan.points[:, :3].astype(np.float64), axis=1)
    return dict(zip(PERCENTS, map(float, np.percentile(ranges, PERCENTS)), strict=True))


def class_shares(scans: list[Scan]) -> dict[str, float]:
    """The share of all points that is of each class; "unlabelled" is the rest."""
    counts = np.zeros(len(CLASSES))
    points = 0
    for scan in scans:
        points += len(scan.points)
        if scan.labels is not None:
            counts += np.bincount(scan.labels, minlength=256)[: len(CLASSES)]
    found = {name: float(count / points) for name, count in zip(CLASSES, counts, strict=True)}
    return {**found, "unlabelled": 1.0 - sum(found.values())}


def map_sizes(levels: Sequence[LevelStatistics]) -> MapSizes:
    """What closed-form costs of networks need, from a scan's `level_statistics`; a voxel has one point, as released."""
    rows = tuple(float(level.voxels) for level in levels)
    pairs = tuple(level.voxels * level.mean_neighbours for level in levels)
    return MapSizes(rows, pairs, rows[0])


def spvcnn_gmacs(levels: Sequence[LevelStatistics]) -> float:
    """Billions of multiply-accumulates of SPVCNN at width 1 on a scan."""
    return total_macs(Backbone.uniform(1.0), map_sizes(levels)) / 1e9


@dataclass(frozen=True)
class Reference:
    """Statistics of real scans.

    Attributes:
        levels: of frame 0 of sequence 00 at 5 cm.
        range_percentiles_m: of its points.
        class_shares: of the whole data set, by class.
        spvcnn_gmacs: mean of SPVCNN at width 1 over the validation sequence.
    """

    levels: tuple[LevelStatistics, ...]
    range_percentiles_m: Mapping[int, float]
    class_shares: Mapping[str, float]
    spvcnn_gmacs: float


SEMANTIC_KITTI = Reference(
    levels=(
        LevelStatistics(1, 94_625, 3.025, (0.211, 0.230, 0.033), 0.314),
        LevelStatistics(2, 68_933, 4.486, (0.300, 0.333, 0.094), 0.146),
        LevelStatistics(4, 42_168, 6.350, (0.401, 0.435, 0.188), 0.056),
        LevelStatistics(8, 21_526, 7.736, (0.486, 0.503, 0.250), 0.027),
        LevelStatistics(16, 9_523, 8.690, (0.569, 0.561, 0.266), 0.016),
    ),
    range_percentiles_m={5: 4.72, 25: 6.69, 50: 11.37, 75: 19.32, 90: 33.9, 95: 45.4, 99: 65.7},
    class_shares={
        "car": 0.043,
        "bicycle": 0.00017,
        "motorcycle": 0.0004,
        "truck": 0.0021,
        "other-vehicle": 0.0016,
        "person": 0.00034,
        "bicyclist": 0.00013,
        "motorcyclist": 0.00004,
        "road": 0.199,
        "parking": 0.015,
        "sidewalk": 0.144,
        "other-ground": 0.0039,
        "building": 0.133,
        "fence": 0.072,
        "vegetation": 0.267,
        "trunk": 0.006,
        "terrain": 0.078,
        "pole": 0.0029,
        "traffic-sign": 0.0006,
    },
    spvcnn_gmacs=118.6,
)
"""What is known of SemanticKITTI. The frame has 1 / 0.83 of the mean validation frame's pairs (the published costs)."""
