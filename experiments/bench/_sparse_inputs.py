"""The scans of `gpu_sparse.py`: the real one as it is, turned and thinned, and generated ones; all different."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from _lidar_scans import HDL_64E, Scene, batched, read_scan, scan, thinned, turned, varied, voxels

CAPACITY = 120_000  # voxels a scan that the captured network has room for
IGNORED, CLASSES = 255, 19


@dataclass(frozen=True)
class Scan:
    """Voxels of one scan or of a batch, where they are used.

    Attributes:
        coords: int32 [N, 4] (batch, x, y, z), none negative, sorted.
        feats: float32 [N, C]: x, y, z in metres, remission (scaled to about one).
        batch: scans.
    """

    name: str
    coords: torch.Tensor
    feats: torch.Tensor
    batch: int = 1

    def __len__(self) -> int:
        return len(self.coords)

    @cached_property
    def labels(self) -> torch.Tensor:
        """int64 [N]: classes drawn at random, as a training step's cost does not depend on them."""
        generator = torch.Generator(device=self.coords.device).manual_seed(7)
        return torch.randint(CLASSES, (len(self),), generator=generator, device=self.coords.device)

    @cached_property
    def half(self) -> torch.Tensor:
        return self.feats.half()


def one(name: str, points: torch.Tensor, device: str) -> Scan:
    """A scan's voxels at 5 cm; features are scaled to about one, so that half precision holds them."""
    coords, feats = batched([voxels(points.to(device))])
    return Scan(name, coords, feats * torch.tensor([0.05, 0.05, 0.5, 1.0], device=device))


def together(scans: list[Scan]) -> Scan:
    """Scans as one batch."""
    parts = [(each.coords[:, 1:], each.feats) for each in scans]
    coords, feats = batched(parts)
    return Scan("+".join(each.name for each in scans), coords, feats, len(scans))


def different_scans(path: Path | None, count: int, device: str, capacity: int = CAPACITY) -> list[Scan]:
    """`count` scans within `capacity`: half of them the real one (itself, turned, thinned), the others generated.

    Without a real scan all are generated; the caller must say so.
    """
    made: list[Scan] = []
    if path is not None:
        real = read_scan(path)
        made.append(one("real", real, device))
        for index in range(1, count // 2):
            share = 1.0 if index % 2 else 1.0 - 0.05 * index
            name = f"real turned {37 * index}" + ("" if share == 1.0 else f" thinned to {share:.2f}")
            made.append(one(name, thinned(turned(real, 37.0 * index), share, index), device))
    seed = 0
    while len(made) < count:
        points = scan(seed, HDL_64E, varied(Scene(), seed), device=device)
        given = one(f"generated {seed}", turned(points, 29.0 * seed), device)
        if len(given) <= capacity:
            made.append(given)
        seed += 1
    return made


def grid_of(scans: list[Scan]) -> tuple[int, int, int]:
    """The grid that holds all scans, each side a multiple of 16, for libraries that ask for one."""
    sides = torch.stack([each.coords[:, 1:].amax(dim=0) for each in scans]).amax(dim=0) + 1
    x, y, z = (-(-int(side) // 16) * 16 for side in sides)
    return x, y, z


def described(scans: list[Scan], levels: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Name, voxels and mean neighbours of each scan at strides 1 to 16."""
    return [
        {
            "scan": each.name,
            "voxels": [level["voxels"] for level in found],
            "mean_neighbours": [round(level["mean_neighbours"], 2) for level in found],
            "alone": round(found[0]["alone"], 3),
        }
        for each, found in zip(scans, levels, strict=True)
    ]
