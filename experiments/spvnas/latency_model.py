"""How well does the latency table predict networks that it never saw, beside MACs?

A table of layers is measured on this device and calibrated on whole networks of the space; then 50 other random designs
are compiled and timed on the same scans, from coordinates to logits. Mean absolute error and Spearman's correlation of
the median over scans; MACs get the straight line that fits the 50 measured times best, which no predictor would have.

    python experiments/spvnas/latency_model.py --out experiments/results/spvnas_latency_h200.json
    python experiments/spvnas/latency_model.py --device cpu --scenes 1 --validation-scenes 2 --voxel-m 0.2 --coarse \\
        --width 0.5 --repeats 1 --out experiments/results/spvnas_latency_cpu.json

Weights are random: times do not depend on them. The table is kept in the folder, for the search.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import _work
import numpy as np
import torch
from _work import Work

from coevo.cost_models.point_cloud_latency import Prediction, quality, write_table
from coevo.cost_models.point_cloud_latency.quality import proportional
from coevo.cost_models.point_cloud_latency.unet import layers_of_unet
from coevo.spaces.spvnas.judging.measuring import Effort, design_ms, drawn_designs, space_table
from coevo.spaces.spvnas.network.capacity import capacity_of

TABLE = "latency_table.json"


def main() -> int:
    options = _work.parser(__doc__)
    options.add_argument("--unseen", type=int, default=50, help="networks that test the table")
    options.add_argument("--calibration", type=int, default=24, help="networks that calibrate it")
    options.add_argument("--coarse", action="store_true", help="a fifth of the table's entries")
    options.add_argument("--repeats", type=int, default=5)
    options.set_defaults(scenes=2, validation_scenes=6, voxel_m=0.05)
    arguments = options.parse_args()
    began = time.perf_counter()
    work = Work(arguments)
    samples = work.validating.samples
    dtype = torch.float16 if work.device.type == "cuda" else torch.float32
    said = [0.0]

    def progress(done: float, total: float, text: str) -> None:
        if time.perf_counter() - said[0] > 15:
            said[0] = time.perf_counter()
            work.say(f"{done:.0f}/{total:.0f} {text}; {said[0] - began:.0f} s")

    effort = Effort(arguments.calibration, arguments.coarse, arguments.repeats)
    table = space_table(
        work.bounds, samples, dtype=dtype, said=f"{len(samples)} scans, {work.validation_source.source}", effort=effort,
        seed=work.seed, progress=progress,
    )  # fmt: skip
    write_table(table, arguments.folder / TABLE)
    entries, took_s = sum(grid.ms[..., 0].size for grid in table.grids.values()), time.perf_counter() - began
    work.say(f"the table has {entries} entries after {took_s:.0f} s; {table.calibration}")
    result = _work._bench.Result("spvnas_latency_model", packages=("torch", "triton"))
    result.settings = {
        **{key: str(value) if key in ("folder", "dataset", "out") else value for key, value in vars(arguments).items()},
        "space": work.bounds.id, "data": work.validation_source.source, "dtype": table.dtype,
        "fingerprint": dict(table.device), "mean_voxels": table.rows.mean(axis=0).round().tolist(),
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    capacity = capacity_of(samples, work.bounds.points)
    for number, design in enumerate(drawn_designs(work.bounds, arguments.unseen, work.seed, "unseen")):
        ms = Prediction.over(design_ms(design, samples, dtype, capacity, arguments.repeats))
        layers = layers_of_unet(design, design.points)
        told, bare = table.predict(layers), float(np.median(table.of_layers(layers)))
        rows.append({
            **work.costs(design), "measured_p50_ms": ms.p50_ms, "measured_p95_ms": ms.p95_ms,
            "predicted_p50_ms": told.p50_ms, "predicted_p95_ms": told.p95_ms, "uncalibrated_p50_ms": bare,
        })  # fmt: skip
        if number + 1 >= 3:
            result.measurements = measured(rows, table.calibration)
            result.bars = bars(result.measurements, len(rows))
            result.keep(arguments)
        progress(number + 1, arguments.unseen, f"{ms.p50_ms:.3f} ms measured, {told.p50_ms:.3f} predicted")
    return result.finish(arguments)


def measured(rows: list[dict[str, Any]], calibration: Any) -> dict[str, Any]:
    truth = [row["measured_p50_ms"] for row in rows]
    macs = np.array([row["gmacs"] for row in rows])
    slope, intercept = proportional(macs, truth)
    found: dict[str, Any] = {
        "table_p50": quality([row["predicted_p50_ms"] for row in rows], truth),
        "table_p95": quality([row["predicted_p95_ms"] for row in rows], [row["measured_p95_ms"] for row in rows]),
        "uncalibrated_p50": quality([row["uncalibrated_p50_ms"] for row in rows], truth),
        "macs_line_p50": quality(slope * macs + intercept, truth),
    }
    shown = {
        name: {"mape_percent": round(each.mape_percent, 3), "spearman": round(each.spearman, 4)}
        for name, each in found.items()
    }
    return {**shown, "calibration": [calibration.scale, calibration.launch_ms, calibration.rest_ms], "networks": rows}


def bars(found: dict[str, Any], networks: int) -> list[dict[str, Any]]:
    ours, macs = found["table_p50"], found["macs_line_p50"]
    note = f"over {networks} unseen networks; a line in MACs: {macs['mape_percent']} %, {macs['spearman']}"
    made = [
        _work._bench.at_most("mean absolute error of the table", ours["mape_percent"], "%", 5.0, note),
        _work._bench.at_least("Spearman's correlation of the table", ours["spearman"], "", 0.97, note),
    ]
    return made if networks >= 50 else [_work._bench.not_met(each, "fewer than 50 networks") for each in made]


if __name__ == "__main__":
    sys.exit(main())
