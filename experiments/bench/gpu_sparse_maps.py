"""Levels and kernel maps of a LiDAR scan on a GPU: checked against plain torch there, then timed stage by stage.

    COEVO_LIDAR_SCAN=000000.bin python experiments/bench/gpu_sparse_maps.py [--json FILE]

Times are medians of replays of a CUDA graph (each replay between two events, and ten in a row), of eager calls, and a
profile of kernels. The scan's rows are shuffled, as points come in no order of voxels.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

import numpy as np
import torch

from coevo.kernels.sparse.coordinates import triton_levels
from coevo.kernels.sparse.coordinates.build import outputs
from coevo.kernels.sparse.coordinates.keys import Extent
from coevo.kernels.sparse.coordinates.triton_keys import pack, sort_keys
from coevo.kernels.sparse.coordinates.triton_levels import rank
from coevo.kernels.sparse.hierarchy import build_levels, reference
from coevo.kernels.sparse.maps import reference as plain
from coevo.kernels.sparse.maps import triton_descent, triton_hash
from coevo.kernels.sparse.triton_hierarchy import maps_of

VOXEL_M = 0.05
EXTENT = (2048, 2048, 1024)
TIGHT = (1.0, 0.8, 0.55, 0.32, 0.16)
"""Capacities of the levels as shares of the first, with room above a real scan's (.73, .45, .23, .10)."""


def voxels(path: str, turn: float = 0.0) -> torch.Tensor:
    """int32 [N, 4] of a SemanticKITTI scan, as SPVNAS makes them: rounded at 0.05 m."""
    points = np.fromfile(path, dtype=np.float32).reshape(-1, 4)[:, :3].astype(np.float64)
    cos, sin = np.cos(turn), np.sin(turn)
    points = points @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).T
    rows = np.unique(np.round(points / VOXEL_M).astype(np.int32), axis=0)
    rows = np.random.default_rng(0).permutation(rows)
    return torch.from_numpy(np.concatenate([np.zeros((len(rows), 1), np.int32), rows], axis=1)).cuda()


def padded(coords: torch.Tensor, capacity: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A buffer of `capacity` rows, and how many are in use."""
    buffer = torch.randint(-1000, 1000, (capacity, 4), dtype=torch.int32, device="cuda")
    buffer[: len(coords)] = coords
    return buffer, torch.tensor([len(coords)], dtype=torch.int32, device="cuda")


def differences(made, wanted) -> list[str]:
    """Names of what differs between two hierarchies in the rows that are in use."""
    bad = []

    def same(name, a, b, rows=None):
        if a.shape[:-1] != b.shape[:-1] or not torch.equal(a[..., :rows].cpu(), b[..., :rows].cpu().to(a.dtype)):
            bad.append(name)

    same("status", made.status, wanted.status)
    finest = int(wanted.levels[0].count)
    same("order", made.order, wanted.order, finest)
    same("places", made.places, wanted.places)
    for number, (a, b) in enumerate(zip(made.levels, wanted.levels, strict=True)):
        same(f"keys {number}", a.keys, b.keys, int(b.count))
        same(f"coords {number}", a.coords.T, b.coords.T, int(b.count))
        if number:
            same(f"ancestors {number}", made.ancestors[number - 1], wanted.ancestors[number - 1], finest)
    for name in ("submanifold", "down"):
        for number, (a, b) in enumerate(zip(getattr(made, name), getattr(wanted, name), strict=True)):
            for way, one, two in (("", a, b), ("inverse ", a.inverse(), b.inverse())):
                same(f"{way}{name} {number}", one.neighbours, two.neighbours)
                for key in [key for key in one.made if key[0] == "sorted"]:
                    same(f"{way}{name} {number} order", one.made[key].order, two.sorted(key[1]).order)
                    same(f"{way}{name} {number} masks", one.made[key].masks, two.sorted(key[1]).masks)
    return bad


def graph_of(call):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = call()
    return graph, kept


def median_us(call, each: int = 1, repeats: int = 100) -> float:
    for _ in range(5):
        call()
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(each):
            call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / each)
    return statistics.median(times)


def timed(results, name, call, eager=True):
    graph, kept = graph_of(call)
    row = {"graph_us": median_us(graph.replay), "graph_of_ten_us": median_us(graph.replay, 10, 30)}
    if eager:
        row["eager_us"] = median_us(call, 1, 50)
    results[name] = row
    print(f"{name:44s} " + " ".join(f"{key} {value:8.1f}" for key, value in row.items()), flush=True)
    return kept


def profile(call) -> list[tuple[str, float, int]]:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    for _ in range(3):
        call()
    with profiler(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(20):
            call()
        torch.cuda.synchronize()
    rows = [(each.key[:70], each.device_time_total / 20, each.count // 20) for each in seen.key_averages()]
    return sorted(rows, key=lambda row: -row[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    path = os.environ.get("COEVO_LIDAR_SCAN")
    if not path or not Path(path).exists():
        raise SystemExit("set COEVO_LIDAR_SCAN to a SemanticKITTI scan (.bin)")
    results: dict[str, object] = {"device": torch.cuda.get_device_name()}
    scan = voxels(path)
    capacity = 120_000
    buffer, count = padded(scan, capacity)
    tight = tuple(round(share * capacity) for share in TIGHT)
    splits = (1, 1, 1, 2, 3)

    within = Extent.of(EXTENT, 1)
    wrong = {}
    for turn in (0.0, 0.7):
        other = voxels(path, turn)
        wrong[f"exact {turn}"] = differences(build_levels(other, splits=splits), reference(other, 5, splits=splits))
        rows, used = padded(other, capacity)
        for most in ((capacity,) * 5, tight):
            made = build_levels(rows, count=used, capacity=most, splits=splits, extent=EXTENT)
            wrong[f"{most} {turn}"] = differences(made, reference(rows, 5, count=used, capacity=most, splits=splits))
    level = build_levels(scan, 1).levels[0]
    for kernel, stride, dilation in ((3, 1, 1), (5, 1, 1), (3, 1, 2), (3, 2, 1), (2, 3, 1), (3, 3, 1), (1, 1, 1)):
        sizes = (kernel,) * 3, (stride,) * 3, (dilation,) * 3
        out = outputs(level, *sizes)
        made, wanted = (each.kernel_map(level, out, *sizes) for each in (triton_hash, plain))
        same = torch.equal(made.neighbours, wanted.neighbours)
        wrong[f"hash, kernel {kernel} stride {stride} dilation {dilation}"] = [] if same else ["neighbours"]
    results["differences"] = wrong
    print("different:", {name: names for name, names in wrong.items() if names}, "of", len(wrong), flush=True)

    times: dict[str, dict[str, float]] = {}
    results["times"] = times
    static = {"count": count, "capacity": tight, "extent": EXTENT}
    for name, most in (("all at 120,000", capacity), ("levels at shares", tight)):
        chosen = {**static, "capacity": most}
        graph, made = graph_of(lambda chosen=chosen: build_levels(buffer, **chosen))
        graph.replay()
        print(name, "captured differs in", differences(made, build_levels(buffer, **chosen)))
        timed(times, f"build_levels, {name}", lambda chosen=chosen: build_levels(buffer, **chosen))
    timed(times, "build_levels, shares, 3 splits", lambda: build_levels(buffer, **static, splits=3))
    timed(times, "build_levels, shares, no extent", lambda: build_levels(buffer, **{**static, "extent": None}))
    times["build_levels, exact, host waits"] = {"eager_us": median_us(lambda: build_levels(scan), 1, 50)}
    timed(times, "pack", lambda: pack(buffer, count, within), eager=False)
    timed(times, "keys sorted, 64 bits", lambda: sort_keys(buffer, count), eager=False)
    ordered, given = timed(times, "keys sorted, extent", lambda: sort_keys(buffer, count, within), eager=False)
    limits = torch.tensor(tight, dtype=torch.int32, device="cuda")
    for block, warps in ((1024, 8), (1024, 4), (512, 4), (256, 2), (512, 8)):
        triton_levels.BLOCK, triton_levels.WARPS = block, warps
        timed(times, f"ranks, {block} rows, {warps} warps", lambda: rank(ordered, given, 5, limits), eager=False)
    triton_levels.BLOCK, triton_levels.WARPS = 1024, 8
    ranks = timed(times, "ranks, parents, children", lambda: rank(ordered, given, 5, limits))
    for block, search in ((128, 16), (256, 16), (64, 16), (128, 8), (128, 32)):
        triton_descent.BLOCK, triton_descent.SEARCH_BLOCK = block, search
        name = f"maps and sorts, {block} rows, {search} searched"
        timed(times, name, lambda: maps_of(ranks, tight, (1,) * 5), eager=False)
    triton_descent.BLOCK, triton_descent.SEARCH_BLOCK = 128, 16
    ready = build_levels(buffer, **static)

    def hashed(sizes=((3, 3, 3), (1, 1, 1), (1, 1, 1))):
        for each in ready.levels:
            each.made.clear()
        return [triton_hash.kernel_map(each, each, *sizes) for each in ready.levels]

    timed(times, "3x3x3 maps of all levels, hashed", hashed)
    fine = ready.submanifold[0]
    timed(times, "inverse of 3x3x3, plain torch", lambda: plain.inverse_neighbours(fine), eager=False)
    timed(times, "pairs of 3x3x3, plain torch", lambda: plain.compacted_pairs(fine), eager=False)
    timed(times, "sorted rows of one map, plain torch", lambda: plain.sorted_rows(fine, 1, 27), eager=False)
    shifts = [torch.tensor([b, 0, 0, 0], dtype=torch.int32, device="cuda") for b in range(4)]
    four = torch.cat([voxels(path, float(b)) + shift for b, shift in enumerate(shifts)])
    shares = tuple(round(share * len(four)) for share in TIGHT)
    timed(
        times,
        f"build_levels, 4 scans, {len(four)} voxels",
        lambda: build_levels(four, capacity=shares, extent=EXTENT, batches=4),
    )

    graph, _ = graph_of(lambda: build_levels(buffer, **static))
    rows = profile(graph.replay)
    results["kernels"] = rows
    for name, each, calls in rows:
        print(f"  {each:8.1f} us {calls:3d} x  {name}")
    print("sum of kernels, us:", round(sum(each for _, each, _ in rows), 1))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
