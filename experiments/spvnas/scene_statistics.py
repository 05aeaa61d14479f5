"""Are generated scenes like real ones? Scenes whose seeds the generator was never fitted on, beside a real sweep.

    python experiments/spvnas/scene_statistics.py --out experiments/results/spvnas_scene_statistics.json

Voxels and mean neighbours at five strides, isolated voxels and percentiles of range are beside one real HDL-64E sweep,
shares of classes beside SemanticKITTI's, SPVCNN's multiplications beside its published mean. The generator's knobs were
set by hand on seeds 0 to 12, which the tests hold; these seeds begin at 1,000.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench

from coevo.spaces.spvnas.data.generator.scenes import make_scene
from coevo.spaces.spvnas.data.generator.sweep import Sweeper
from coevo.spaces.spvnas.data.statistics import (
    SEMANTIC_KITTI,
    class_shares,
    level_statistics,
    range_percentiles_m,
    spvcnn_gmacs,
)
from coevo.spaces.spvnas.data.voxels import voxelize_scan

FIRST, SCENES = 1_000, 60


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--first", type=int, default=FIRST, help="seed")
    options.add_argument("--scenes", type=int, default=SCENES)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    result = _bench.Result("spvnas_scene_statistics", packages=("torch", "numpy"))
    result.settings = {"first_seed": arguments.first, "scenes": arguments.scenes}
    scans = [Sweeper(make_scene(arguments.first + number)).scan() for number in range(arguments.scenes)]
    levels = [level_statistics(voxelize_scan(scan).coords) for scan in scans]
    voxels, neighbours = [], []
    for place, real in enumerate(SEMANTIC_KITTI.levels):
        rows = np.array([each[place].voxels for each in levels], dtype=float)
        mean = np.array([each[place].mean_neighbours for each in levels])
        voxels.append(float(rows.mean() / real.voxels))
        neighbours.append(float((rows * mean).sum() / rows.sum() / real.mean_neighbours))
    gmacs = np.array([spvcnn_gmacs(each) for each in levels])
    shares = class_shares(scans)
    ranges = {
        str(percent): float(np.mean([range_percentiles_m(scan)[percent] for scan in scans]) / real)
        for percent, real in SEMANTIC_KITTI.range_percentiles_m.items()
    }
    result.measurements = {
        "voxels_over_real": [round(each, 3) for each in voxels],
        "mean_neighbours_over_real": [round(each, 3) for each in neighbours],
        "isolated_share": round(float(np.mean([each[0].alone for each in levels])), 4),
        "range_percentiles_over_real": {name: round(each, 3) for name, each in ranges.items()},
        "spvcnn_gmacs": {"mean": round(float(gmacs.mean()), 1), "deviation": round(float(gmacs.std(ddof=1)), 1)},
        "class_shares": {
            name: [round(float(shares[name]), 5), real] for name, real in SEMANTIC_KITTI.class_shares.items()
        },
    }

    def worst(ratios: list[float]) -> float:
        return max(abs(each - 1) for each in ratios)

    result.bars = [
        _bench.at_most("voxels at five strides, worst difference", worst(voxels), "1", 0.20),
        _bench.at_most("mean neighbours at five strides, worst difference", worst(neighbours), "1", 0.15),
        _bench.at_most("percentiles of range, worst difference", worst(list(ranges.values())), "1", 0.20),
        _bench.at_most("SPVCNN's GMACs, difference", abs(gmacs.mean() / SEMANTIC_KITTI.spvcnn_gmacs - 1), "1", 0.15),
    ]
    if arguments.scenes < SCENES:
        result.bars = [_bench.not_met(each, f"fewer than {SCENES} scenes") for each in result.bars]
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
