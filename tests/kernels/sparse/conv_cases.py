"""Small scans for the tests of sparse convolution."""

from __future__ import annotations

import numpy as np
import torch

from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.tensors import SparseTensor


def voxels(seed: int, count: int, side: int = 4, batches: int = 2, stride: int = 1):
    """Distinct voxels, int32 [N, 4]."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(-side, side, size=(count, 3)) * stride
    rows = np.concatenate([rng.integers(0, batches, size=(count, 1)), drawn], axis=1)
    return (
        torch.from_numpy(np.unique(rows, axis=0).astype(np.int32)) if count else torch.zeros((0, 4), dtype=torch.int32)
    )


def maps(seed: int, count: int, kernel=3, stride=1, transposed=False, side: int = 4) -> KernelMap:
    """A kernel map over drawn voxels."""
    coords = voxels(seed, count, side)
    x = SparseTensor.of(torch.zeros((len(coords), 1)), coords)
    made = x.caches.kernel_map(1, kernel, stride)
    return made.inverse() if transposed else made


def padded(exact: KernelMap, spare: int) -> KernelMap:
    """The map with `spare` rows more allocated on both sides than are in use; it is wrong to read their neighbours."""
    filler = torch.full((exact.volume, spare), -1, dtype=torch.int32)
    return KernelMap(
        torch.cat([exact.neighbours, filler], dim=1).contiguous(),
        count_in=torch.tensor([exact.capacity_in], dtype=torch.int32),
        count_out=torch.tensor([exact.capacity_out], dtype=torch.int32),
        capacity_in=exact.capacity_in + spare,
        kernel_size=exact.kernel_size,
        stride=exact.stride,
        dilation=exact.dilation,
        symmetric=exact.symmetric,
    )


def drawn(seed: int, *shape: int, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(dtype)


def relative_error(result, expected) -> float:
    return float((result.double() - expected.double()).norm() / expected.double().norm().clamp(min=1e-30))
