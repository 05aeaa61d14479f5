"""Points to voxels and back, and scans to batches, in torch on any device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.coordinates.keys import HIGHEST, LOWEST, MOST_BATCHES, check_range, pack, unpack

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any


@dataclass(frozen=True, eq=False)
class Voxels:
    """The voxels of P points.

    Attributes:
        coords: int32 [N, 4] (batch, x, y, z), distinct, in the order of their keys, as `SparseTensor.of` takes them.
        places: int64 [P], the voxel of each point: `values[places]` gives every point its voxel's value.
        first: int64 [N], the first point of each voxel: `feats[first]` are the features of SPVNAS's voxels.
        counts: int64 [N], points of each voxel.
    """

    coords: Tensor
    places: Tensor
    first: Tensor
    counts: Tensor

    def mean(self, feats: Tensor) -> Tensor:
        """Mean features [N, C] of points' features [P, C]. Points are added in their order, so two calls give the same
        bits; the gradient reaches every point."""
        if len(feats) != len(self.places):
            raise InputError(f"there are {len(self.places)} points, got features of {len(feats)}")
        if not len(feats):
            return feats
        order = torch.argsort(self.places, stable=True)
        sums = torch.segment_reduce(feats.index_select(0, order), "sum", lengths=self.counts, axis=0)
        return sums / self.counts[:, None].to(feats.dtype)


def quantize(
    points: Tensor, voxel_size: float | Sequence[float], *, batch: Tensor | None = None, mode: str = "floor"
) -> Voxels:
    """The voxels that points fall in.

    Args:
        points: real [P, 3] (x, y, z), in any unit.
        voxel_size: in that unit, one number or one each for x, y and z.
        batch: whole [P], the scan of each point; 0 where there is none.
        mode: "floor", or "round" to the nearest voxel's number, as SPVNAS does.

    Raises:
        InputError: NaN or infinite coordinates, a size that is not positive, or voxels that cannot be packed.
    """
    if points.ndim != 2 or points.shape[1] != 3 or not points.is_floating_point():
        raise InputError(f"points must be real numbers [P, 3] (x, y, z), got {points.dtype} {list(points.shape)}")
    sizes = (float(voxel_size),) * 3 if isinstance(voxel_size, (int, float)) else tuple(map(float, voxel_size))
    if len(sizes) != 3 or not all(0 < each < float("inf") for each in sizes):
        raise InputError(f"a voxel's size must be one positive number or three, got {voxel_size!r}")
    if mode not in ("floor", "round"):
        raise InputError(f"points are taken to voxels by mode 'floor' or 'round', got {mode!r}")
    if batch is not None and (batch.shape != points.shape[:1] or batch.is_floating_point()):
        raise InputError(f"batch must be whole numbers [{len(points)}], got {batch.dtype} {list(batch.shape)}")
    finite = torch.isfinite(points).all(dim=1)
    if not bool(finite.all()):
        row = int((~finite).to(torch.uint8).argmax())
        raise InputError(f"point {row} is {tuple(points[row].tolist())}: coordinates must be finite numbers")
    scaled = points.to(torch.float64) / torch.tensor(sizes, dtype=torch.float64, device=points.device)
    scaled = torch.floor(scaled) if mode == "floor" else torch.round(scaled)
    scaled = scaled.clamp(LOWEST - 1, HIGHEST + 1)  # what lies beyond is refused, and must not wrap before
    numbers = torch.zeros(len(points), device=points.device) if batch is None else batch
    coords = torch.cat([numbers[:, None].to(torch.int64), scaled.to(torch.int64)], dim=1)
    check_range(coords)
    keys, places, counts = torch.unique(pack(coords), sorted=True, return_inverse=True, return_counts=True)
    first = torch.full((len(keys),), len(points), dtype=torch.int64, device=points.device)
    first.scatter_reduce_(0, places, torch.arange(len(points), device=points.device), "amin")
    return Voxels(unpack(keys), places, first, counts)


def collate(scans: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Scans (feats [N_i, C], coords [N_i, 3]) as one batch: feats [N, C] and coords int32 [N, 4], scan i with batch
    index i. InputError where one does not fit."""
    if not 1 <= len(scans) <= MOST_BATCHES:
        raise InputError(f"a batch has 1 to {MOST_BATCHES} scans, got {len(scans)}")
    for number, (feats, coords) in enumerate(scans):
        if feats.ndim != 2 or coords.ndim != 2 or coords.shape[1] != 3 or len(feats) != len(coords):
            raise InputError(
                f"scan {number} must have features [N, C] and coordinates [N, 3] with one N, got "
                f"{list(feats.shape)} and {list(coords.shape)}"
            )
        if coords.is_floating_point():
            raise InputError(f"scan {number} has {coords.dtype} coordinates: quantise its points first (`quantize`)")
    rows = [
        torch.nn.functional.pad(coords.to(torch.int32), (1, 0), value=number)
        for number, (_, coords) in enumerate(scans)
    ]
    return torch.cat([feats for feats, _ in scans]), torch.cat(rows)
