"""Multiplications of a network on a scan, counted from its kernel maps without computing anything."""

from __future__ import annotations

from torch import nn

from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.modules.conv import Conv3d
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.shape import STAGES
from coevo.kernels.sparse.tensors import Caches, SparseTensor


def count_pairs(kernel_map: KernelMap) -> int:
    """Pairs of an input and an output row. Waits for the device."""
    return int((kernel_map.neighbours[:, : int(kernel_map.count_out)] >= 0).sum())


def count_macs(net: MinkUNet, x: SparseTensor, num_points: int | None = None) -> dict[str, int]:
    """Multiply-accumulates of every convolution (pairs * C_in * C_out) and linear layer (rows * C_in * C_out) by name.

    Args:
        net: a MinkUNet or SPVCNN.
        x: the scan; its kernel maps are made where they are missing.
        num_points: points of the point branch and the classifier; as many as voxels where it is None, as released.
    """
    counted: dict[tuple[str, int], int] = {}

    def pairs(kind: str, level: int) -> int:
        if (kind, level) not in counted:
            counted[kind, level] = _pairs(x.caches, kind, level)
        return counted[kind, level]

    for level in range(STAGES):  # coarser voxels are made by the maps down
        pairs("down", level)
    found = {}
    for name, layer in net.named_modules():
        if isinstance(layer, Conv3d):
            kind, level = _place(name, layer)
            found[name] = pairs(kind, level) * layer.in_channels * layer.out_channels
        elif isinstance(layer, nn.Linear):
            rows = pairs("rows", 0) if num_points is None else num_points
            found[name] = rows * layer.in_features * layer.out_features
    return found


def _pairs(caches: Caches, kind: str, level: int) -> int:
    stride = 1 << level
    if kind == "rows":
        return int(caches.level(stride).count)
    return count_pairs(caches.kernel_map(stride, *((3, 1) if kind == "submanifold" else (2, 2))))


def _place(name: str, layer: Conv3d) -> tuple[str, int]:
    """The kind of map that the convolution of this name goes over, and its (finer) level."""
    part = name.split(".", maxsplit=1)[0]
    level = 0 if part == "stem" else int(part[-1]) if part.startswith("stage") else STAGES - int(part[-1])
    if layer.kernel_volume == 1:
        return "rows", level
    if layer.transposed:
        return "down", level
    return ("down", level - 1) if layer.kernel_volume == 8 else ("submanifold", level)
