"""What `gpu_sparse.py` measures of every engine alike: accuracy, inference, stages, layers, training, memory.

A part that fails for one engine is recorded with its error and the others go on; a bar without a value never holds.
"""

from __future__ import annotations

import math
import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import _bench
import torch
from _sparse_case import floor_ms, minkunet_layers, random_state, work_of
from _sparse_engines import Engine, layers_of
from _sparse_inputs import Scan, together
from _sparse_reference import distance, minkunet
from _sparse_timing import device_ms, emptied, kernels, peak_since, spread, submit_ms, wall_ms

# Half precision through 49 layers, against float64 from the same float32 parameters: rounding the parameters and the
# input alone gives 1.5e-3.
TOLERANCE = {"relative": 1e-2, "largest": 2e-2}


@dataclass
class Bench:
    """What the parts share."""

    arguments: Any
    result: _bench.Result
    engines: list[Engine]
    scans: list[Scan]
    grid: tuple[int, int, int]
    statistics: list[list[dict[str, Any]]]
    deadline: float
    states: dict[float, dict[str, torch.Tensor]] = field(default_factory=dict)

    def state(self, ratio: float) -> dict[str, torch.Tensor]:
        """Parameters at a width, batch norm calibrated on the first scan."""
        if ratio not in self.states:
            state = random_state(ratio, self.arguments.seed)
            with torch.no_grad():
                minkunet(state, ratio, self.scans[0].coords, self.scans[0].feats, calibrate=True)
            self.states[ratio] = state
        return self.states[ratio]

    def left_s(self) -> float:
        return self.deadline - time.perf_counter()

    def batches(self, size: int) -> list[Scan]:
        """All scans, or up to four batches of different ones."""
        if size == 1:
            return self.scans
        groups = [self.scans[at : at + size] for at in range(0, len(self.scans) - size + 1, size)][:4]
        return [together(group) for group in groups]

    def attempt(self, where: str, work: Callable[..., None], *given: Any) -> dict[str, Any]:
        """The row that `work(row, *given)` fills; what goes wrong is printed and stands in it."""
        row: dict[str, Any] = {}
        if self.left_s() < 0:
            row["left_out"] = "the time given was used up"
            return row
        try:
            work(row, *given)
        except Exception as error:
            row["failed"] = f"{type(error).__name__}: {str(error)[:300]}"
            print(f"{where} failed\n{traceback.format_exc(limit=-4)}", flush=True)
        return row


@torch.no_grad()
def accuracy(bench: Bench) -> dict[str, Any]:
    """Distance of every engine's logits to float64, at width 1.0 over all scans; the worst scan is shown."""
    state = bench.state(1.0)
    wanted = [minkunet(state, 1.0, scan.coords, scan.feats).float() for scan in bench.scans]
    return {
        engine.name: bench.attempt(f"accuracy {engine.name}", _accuracy, bench, engine, wanted)
        for engine in bench.engines
    }


def _accuracy(row: dict[str, Any], bench: Bench, engine: Engine, wanted: list[torch.Tensor]) -> None:
    for way, run in engine.inference(bench.state(1.0), 1.0, bench.grid, bench.arguments.capacity, 1).items():
        found = [distance(run(scan), want) for scan, want in zip(bench.scans, wanted, strict=True)]
        row[way] = {
            "scans": len(found),
            "worst_relative": _finite(max(each["relative"] for each in found)),
            "worst_largest": _finite(max(each["largest"] for each in found)),
            "least_same_class": min(each["same_class"] for each in found),
            "within_tolerance": sum(all(each[kind] <= limit for kind, limit in TOLERANCE.items()) for each in found),
        }
        print(f"accuracy {engine.name}, {way}: {row[way]}", flush=True)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@torch.no_grad()
def inference(bench: Bench) -> dict[str, Any]:
    """End to end by width and batch: wall clock from coordinates on the device to logits, maps built for each run."""
    rows: dict[str, Any] = {}
    cases = [(ratio, batch) for batch in bench.arguments.batches for ratio in bench.arguments.widths]
    for ratio, batch in sorted(cases, key=lambda case: (-case[0], case[1])):
        scans = bench.batches(batch)
        if not scans:
            continue
        floor = floor_ms(ratio, bench.statistics[0]) if batch == 1 else None
        name = f"width {ratio:g}, batch {batch}"
        rows[name] = {"voxels": [len(scan) for scan in scans], "floor_ms_of_first_scan": floor}
        for engine in bench.engines:
            where = f"{name} {engine.name}"
            rows[name][engine.name] = bench.attempt(where, _inference, where, bench, engine, ratio, batch, scans, floor)
    return rows


def _inference(
    row: dict[str, Any],
    where: str,
    bench: Bench,
    engine: Engine,
    ratio: float,
    batch: int,
    scans: list[Scan],
    floor: float | None,
) -> None:
    ways = engine.inference(bench.state(ratio), ratio, bench.grid, bench.arguments.capacity, batch)
    for way, run in ways.items():
        works = [partial(run, scan) for scan in scans]
        for work in works * 2:  # compiles, and lets tuners tune
            work()
        times = wall_ms(works, max(bench.arguments.repeats, 3 * len(works)))
        each = [statistics.median(times[index :: len(works)]) for index in range(len(works))]
        row[way] = {**spread(times), "first_scan_ms": each[0], "slowest_scan_ms": max(each)}
        row[way]["submit_ms"] = submit_ms(works[0])
        row[way]["first_scan_l2_flushed_ms"] = statistics.median(wall_ms(works[:1], 10, flush=True))
        if floor is not None:
            row[way]["share_of_floor"] = floor / each[0]
        print(f"{where}, {way}: {row[way]}", flush=True)


@torch.no_grad()
def stages(bench: Bench) -> dict[str, Any]:
    """Where the first scan's time goes at width 1.0: with maps built and kept, on the device and on the host."""
    return {
        engine.name: bench.attempt(f"stages {engine.name}", _stages, bench, engine, bench.scans[0])
        for engine in bench.engines
    }


def _stages(row: dict[str, Any], bench: Bench, engine: Engine, scan: Scan) -> None:
    state = bench.state(1.0)
    net = engine.network(state, 1.0, bench.grid, training=False)

    def whole() -> Any:
        return net(engine.enter(net, scan))

    for _ in range(3):
        whole()
    row["wall_ms"] = statistics.median(wall_ms([whole], 15))
    row["submit_ms"] = submit_ms(whole)
    listed = kernels(whole)
    row["device_busy_ms"] = sum(each["us"] for each in listed) / 1e3
    row["launches"] = sum(each["launches"] for each in listed)
    row["longest_kernels"] = listed[:12]
    with engine.maps_kept():
        entered = engine.enter(net, scan)
        for _ in range(2):
            net(entered)
        row["wall_maps_kept_ms"] = statistics.median(wall_ms([lambda: net(entered)], 15))
        listed = kernels(lambda: net(entered))
        row["device_busy_maps_kept_ms"] = sum(each["us"] for each in listed) / 1e3
        row["launches_maps_kept"] = sum(each["launches"] for each in listed)
    row["maps_wall_ms"] = row["wall_ms"] - row["wall_maps_kept_ms"]
    row["maps_device_ms"] = row["device_busy_ms"] - row["device_busy_maps_kept_ms"]
    row["idle_ms"] = row["wall_ms"] - row["device_busy_ms"]
    brief = {name: value for name, value in row.items() if not isinstance(value, (list, dict))}
    print(f"stages {engine.name}: {brief}", flush=True)
    row.update(engine.stages(state, 1.0, bench.grid, scan, bench.arguments.capacity))


@torch.no_grad()
def layers(bench: Bench) -> dict[str, Any]:
    """Each convolution alone on the device, maps kept, beside its floor, on the first scan at width 1.0."""
    works = list(work_of(minkunet_layers(1.0), bench.statistics[0]))
    rows: dict[str, Any] = {"work": works}
    for engine in bench.engines:
        rows[engine.name] = bench.attempt(f"layers {engine.name}", _layers, bench, engine, bench.scans[0], works)
    return rows


def _layers(row: dict[str, Any], bench: Bench, engine: Engine, scan: Scan, works: list[dict[str, Any]]) -> None:
    net = engine.network(bench.state(1.0), 1.0, bench.grid, training=False)
    timed: list[dict[str, Any]] = []
    with engine.maps_kept():
        net(engine.enter(net, scan))
        for (name, call), expected in zip(layers_of(engine, net, 1.0, scan), works, strict=True):
            call()
            milliseconds = device_ms(call, calls=5, repeats=3)
            timed.append({"layer": name, "us": None if milliseconds is None else 1e3 * milliseconds})
            if milliseconds:
                timed[-1]["tflop_s"] = expected["flop"] / milliseconds / 1e9
                timed[-1]["share_of_floor"] = expected["floor_us"] / milliseconds / 1e3
    row["layers"] = timed
    known = [each["us"] for each in timed if each["us"] is not None]
    row["not_timed"] = len(timed) - len(known)
    row["sum_ms"] = None if row["not_timed"] else sum(known) / 1e3
    if row["sum_ms"]:
        row["share_of_floor"] = floor_ms(1.0, bench.statistics[0]) / row["sum_ms"]
    print(f"layers {engine.name}: {row['sum_ms']} ms, {row['not_timed']} not timed", flush=True)


def training(bench: Bench) -> dict[str, Any]:
    """A whole step (maps, forward, loss, backward, update) under autocast, by width and batch, and its peak memory."""
    rows: dict[str, Any] = {}
    for ratio, batch in ((1.0, 1), (1.0, 4), (1.0, 2), (0.5, 1)):
        scans = bench.batches(batch)[:4]
        if not scans or ratio not in bench.arguments.widths or batch not in bench.arguments.batches:
            continue
        name = f"width {ratio:g}, batch {batch}"
        rows[name] = {"voxels": [len(scan) for scan in scans]}
        for engine in bench.engines:
            where = f"training {name} {engine.name}"
            rows[name][engine.name] = bench.attempt(where, _training, where, bench, engine, ratio, batch, scans)
    return rows


def _training(
    row: dict[str, Any], where: str, bench: Bench, engine: Engine, ratio: float, batch: int, scans: list[Scan]
) -> None:
    before = emptied()
    step = engine.training_step(bench.state(ratio), ratio, bench.grid, bench.arguments.capacity, batch)
    works = [partial(step, scan) for scan in scans]
    for work in works * 2:
        loss = work()
    row.update(spread(wall_ms(works, 20)))
    row["submit_ms"] = submit_ms(works[0], 3)
    row["loss_is_finite"] = bool(torch.isfinite(loss))
    row["memory"] = peak_since(before, works[0])
    print(f"{where}: {row}", flush=True)


@torch.no_grad()
def memory(bench: Bench) -> dict[str, Any]:
    """Peak memory of inference at width 1.0, parameters included, one scan and four; each way on a cleared device."""
    rows: dict[str, Any] = {}
    for batch in (1, 4):
        scans = bench.batches(batch)
        if not scans or batch not in bench.arguments.batches:
            continue
        rows[f"batch {batch}"] = {"voxels": len(scans[0])}
        for engine in bench.engines:
            where = f"memory batch {batch} {engine.name}"
            rows[f"batch {batch}"][engine.name] = bench.attempt(where, _memory, where, bench, engine, batch, scans[0])
    return rows


def _memory(row: dict[str, Any], where: str, bench: Bench, engine: Engine, batch: int, scan: Scan) -> None:
    state = bench.state(1.0)
    for way in engine.ways:
        before = emptied()
        run = engine.inference(state, 1.0, bench.grid, bench.arguments.capacity, batch, only=way)[way]
        run(scan)
        row[way] = peak_since(before, partial(run, scan))
        del run
    print(f"{where}: {row}", flush=True)
