"""Every layer of ResNet50 mapped on Eyeriss and on NVDLA-1024: how far from the best there is, and how long it takes.

    python experiments/naas/mapper_gaps.py --out experiments/results/naas_mapper_gaps.json

The goal is the energy-delay product. Bounds hold over the whole declared mapping space under the same assumptions; a
gap of zero is a proof that no mapping is better. The energies and delays of these mappings are compared with the least
energy and the least delay that any mapping has; both cannot always be reached at once. Layers of one shape are mapped
once and count as often as they occur. The time is that of everything after the workers have started and compiled
kernels were loaded: reading, searching, certifying.
"""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import _bench

from coevo.cost_models.accelerator import Assumptions, Layer
from coevo.cost_models.accelerator.workloads import load_workload
from coevo.hardware.accelerators import load_accelerator
from coevo.spaces.naas.mapper import map_layer

ACCELERATORS = ("eyeriss", "nvdla_1024")
GOALS = ("energy", "cycles", "edp")
SECONDS, MEAN_GAP, LARGEST_GAP = 30.0, 0.05, 0.20


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument(
        "--bound-nodes", type=int, default=300, help="nodes for the bounds of energy and of delay each"
    )
    arguments = options.parse_args()
    result = _bench.Result("naas_mapper_gaps", ("numba",))
    workload = load_workload("resnet50")
    result.settings = {
        "network": workload.name, "layers": sum(count for _, count in workload.layers),
        "shapes": len(workload.layers), "accelerators": list(ACCELERATORS), "goal": "edp",
        "assumptions": Assumptions().as_dict(), "processes": arguments.processes, "bound_nodes": arguments.bound_nodes,
    }  # fmt: skip
    with ProcessPoolExecutor(arguments.processes, get_context("spawn"), _load_kernels) as pool:
        list(pool.map(_ready, range(4 * arguments.processes)))
        start = time.perf_counter()
        tasks = [
            (layer, name, arguments.bound_nodes)
            for layer, _ in sorted(workload.layers, key=lambda entry: -entry[0].macs)
            for name in ACCELERATORS
        ]
        answers = dict(zip([(task[0].name, task[1]) for task in tasks], pool.map(_map, tasks), strict=True))
        seconds = time.perf_counter() - start
    result.measurements = {"seconds": round(seconds, 2)}
    for name in ACCELERATORS:
        rows = [{**answers[layer.name, name], "layer": layer.name, "times": count} for layer, count in workload.layers]
        result.measurements[name] = {"layers": rows, "totals": _totals(rows)}
        head = ["layer", "times", "energy_uj", "cycles", "edp_js", *(f"{goal} gap" for goal in GOALS), "cpu_s"]
        print(f"\n{name}")
        print(_bench.table(head, [[_shown(row, column) for column in head] for row in rows]))
    result.bars = _bars(result.measurements, seconds)
    return result.finish(arguments)


def _load_kernels() -> None:
    """Compiled kernels are read (or made, once a machine) before the clock starts."""
    for name in ACCELERATORS:
        accelerator = load_accelerator(name)
        map_layer(Layer("small", {"K": 4, "C": 4, "Y": 4, "R": 2}), accelerator)


def _ready(_: int) -> None:
    time.sleep(0.05)


def _map(task: tuple[Layer, str, int]) -> dict[str, Any]:
    layer, name, bound_nodes = task
    start = time.process_time()
    found = map_layer(layer, load_accelerator(name), bound_nodes=bound_nodes)
    gaps, bounds = found.gaps, found.bounds
    assert gaps is not None and bounds is not None
    return {
        "energy_uj": found.energy_pj * 1e-6, "cycles": found.cycles, "edp_js": found.edp_js, "gaps": gaps,
        "how": bounds.how, "optimal": found.optimal, "judged": found.evaluations,
        "cpu_s": round(time.process_time() - start, 3),
    }  # fmt: skip


def _shown(row: dict[str, Any], column: str) -> Any:
    return row["gaps"][column.removesuffix(" gap")] if column.endswith(" gap") else row[column]


def _totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over all layers, each as often as it occurs."""
    times = [row["times"] for row in rows]
    gaps = {goal: [row["gaps"][goal] for row in rows for _ in range(row["times"])] for goal in GOALS}
    return {
        "energy_uj": sum(row["energy_uj"] * count for row, count in zip(rows, times, strict=True)),
        "cycles": sum(row["cycles"] * count for row, count in zip(rows, times, strict=True)),
        "mean_gaps": {goal: statistics.fmean(values) for goal, values in gaps.items()},
        "largest_gaps": {goal: max(values) for goal, values in gaps.items()},
        "optimal_layers": sum(count for row, count in zip(rows, times, strict=True) if row["optimal"]),
        "layers": sum(times),
        "cpu_s": round(sum(row["cpu_s"] for row in rows), 2),
    }


def _bars(measurements: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    cpu_s = sum(measurements[name]["totals"]["cpu_s"] for name in ACCELERATORS)
    note = f"{cpu_s:.1f} s of processor time; the machine's load is in the file"
    bars = [_bench.at_most("all layers on both accelerators", seconds, "s", SECONDS, note)]
    for name in ACCELERATORS:
        totals = measurements[name]["totals"]
        proven = f"{totals['optimal_layers']} of {totals['layers']} layers are proven optimal"
        bars.append(_bench.at_most(f"{name}: mean EDP gap", totals["mean_gaps"]["edp"], "", MEAN_GAP, proven))
        bars.append(_bench.at_most(f"{name}: largest EDP gap", totals["largest_gaps"]["edp"], "", LARGEST_GAP))
    return bars


if __name__ == "__main__":
    sys.exit(main())
