"""Dense grids to sparse tensors and back, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.maps.offsets import triple
from coevo.kernels.sparse.tensors import SparseTensor

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any


def from_dense(
    grid: Tensor, *, origin: tuple[int, int, int] = (0, 0, 0), stride: int | Sequence[int] = 1
) -> SparseTensor:
    """The voxels of grid [B, C, X, Y, Z] where any channel is not 0. Cell (i, j, k) is the voxel origin + stride *
    (i, j, k); the origin is a multiple of the stride. Waits for the device."""
    if grid.ndim != 5:
        raise InputError(f"a dense grid is [batch, channels, X, Y, Z], got {list(grid.shape)}")
    steps = triple(stride, "stride")
    cells = (grid != 0).any(dim=1).nonzero()
    feats = grid[cells[:, 0], :, cells[:, 1], cells[:, 2], cells[:, 3]]
    axes = cells[:, 1:] * torch.tensor(steps, device=grid.device) + torch.tensor(origin, device=grid.device)
    return SparseTensor.of(feats, torch.cat([cells[:, :1], axes], dim=1), steps)


def to_dense(
    x: SparseTensor, shape: Sequence[int], *, batches: int | None = None, origin: tuple[int, int, int] = (0, 0, 0)
) -> Tensor:
    """grid [batches, C, X, Y, Z] with `shape` = (X, Y, Z) cells of the tensor's stride from the voxel `origin` on; 0
    where no voxel is. `batches` is one more than the largest batch index unless given. InputError where a voxel lies
    outside. Waits for the device."""
    sizes = triple(shape, "shape")
    used = int(x.count)
    coords = x.coords[:used].to(torch.int64)
    device = coords.device
    most = (int(coords[:, 0].max()) + 1 if used else 1) if batches is None else batches
    cells = torch.div(
        coords[:, 1:] - torch.tensor(origin, device=device),
        torch.tensor(x.stride, device=device),
        rounding_mode="floor",
    )
    bad = ((cells < 0) | (cells >= torch.tensor(sizes, device=device))).any(dim=1) | (coords[:, 0] >= most)
    if bool(bad.any()):
        row = int(bad.to(torch.uint8).argmax())
        raise InputError(
            f"the voxel {tuple(coords[row].tolist())} lies outside a grid of {most} x {sizes} cells of stride "
            f"{x.stride} from {tuple(origin)}: take a larger shape, or another origin"
        )
    grid = x.feats.new_zeros((most, *sizes, x.feats.shape[1]))
    grid = grid.index_put((coords[:, 0], cells[:, 0], cells[:, 1], cells[:, 2]), x.feats[:used])
    return grid.permute(0, 4, 1, 2, 3)
