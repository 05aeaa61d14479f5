"""How many labelled HDL-64E sweeps a second: scenes from seeds, ray-cast in torch.

    python experiments/bench/lidar_generator.py --device cuda --out experiments/results/lidar_generator_h200.json
    python experiments/bench/lidar_generator.py --device cpu --threads 2

A sweep is a new scene with its points, labels, intensities and boxes on the host; the mix of scenes is that of
training. It needs torch and NumPy alone.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import _bench
import torch

from coevo.spaces.spvnas.data.generator.source import GeneratedScans

TARGET_PER_S = {"cuda": 20.0, "cpu": 1.0}


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cuda", "cpu"))
    options.add_argument("--scenes", type=int, default=60)
    options.add_argument("--threads", type=int, default=2, help="of torch on the CPU")
    arguments = options.parse_args()
    if arguments.scenes < 5:
        options.error("--scenes: expected at least 5; the median is over scenes")
    torch.set_num_threads(arguments.threads)
    result = _bench.Result("lidar_generator", packages=("torch", "numpy"))
    result.settings = {key: getattr(arguments, key) for key in ("device", "scenes", "threads")}
    if arguments.device == "cuda":
        result.measurements["accelerator"] = _bench.gpu()
    scans = GeneratedScans(arguments.scenes + 2, device=arguments.device)
    seconds, points = [], []
    for number in range(len(scans)):
        began = time.perf_counter()
        scan = scans[number]
        seconds.append(time.perf_counter() - began)
        points.append(len(scan.points))
    seconds, points = seconds[2:], points[2:]  # the first ones load what is loaded once
    result.measurements.update(measured(seconds, points))
    rate = arguments.scenes / sum(seconds)
    result.bars = [_bench.at_least(f"sweeps a second, {arguments.device}", rate, "1/s", TARGET_PER_S[arguments.device])]
    return result.finish(arguments)


def measured(seconds: list[float], points: list[int]) -> dict[str, Any]:
    """Times of the sweeps, ms, and their points."""
    ordered = sorted(seconds)
    return {
        "sweep_ms": {
            "median": 1e3 * ordered[len(ordered) // 2],
            "min": 1e3 * ordered[0],
            "max": 1e3 * ordered[-1],
        },
        "points": {"mean": sum(points) / len(points), "min": min(points), "max": max(points)},
    }


if __name__ == "__main__":
    sys.exit(main())
