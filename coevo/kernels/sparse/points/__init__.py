"""Operators between points and voxels, and pooling, with gradients that are the same bytes on every run."""

from coevo.kernels.sparse.points.devoxelize import Corners, devoxelize, trilinear_weights
from coevo.kernels.sparse.points.global_pooling import global_pool
from coevo.kernels.sparse.points.lookup import find_corners, find_rows, find_voxels
from coevo.kernels.sparse.points.pooling import pool
from coevo.kernels.sparse.points.scatter_mean import Membership, scatter_mean
from coevo.kernels.sparse.points.voxelize import voxelize

__all__ = [
    "Corners",
    "Membership",
    "devoxelize",
    "find_corners",
    "find_rows",
    "find_voxels",
    "global_pool",
    "pool",
    "scatter_mean",
    "trilinear_weights",
    "voxelize",
]
