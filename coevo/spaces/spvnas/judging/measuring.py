"""A latency table of a space on this device, calibrated on whole networks of the space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from coevo.cost_models.point_cloud_latency import LatencyTable, axes_over, calibrate
from coevo.cost_models.point_cloud_latency.measuring import measure_table
from coevo.cost_models.point_cloud_latency.unet import layers_of_unet
from coevo.search.canonical import stream
from coevo.search.space import Space
from coevo.spaces.spvnas.data.voxels import VoxelSample
from coevo.spaces.spvnas.design import Backbone, Bounds
from coevo.spaces.spvnas.judging.measured import compile_network, network_ms
from coevo.spaces.spvnas.network.capacity import capacity_of
from coevo.spaces.spvnas.network.static import build_network

SPANNED = 200
"""Random designs whose layers, with the largest's and the smallest's, say which channels a table must span."""
Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        networks: whole networks that calibrate the table.
        coarse: a fifth of the entries, for slow devices.
        repeats: timings of each, of which the median counts.
    """

    networks: int = 24
    coarse: bool = False
    repeats: int = 5


def drawn_designs(bounds: Bounds, count: int, seed: int, purpose: str) -> list[Backbone]:
    """Random designs of the space, which follow from seed and purpose."""
    space = Space(bounds.id, bounds.build)
    return [space.build(space.sample(stream(seed, purpose, number))) for number in range(count)]


def space_table(
    bounds: Bounds, samples: Sequence[VoxelSample], *, dtype: torch.dtype, said: str, effort: Effort, seed: int = 0,
    progress: Progress = lambda *_: None,
) -> LatencyTable:  # fmt: skip
    """Measured on the samples' device and scans."""
    designs = [bounds.largest, bounds.smallest, *drawn_designs(bounds, SPANNED, seed, "spanned")]
    axes = axes_over([layer for each in designs for layer in layers_of_unet(each, bounds.points)], effort.coarse)
    capacity = capacity_of(samples, bounds.points)
    scans = [each.point_coords if bounds.points == "raw" else each.coords for each in samples]
    table = measure_table(
        scans, axes, dtype=dtype, capacity=capacity, points=bounds.points, said=said, repeats=effort.repeats,
        progress=progress,
    )  # fmt: skip
    chosen = [bounds.largest, bounds.smallest, *drawn_designs(bounds, effort.networks - 2, seed, "calibration")]
    times = []
    for number, design in enumerate(chosen):
        times.append(design_ms(design, samples, dtype, capacity, effort.repeats))
        progress(number + 1, len(chosen), f"calibration: {np.median(times[-1]):.2f} ms")
    return calibrate(table, [layers_of_unet(each, bounds.points) for each in chosen], np.stack(times))


def design_ms(
    design: Backbone, samples: Sequence[VoxelSample], dtype: torch.dtype, capacity: Sequence[int], repeats: int = 5
) -> npt.NDArray[np.float64]:
    """[scans], measured, of the design's network with weights of a new one."""
    torch.manual_seed(0)
    net = build_network(design).to(samples[0].coords.device)
    return network_ms(compile_network(net, capacity, dtype), samples, design.points, repeats)
