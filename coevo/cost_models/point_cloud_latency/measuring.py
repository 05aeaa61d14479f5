"""Measuring a table: every kind of layer as a network compiled for inference runs it, on a few scans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coevo.cost_models.fingerprint import fingerprint
from coevo.cost_models.point_cloud_latency.layers import Axes
from coevo.cost_models.point_cloud_latency.table import Grid, LatencyTable
from coevo.cost_models.timing import device_ms
from coevo.errors import InputError
from coevo.kernels.sparse.convolution.autograd import convolve
from coevo.kernels.sparse.convolution.epilogue import Epilogue
from coevo.kernels.sparse.hierarchy import Hierarchy, build_levels
from coevo.kernels.sparse.inference.compile import rooms
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.modules.macs import count_pairs
from coevo.kernels.sparse.points.devoxelize import Corners, devoxelize
from coevo.kernels.sparse.points.lookup import find_corners
from coevo.kernels.sparse.points.scatter_mean import Membership, scatter_mean
from coevo.kernels.sparse.shape import DEFAULT_SPLITS

LEVELS = 5
Progress = Callable[[float, float, str], None]


def measure_table(
    scans: Sequence[Tensor],
    axes: Mapping[tuple[str, int], Axes],
    *,
    dtype: torch.dtype,
    capacity: int | Sequence[int],
    points: str = "voxels",
    said: str = "",
    repeats: int = 5,
    progress: Progress = lambda *_: None,
) -> LatencyTable:
    """A table of these axes.

    Args:
        scans: coordinates [N, 4] (batch, x, y, z) of each scan on the device to measure: whole numbers of distinct
            voxels; for points "raw" real coordinates of points.
        dtype, capacity: as the network is compiled (`compile_for_inference`).
        points: "none", "voxels" or "raw".
        said: where the scans came from.

    Raises:
        InputError: no scan, an empty one, or one that exceeds the capacity.
    """
    room = rooms(capacity)
    if not len(scans) or any(not len(each) for each in scans):
        raise InputError(f"measuring needs scans that have points, got {[len(each) for each in scans]}")
    if max(map(len, scans)) > room[0]:
        raise InputError(f"a scan has {max(map(len, scans))} rows, the capacity is {room[0]}; raise it")
    device = scans[0].device
    with torch.no_grad():
        benches = [_Bench(coords, room, dtype, points == "raw") for coords in scans]
        total = sum(len(each.inputs) * len(each.outputs) for each in axes.values()) + 1
        maps = np.array([device_ms(bench.build, device, repeats) for bench in benches])
        done, grids = 1.0, {}
        progress(done, total, "maps")
        for (kind, level), each in axes.items():
            times = np.zeros((len(each.inputs), len(each.outputs), len(benches)))
            for i, inputs in enumerate(each.inputs):
                for o, outputs in enumerate(each.outputs):
                    for number, bench in enumerate(benches):
                        times[i, o, number] = bench.layer_ms(kind, level, inputs, outputs, repeats)
                    done += 1
                    progress(done, total, f"{kind} at level {level}, {inputs} to {outputs} channels")
            grids[kind, level] = Grid(each, times)
    rows = np.array([bench.rows for bench in benches], dtype=np.int64)
    pairs = np.array([bench.pairs for bench in benches], dtype=np.int64)
    name = str(dtype).removeprefix("torch.")
    return LatencyTable(fingerprint(str(device)), name, room, points, said, rows, pairs, maps, grids)


class _Bench:
    """One scan with its maps, on which layers are timed."""

    def __init__(self, coords: Tensor, room: tuple[int, ...], dtype: torch.dtype, raw: bool) -> None:
        self.device, self.dtype, self.room, self.raw = coords.device, dtype, room, raw
        self.coords = torch.zeros((room[0], 4), dtype=coords.dtype, device=self.device)
        self.coords[: len(coords)] = coords
        self.count = torch.full((1,), len(coords), dtype=torch.int32, device=self.device)
        self.made = self.build()
        self.made.check()
        self.rows = [int(level.count) for level in self.made.levels]
        self.pairs = [count_pairs(each) for each in self.made.submanifold]
        self._generator = torch.Generator(device=self.device).manual_seed(0)
        self._features: dict[tuple[int, int], Tensor] = {}
        self._found: dict[int, Corners] = {}

    def build(self) -> Hierarchy:
        """The levels and maps from coordinates."""
        whole = self.coords.floor().to(torch.int32) if self.raw else self.coords
        return build_levels(
            whole, LEVELS, count=self.count, capacity=self.room, splits=DEFAULT_SPLITS, merge=self.raw
        )  # fmt: skip

    def layer_ms(self, kind: str, level: int, inputs: int, outputs: int, repeats: int) -> float:
        work = getattr(self, f"_{kind}")(level, inputs, outputs)
        taken = device_ms(work, self.device, repeats)
        if kind == "shortcut":  # what it adds to the convolution it rides on
            taken = max(0.0, taken - device_ms(self._conv3(level, outputs, outputs), self.device, repeats))
        return taken

    def _of(self, rows: int, channels: int) -> Tensor:
        """Random features; zeros can run faster than what a network computes."""
        if (rows, channels) not in self._features:
            if len(self._features) > 8:
                self._features.clear()
            made = torch.randn((rows, channels), generator=self._generator, device=self.device)
            self._features[rows, channels] = made.to(self.dtype)
        return self._features[rows, channels]

    def _weight(self, *shape: int) -> Tensor:
        scale = float(shape[-2] * shape[0]) ** -0.5
        made: Tensor = torch.randn(shape, generator=self._generator, device=self.device) * scale
        return made.to(self.dtype)

    def _convolution(self, kernel_map: KernelMap, rows: int, inputs: int, outputs: int, shortcut: int = 0) -> Any:
        x, weight = self._of(rows, inputs), self._weight(kernel_map.volume, inputs, outputs)
        epilogue = Epilogue(shift=torch.zeros(outputs, device=self.device), relu=True)
        if shortcut:
            beside, pointwise = self._of(rows, shortcut), self._weight(1, shortcut, outputs)[0]
            epilogue = Epilogue(shift=epilogue.shift, relu=True, shortcut=beside, shortcut_weight=pointwise)
        return lambda: convolve(x, weight, kernel_map, epilogue=epilogue)

    def _conv3(self, level: int, inputs: int, outputs: int) -> Any:
        rows = self.made.levels[level].capacity
        return self._convolution(self.made.submanifold[level], rows, inputs, outputs)

    def _shortcut(self, level: int, inputs: int, outputs: int) -> Any:
        rows = self.made.levels[level].capacity
        return self._convolution(self.made.submanifold[level], rows, outputs, outputs, inputs)

    def _down(self, level: int, inputs: int, outputs: int) -> Any:
        return self._convolution(self.made.down[level], self.made.levels[level].capacity, inputs, outputs)

    def _up(self, level: int, inputs: int, outputs: int) -> Any:
        rows = self.made.levels[level + 1].capacity
        return self._convolution(self.made.down[level].inverse(), rows, inputs, outputs)

    def _linear(self, level: int, inputs: int, outputs: int) -> Any:
        x, weight = self._of(self.room[0], inputs), self._weight(1, inputs, outputs)[0]
        bias = torch.zeros(outputs, dtype=self.dtype, device=self.device)
        return lambda: torch.addmm(bias, x, weight).relu_()

    def _find(self, level: int) -> Corners:
        finest = self.made.levels[0]
        coords, count = (self.coords, None) if self.raw else (finest.coords.to(torch.float32), finest.count)
        return find_corners(coords, self.made.levels[level], count)

    def _corners_of(self, level: int) -> Corners:
        if level not in self._found:
            self._found[level] = self._find(level)
        return self._found[level]

    def _corners(self, level: int, inputs: int, outputs: int) -> Any:
        return lambda: self._find(level)

    def _gather(self, level: int, inputs: int, outputs: int) -> Any:
        x, corners = self._of(self.made.levels[level].capacity, inputs), self._corners_of(level)
        return lambda: devoxelize(x, corners, self._of(self.room[0], inputs))

    def _scatter(self, level: int, inputs: int, outputs: int) -> Any:
        index = self.made.places
        if not self.raw:
            rows = torch.arange(self.room[0], dtype=torch.int32, device=self.device)
            index = torch.where(rows < self.made.levels[0].count, rows, -1)
        if level:
            above = self.made.ancestors[level - 1]
            index = torch.where(index >= 0, above.index_select(0, index.clamp(0, max(len(above) - 1, 0))), -1)
        x, rows_out, is_sorted = self._of(self.room[0], inputs), self.made.levels[level].capacity, not self.raw
        return lambda: scatter_mean(x, Membership(index, rows_out, is_sorted=is_sorted))
