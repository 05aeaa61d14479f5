"""What a network is given of scans: their voxels, the voxel of every point, and the points themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.coordinates.keys import pack
from coevo.spaces.spvnas.data.labels import IGNORED
from coevo.spaces.spvnas.data.scan import Scan

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "spvnas") from error

Tensor = Any


@dataclass(frozen=True, eq=False)
class VoxelSample:
    """One voxelised scan, or a batch of them.

    Attributes:
        coords: int32 [N, 4] (batch, x, y, z), distinct, from 0 in each scan, in the order of their keys.
        feats: float32 [N, 4], x, y, z in metres and the remission of each voxel's first point.
        labels: int64 [N], that point's class, IGNORED where there is none.
        inverse: int64 [P], the voxel of each point: `logits[inverse]` gives every point its voxel's logits.
        point_coords: float32 [P, 4] (batch, x, y, z) in voxels; their floor is the voxel's coords.
        point_feats: float32 [P, 4], x, y, z in metres and remission.
        point_labels: int64 [P].
        names: of the scans, in the order of their batch numbers.
    """

    coords: Tensor
    feats: Tensor
    labels: Tensor
    inverse: Tensor
    point_coords: Tensor
    point_feats: Tensor
    point_labels: Tensor
    names: tuple[str, ...]

    def to(self, device: Any, *, non_blocking: bool = False) -> VoxelSample:
        """The same sample on a device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=non_blocking)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)

    def pin_memory(self) -> VoxelSample:
        """The same sample in page-locked memory, which torch's DataLoader asks for."""
        pinned: dict[str, Any] = {
            name: value.pin_memory() for name, value in vars(self).items() if isinstance(value, torch.Tensor)
        }
        return replace(self, **pinned)


def voxelize_scan(
    scan: Scan, voxel_m: float = 0.05, most_voxels: int | None = None, seed: int | Sequence[int] = 0
) -> VoxelSample:
    """The voxels of a scan: coordinates rounded to whole voxels, counted from the scan's smallest, the first point of
    each voxel kept, as SPVNAS trains (arXiv 2007.16100, sec. 5).

    Args:
        scan: its points are features and, in voxels, coordinates.
        voxel_m: a voxel's edge in metres.
        most_voxels: where there are more, a random part of them is kept with its points alone (training: 80,000).
        seed: of that choice.

    Raises:
        InputError: a size or a count that is not positive, or a scan too wide to number its voxels.
    """
    if not 0 < voxel_m < float("inf"):
        raise InputError(f"a voxel's edge must be a positive number of metres, got {voxel_m!r}")
    if most_voxels is not None and most_voxels < 1:
        raise InputError(f"most_voxels must be 1 or more, got {most_voxels}")
    scaled = scan.points[:, :3].astype(np.float64) / voxel_m + 0.5
    if np.abs(scaled).max() > 2**30:
        raise InputError(f"scan {scan.name} reaches {np.abs(scan.points[:, :3]).max():g} m, beyond what is numbered")
    scaled -= np.floor(scaled.min(axis=0))
    coords = torch.zeros(len(scaled), 4, dtype=torch.float32)
    coords[:, 1:] = torch.from_numpy(scaled.astype(np.float32))
    whole = coords.floor().to(torch.int32)  # of the float32 numbers, so that both agree to the last bit
    keys, inverse = torch.unique(_checked_keys(whole, scan.name), sorted=True, return_inverse=True)
    first = torch.full((len(keys),), len(whole), dtype=torch.int64)
    first.scatter_reduce_(0, inverse, torch.arange(len(whole)), "amin")
    points = torch.from_numpy(scan.points)
    labels = torch.full((len(points),), IGNORED) if scan.labels is None else torch.from_numpy(scan.labels)
    if most_voxels is not None and len(keys) > most_voxels:
        rng = np.random.default_rng(seed)
        kept = torch.from_numpy(np.sort(rng.permutation(len(keys))[:most_voxels]))
        place = torch.full((len(keys),), -1, dtype=torch.int64)
        place[kept] = torch.arange(most_voxels)
        first, here = first[kept], place[inverse] >= 0
        voxels = whole[first], points[first], labels[first]
        inverse, coords, points, labels = place[inverse][here], coords[here], points[here], labels[here]
    else:
        voxels = whole[first], points[first], labels[first]
    return VoxelSample(*voxels, inverse, coords, points.clone(), labels.clone(), (scan.name,))


def collate(samples: Sequence[VoxelSample]) -> VoxelSample:
    """Samples as one batch, in their order. InputError where there is none."""
    if not samples:
        raise InputError("a batch has at least one sample, got none")
    parts: dict[str, list[Tensor]] = {name: [] for name in vars(samples[0]) if name != "names"}
    scans, voxels = 0, 0
    for sample in samples:
        for name, rows in parts.items():
            value = getattr(sample, name)
            if name in ("coords", "point_coords") and scans:
                value = value + torch.tensor([scans, 0, 0, 0], dtype=value.dtype, device=value.device)
            rows.append(value + voxels if name == "inverse" else value)
        scans += len(sample.names)
        voxels += len(sample.coords)
    names = tuple(name for sample in samples for name in sample.names)
    return VoxelSample(**{name: torch.cat(rows) for name, rows in parts.items()}, names=names)


def _checked_keys(coords: Tensor, name: str) -> Tensor:
    reach = int(coords.amax())
    if reach >= 1 << 16:
        raise InputError(f"scan {name} is {reach + 1} voxels wide; at most {1 << 16} are numbered: take larger voxels")
    return pack(coords)
