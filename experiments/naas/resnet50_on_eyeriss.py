"""ResNet50 at Eyeriss's resources: 2,000 distinct chips with their inner searches, and the same study through Ray.

    python experiments/naas/resnet50_on_eyeriss.py --out experiments/results/naas_resnet50_eyeriss.json

Each run starts in a process of its own with nothing known; `--skip-ray` leaves the second one out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _arms import PACKAGES, POPULATION, baseline, judged, ratios

import _bench  # isort: skip

from coevo.search.study import Study
from coevo.spaces.naas import Options
from coevo.spaces.naas.definition import problem_of
from coevo.spaces.naas.setting import Setting

DESIGNS, LIMIT_S, WORKERS = 2000, 600.0, 2
EVALUATIONS = 2000
MAPPER = "sampling"


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--designs", type=int, default=DESIGNS, help="distinct chips")
    options.add_argument("--evaluations", type=int, default=EVALUATIONS, help="mappings judged for each layer")
    options.add_argument("--workers", type=int, default=WORKERS)
    options.add_argument("--skip-ray", action="store_true")
    arguments = options.parse_args()
    result = _bench.Result("naas_resnet50_eyeriss", packages=(*PACKAGES, "ray"))
    result.settings = {
        "designs": arguments.designs,
        "evaluations": arguments.evaluations,
        "workers": arguments.workers,
        "paper": "accelerator alone: EDP 3.01 times better than NHAS's, whose own figure is not published in units",
    }
    setting = Setting.make(
        Options(baseline="eyeriss", loops_per_axis="baseline", mapper=MAPPER, mapping_evaluations=arguments.evaluations)
    )
    local = run(setting, "local", arguments.workers, arguments.designs)
    runs = {"local": local}
    if not arguments.skip_ray:
        runs["ray"] = run(setting, "ray", arguments.workers, arguments.designs)
    before, after = judged(setting, baseline(setting)), judged(setting, local["best"])
    result.measurements = {
        name: {key: value for key, value in found.items() if key not in ("trials", "best")}
        for name, found in runs.items()
    } | {"over_eyeriss": ratios(before, after), "design": local["best"].hardware.as_json()}
    few = arguments.designs < DESIGNS
    result.bars = [
        _bench.at_most("2,000 distinct chips for ResNet50, local workers", local["wall_s"], "s", LIMIT_S),
        _bench.at_least("distinct chips", local["distinct"], "chips", DESIGNS),
    ]
    if "ray" in runs:
        differing = sum(a != b for a, b in zip(local["trials"], runs["ray"]["trials"], strict=True))
        result.bars.append(_bench.at_most("trials that differ through Ray", differing, "trials", 0))
    else:
        result.bars.append(_bench.bar("trials that differ through Ray", None, "trials", "at most 0", False))
    if few:
        result.bars = [_bench.not_met(entry, "fewer designs than the bar is about") for entry in result.bars]
    return result.finish(arguments)


def run(setting: Setting, runner: str, workers: int, designs: int) -> dict[str, Any]:
    """One study until so many distinct chips were judged; wall time from opening it to its last outcome."""
    made = problem_of(setting)
    judge = made.stages[-1].evaluator
    seen: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="coevo-naas-") as home:
        began = time.perf_counter()
        with Study(
            made,
            folder=Path(home) / "run",
            runner=runner,
            workers=workers,
            seed=0,
            algorithm_options={"population": POPULATION},
        ) as study:
            trials = designs
            while True:  # designs that decode to a chip already judged do not count
                study.run(trials=trials)
                rows = [(trial.design, dict(trial.outcome.metrics)) for trial in study.trials()]
                seen = {judge.cache_key(made.space.build(design)) for design, _ in rows}
                if len(seen) >= designs or len(rows) < trials:
                    break
                trials += designs - len(seen)
            wall = time.perf_counter() - began
            memo = study.memo
            best = min((row for row in rows if row[1]), key=lambda row: row[1]["edp_js"])
            found = {
                "wall_s": round(wall, 1),
                "trials": [(design.key, metrics) for design, metrics in rows],
                "asked": len(rows),
                "failed": study.failed,
                "distinct": len(seen),
                "inner_searches": memo.computed,
                "inner_hits": memo.hits,
                "best_edp_js": best[1]["edp_js"],
                "best": made.space.build(best[0]),
            }
    print(f"{runner}: {len(seen)} chips in {wall:.0f} s, best EDP {best[1]['edp_js']:.4g} J s", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
