"""Tiny scans and small spaces."""

from __future__ import annotations

import numpy as np
import torch

from coevo.kernels.sparse.tensors import PointTensor, SparseTensor
from coevo.search.canonical import stream
from coevo.search.space import Space
from coevo.spaces.spvnas.design import Bounds

SMALL = {
    points: Bounds((4, 4, 4, 4, 8, 8, 4, 4, 4), (4, 8, 12, 12, 16, 16, 12, 8, 8), points, 4)
    for points in ("none", "voxels", "raw")
}
CLASSES = 5


def make_scan(seed=0, most=24, extent=4, points=2, dtype=torch.float64):
    """(features, coordinates of voxels, features of points, coordinates of points)."""
    rng = np.random.default_rng(seed)
    coords = np.column_stack([rng.integers(0, 2, most), rng.integers(-extent, extent, (most, 3))])
    coords = torch.tensor(np.unique(coords, axis=0), dtype=torch.int32)
    feats = torch.tensor(rng.normal(size=(len(coords), 4)), dtype=dtype)
    places = coords.to(dtype).repeat(points, 1)
    places[:, 1:] += torch.tensor(rng.random((len(places), 3)), dtype=dtype)
    return feats, coords, torch.tensor(rng.normal(size=(len(places), 4)), dtype=dtype), places


def given(points, seed=0, **options):
    """What a network of these points takes."""
    feats, coords, of_points, places = make_scan(seed, **options)
    return PointTensor(of_points, places) if points == "raw" else SparseTensor.of(feats, coords)


def designs(bounds, count=1, seed=3):
    """The largest, the smallest and some between."""
    space, draw = Space(bounds.id, bounds.build), stream(seed, "tests")
    return [bounds.largest, bounds.smallest, *(space.build(space.sample(draw)) for _ in range(count))]
