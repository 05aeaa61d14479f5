"""Sparse convolution on a CUDA device: coevo, spconv, spconv-triton and TorchSparse on the same scans, in one run.

    python experiments/bench/gpu_sparse.py --scan 000000.bin --out experiments/results/gpu_sparse.json
    python experiments/bench/gpu_sparse.py --engines spconv --parts inference,training --repeats 20

MinkUNet with SPVNAS's widths, the same parameters in every library, half precision, kernel maps built anew for each
run. Measured are: end to end by width and batch (from voxel coordinates on the device to logits), a training step,
stages (maps, convolutions, host), every layer beside its floor, peak memory, TorchSparse's seven workloads on generated
scans, what each idea gives on and off, and whether training is reproducible. Logits of every engine are held to a
float64 oracle that shares no code with any of them (`_sparse_reference.py`).

`--scan FILE` names a real sweep (float32 x, y, z, remission; SemanticKITTI's format). It is not part of this
repository. Without it all scans are generated and the bars, which are defined with it, are not met.

spconv-triton tries all its configurations on first use, which takes over six minutes for this network, so it is asked
for by name (`--engines coevo,spconv,spconv-triton`) and is left the first `--triton-configurations` of each kernel.

The part `tuning` measures coevo's plans and keeps them where coevo keeps them (COEVO_CACHE); later parts, and later
runs without it, take what it found. Every part is written as soon as it is measured, so a run that is cut off leaves
what it has.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _bench

PARTS = (
    "tuning",
    "accuracy",
    "inference",
    "training",
    "memory",
    "stages",
    "layers",
    "reproducible",
    "ablation",
    "workloads",
)


def arguments_of(given: list[str] | None = None) -> argparse.Namespace:
    """What was asked for; errors end the program with a line that says what was expected."""
    from _sparse_inputs import CAPACITY

    options = _bench.parser(__doc__)
    options.add_argument("--scan", type=Path, metavar="FILE", help="a real sweep: float32 x, y, z in metres, remission")
    options.add_argument("--engines", default="coevo,spconv,torchsparse", help="(%(default)s); also spconv-triton")
    options.add_argument("--parts", default=",".join(PARTS), help="(%(default)s)")
    options.add_argument("--widths", default="0.5,0.64,1.0", help="width ratios (%(default)s)")
    options.add_argument("--batches", default="1,2,4,8", help="scans a batch (%(default)s)")
    options.add_argument("--scans", type=int, default=20, help="different scans (%(default)s)")
    options.add_argument("--capacity", type=int, default=CAPACITY, help="voxels a scan of a capture (%(default)s)")
    options.add_argument("--repeats", type=int, default=60, help="timed runs of a row (%(default)s)")
    options.add_argument("--triton-configurations", type=int, default=2, help="of spconv-triton (%(default)s)")
    options.add_argument("--tuning-seconds", type=float, default=60.0, help="for coevo's autotuner (%(default)s)")
    options.add_argument("--seconds", type=float, default=550.0, help="what begins later is left out (%(default)s)")
    options.add_argument("--seed", type=int, default=0, help="of parameters (%(default)s)")
    arguments = options.parse_args(given)
    try:
        arguments.widths = [float(width) for width in arguments.widths.split(",")]
        arguments.batches = [int(batch) for batch in arguments.batches.split(",")]
    except ValueError as error:
        options.error(f"--widths and --batches take numbers with commas between them: {error}")
    arguments.engines, arguments.parts = arguments.engines.split(","), arguments.parts.split(",")
    if unknown := set(arguments.parts) - set(PARTS):
        options.error(f"--parts takes some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    from _sparse_engines import NAMES

    if unknown := set(arguments.engines) - set(NAMES):
        options.error(f"--engines takes some of {', '.join(NAMES)}, got {', '.join(sorted(unknown))}")
    if arguments.scan is not None and not arguments.scan.is_file():
        options.error(f"--scan: there is no file {arguments.scan}")
    if min(*arguments.batches, arguments.scans, arguments.repeats) < 1 or min(arguments.widths) <= 0:
        options.error("--widths, --batches, --scans and --repeats must be positive")
    return arguments


def main() -> int:
    began = time.perf_counter()
    arguments = arguments_of()
    import torch

    if not torch.cuda.is_available():
        print("gpu_sparse needs a CUDA device, and torch sees none", file=sys.stderr)
        return 2
    from _sparse_bars import bars
    from _sparse_case import DATASHEET, WIDTHS
    from _sparse_engines import engines
    from _sparse_inputs import described, different_scans, grid_of
    from _sparse_parts import TOLERANCE, Bench
    from _sparse_timing import ceilings

    from coevo.kernels.sparse.tuning import store

    packages = ("torch", "triton", "spconv-cu126", "cumm-cu126", "spconv-triton", "torchsparse")
    shown = {name: value for name, value in vars(arguments).items() if name not in ("scan", "out", "json")}
    settings = {**shown, "real_scan": arguments.scan is not None, "channels_at_1": WIDTHS, "datasheet": DATASHEET}
    result = _bench.Result("gpu_sparse", packages, {**settings, "tolerance": TOLERANCE})
    found, absent = engines(arguments.engines, arguments.triton_configurations)
    result.measurements["absent"] = absent
    result.measurements["accelerator"] = ceilings()
    result.measurements["tuned_before"] = [entry.get("networks", entry) for entry in store.state()]
    scans = different_scans(arguments.scan, arguments.scans, "cuda", arguments.capacity)
    from _lidar_scans import statistics

    levels = [statistics(scan.coords[:, 1:]) for scan in scans]
    result.measurements["scans"] = described(scans, levels)
    print(f"engines {[engine.name for engine in found]}, absent {absent}", flush=True)
    for row in result.measurements["scans"]:
        print(f"{row['scan']}: {row['voxels']}, {row['mean_neighbours']}, alone {row['alone']}")
    print(f"== inputs: {time.perf_counter() - began:.1f} s", flush=True)
    deadline = began + arguments.seconds
    bench = Bench(arguments, result, found, scans, grid_of(scans), levels, deadline)
    for name in arguments.parts:
        started = time.perf_counter()
        result.measurements[name] = _part(name)(bench) if bench.left_s() > 0 else {"left_out": "no time was left"}
        print(f"== {name}: {time.perf_counter() - started:.1f} s", flush=True)
        result.bars = bars(result.measurements, arguments)
        if arguments.out is not None:
            result.keep(arguments)
    return result.finish(arguments)


def _part(name: str) -> Callable[[Any], dict[str, Any]]:
    import _sparse_ablation
    import _sparse_parts
    import _sparse_workloads

    for module in (_sparse_parts, _sparse_workloads, _sparse_ablation):
        if hasattr(module, name):
            part: Callable[[Any], dict[str, Any]] = getattr(module, name)
            return part
    raise ValueError(name)


if __name__ == "__main__":
    sys.exit(main())
