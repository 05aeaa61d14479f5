"""TorchSparse's seven workloads as far as their backbones go, on generated scans of the data sets' sensors.

SemanticKITTI: one 64-ring sweep at 5 cm, MinkUNet at two widths. nuScenes: 32 rings, MinkUNet at 10 cm over one and
three sweeps, CenterPoint's encoder over ten. Waymo: 64 rings at finer steps, CenterPoint's encoder over one and three
sweeps. Heads, data sets and trained weights are not part of it, so these are times of backbones on scans that are like
the data sets', and no more.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from _lidar_scans import HDL_32E, HDL_64E, TOP_64, Scene, Sensor, batched, scan, turned, voxels
from _sparse_case import random_state
from _sparse_engines import Engine
from _sparse_inputs import Scan, grid_of
from _sparse_parts import Bench
from _sparse_reference import minkunet
from _sparse_timing import submit_ms, wall_ms

_SEEDS = (100, 101)


@dataclass(frozen=True)
class Workload:
    """A sensor, merged sweeps, voxels, the range that is kept (metres), the backbone and its input channels."""

    sensor: Sensor
    sweeps: int
    voxel_m: tuple[float, float, float]
    range_m: float | None
    backbone: str
    ratio: float
    inputs: int


WORKLOADS = {
    "SemanticKITTI MinkUNet 1x": Workload(HDL_64E, 1, (0.05, 0.05, 0.05), None, "minkunet", 1.0, 4),
    "SemanticKITTI MinkUNet 0.5x": Workload(HDL_64E, 1, (0.05, 0.05, 0.05), None, "minkunet", 0.5, 4),
    "nuScenes MinkUNet 1 sweep": Workload(HDL_32E, 1, (0.1, 0.1, 0.1), None, "minkunet", 1.0, 4),
    "nuScenes MinkUNet 3 sweeps": Workload(HDL_32E, 3, (0.1, 0.1, 0.1), None, "minkunet", 1.0, 4),
    "nuScenes CenterPoint 10 sweeps": Workload(HDL_32E, 10, (0.1, 0.1, 0.2), 51.2, "centerpoint", 1.0, 5),
    "Waymo CenterPoint 1 sweep": Workload(TOP_64, 1, (0.1, 0.1, 0.15), 75.2, "centerpoint", 1.0, 5),
    "Waymo CenterPoint 3 sweeps": Workload(TOP_64, 3, (0.1, 0.1, 0.15), 75.2, "centerpoint", 1.0, 5),
}


def scans_of(workload: Workload, device: str, seeds: tuple[int, ...] = _SEEDS) -> list[Scan]:
    """Generated scans of the workload's kind; a fifth channel (time or elongation) is drawn at random."""
    made = []
    for seed in seeds:
        points = turned(scan(seed, workload.sensor, Scene(), workload.sweeps, device), 31.0)
        if workload.range_m is not None:
            inside = (points[:, :2].abs() < workload.range_m).all(dim=1) & (points[:, 2].abs() < 5.0)
            points = points[inside]
        coords, feats = batched([voxels(points, workload.voxel_m)])
        feats = feats * torch.tensor([0.05, 0.05, 0.5, 1.0], device=device)
        if workload.inputs > 4:
            generator = torch.Generator(device=device).manual_seed(seed)
            more = torch.rand((len(feats), workload.inputs - 4), generator=generator, device=device)
            feats = torch.cat([feats, more], dim=1)
        made.append(Scan(f"generated {seed}", coords, feats))
    return made


@torch.no_grad()
def workloads(bench: Bench) -> dict[str, Any]:
    """Wall clock of each engine's ways on the seven workloads, one scan at a time."""
    rows: dict[str, Any] = {}
    for name, workload in WORKLOADS.items():
        scans = scans_of(workload, "cuda")
        rows[name] = case = {"voxels": [len(each) for each in scans]}
        state = None
        if workload.backbone == "minkunet":
            state = random_state(workload.ratio, bench.arguments.seed)
            minkunet(state, workload.ratio, scans[0].coords, scans[0].feats, calibrate=True)
        for engine in bench.engines:
            where = f"{name} ({len(scans[0])} voxels) {engine.name}"
            case[engine.name] = bench.attempt(where, _workload, where, engine, workload, scans, state)
    return rows


def _workload(
    row: dict[str, Any], where: str, engine: Engine, workload: Workload, scans: list[Scan], state: Any
) -> None:
    grid = grid_of(scans)
    if state is not None:
        ways = engine.inference(state, workload.ratio, grid, max(len(each) for each in scans), 1)
    else:
        net = engine.centerpoint(grid, workload.inputs)
        ways = {"as installed": lambda scan: net(engine.enter(net, scan))}
    for way, run in ways.items():
        works = [partial(run, scan) for scan in scans]
        for work in works * 2:
            work()
        row[way] = {"median_ms": statistics.median(wall_ms(works, 16)), "submit_ms": submit_ms(works[0])}
    print(f"{where}: {row}", flush=True)
