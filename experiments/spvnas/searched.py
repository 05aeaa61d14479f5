"""Searched networks beside uniformly scaled ones, and search under latency beside search under MACs.

One supernet, one latency table, and four ways to a network, each with the same number of judged designs:

    latency    NSGA-II for mIoU and latency by the table
    macs       NSGA-II for mIoU and MACs
    random     random designs, of which the best are taken by mIoU and latency
    uniform    MinkUNet and SPVCNN at three widths: nothing is judged

At the latency of every SPVCNN a design is taken from each search: the one with the best inherited mIoU among those that
the clock finds no slower, of the few that the search holds best there. Every network is then trained from scratch with
one budget and validated on scenes that nothing saw. Told are mIoU at equal latency, latency at equal mIoU, searched
networks beside MinkUNet and SPVCNN, search under latency beside under MACs, and the point branch beside none on small
things.

    python experiments/spvnas/searched.py --supernet-steps 1500 --standalone-steps 600 --trials 200 \\
        --out experiments/results/spvnas_searched.json

The same folder as `ranking.py`'s takes over its supernet, where the steps are the same; finished searches and trainings
are read back. Five seeds: five runs with other `--seed`s; `--join FILE...` puts their documents together.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _work
import numpy as np
import torch
from _work import Work

from coevo.cost_models.point_cloud_latency import Prediction, fingerprint, read_table, write_table
from coevo.cost_models.point_cloud_latency.unet import layers_of_unet
from coevo.errors import InputError
from coevo.search.space import Space
from coevo.search.study import Study
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.judging.inherited import InheritedScores
from coevo.spaces.spvnas.judging.measuring import Effort, design_ms, space_table
from coevo.spaces.spvnas.network.capacity import capacity_of

RATIOS = (0.5, 0.64, 1.0)
SEARCHES = {
    "latency": ("nsga2", {"miou": "max", "latency_p50_ms": "min"}),
    "macs": ("nsga2", {"miou": "max", "gmacs": "min"}),
    "random": ("random", {"miou": "max", "latency_p50_ms": "min"}),
}
TIMED = 6
"""Designs of a search that are timed for each target, the best by inherited mIoU."""
SLACK = 1.02
"""The clock's own scatter: as fast means at most this factor slower."""


def main() -> int:
    options = _work.parser(__doc__)
    options.add_argument("--supernet-steps", type=int, default=1500)
    options.add_argument("--standalone-steps", type=int, default=600)
    options.add_argument("--trials", type=int, default=200, help="designs that each search judges")
    options.add_argument("--judging-scans", type=int, default=8)
    options.add_argument("--timed-scans", type=int, default=6)
    options.add_argument("--ratios", type=float, nargs="+", default=RATIOS)
    options.add_argument("--coarse", action="store_true", help="a latency table of a fifth of the entries")
    options.add_argument("--calibration", type=int, default=16, help="networks that calibrate the table")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--processes", type=int, default=0, help="train networks side by side")
    options.add_argument("--join", type=Path, nargs="+", help="documents of several seeds to put together")
    arguments = options.parse_args()
    if arguments.join:
        return join(arguments)
    began = time.perf_counter()
    work = Work(arguments)
    result = _work._bench.Result("spvnas_searched", packages=("torch", "triton"))
    result.settings = {
        **{key: str(value) if key in ("folder", "dataset", "out", "join") else value
           for key, value in vars(arguments).items()},
        "space": work.bounds.id, "data": work.train.source, "device_fingerprint": fingerprint(str(work.device)),
    }  # fmt: skip
    clock = Clock(work)
    inherited = work.supernet(arguments.supernet_steps)
    pools = {name: search(name, work, inherited, clock) for name in SEARCHES}
    work.say(f"searched after {time.perf_counter() - began:.0f} s")
    chosen = choose(work, pools, clock)
    under_way = work.standalone_ahead(
        [(name_of(row), Backbone.from_json(row["design"]), arguments.standalone_steps) for row in chosen],
        arguments.processes,
    )
    for process in under_way:
        process.wait()
    for row in chosen:
        design = Backbone.from_json(row["design"])
        row |= work.standalone(name_of(row), design, arguments.standalone_steps, work.seed)
        work.say(f"{row['arm']}: {100 * row['miou']:.2f} mIoU, {row['p50_ms']:.2f} ms, {row['gmacs']:.1f} GMACs; "
                 f"{time.perf_counter() - began:.0f} s")  # fmt: skip
        finished = [each for each in chosen if "miou" in each]
        result.measurements = {"networks": finished, "claims": claims(finished), "supernet_curve": work.supernet_curve,
                               "judged": {name: len(pool) for name, pool in pools.items()}}  # fmt: skip
        result.bars = bars([result.measurements["claims"]])
        result.keep(arguments)
    return result.finish(arguments)


def name_of(row: dict[str, Any]) -> str:
    return f"{row['arm']}-{row['ratio']:g}"


class Clock:
    """Latency on this device: by the table, and measured."""

    def __init__(self, work: Work) -> None:
        arguments = work.arguments
        self.work, self.repeats = work, arguments.repeats
        self.samples = work.judging.samples[: arguments.timed_scans]
        self.dtype = torch.float16 if work.device.type == "cuda" else torch.float32
        self.capacity = capacity_of(self.samples, work.bounds.points)
        path = arguments.folder / f"search_table-{work.seed}.json"
        try:
            self.table = read_table(path)
            self.table.check_device(fingerprint(str(work.device)), str(path))
            self.table.of_layers(layers_of_unet(work.bounds.largest, work.bounds.points))
        except InputError:
            effort = Effort(arguments.calibration, arguments.coarse, arguments.repeats)
            said = f"{len(self.samples)} scans, {work.train.source}"
            self.table = space_table(work.bounds, self.samples, dtype=self.dtype, said=said, effort=effort)
            write_table(self.table, path)
        work.say(f"latency table: {self.table.calibration}")

    def predicted(self, design: Backbone) -> float:
        return self.table.predict(layers_of_unet(design, design.points)).p50_ms

    def measured(self, design: Backbone) -> dict[str, float]:
        found = Prediction.over(design_ms(design, self.samples, self.dtype, self.capacity, self.repeats))
        return {"p50_ms": round(found.p50_ms, 5), "p95_ms": round(found.p95_ms, 5)}


def search(name: str, work: Work, inherited: InheritedScores, clock: Clock) -> list[dict[str, Any]]:
    """Every design that one search judged, with its metrics."""
    algorithm, objectives = SEARCHES[name]
    trials = work.arguments.trials
    kept = work.arguments.folder / f"search-{name}-{work.seed}-{trials}-{work.arguments.supernet_steps}.json"
    if kept.is_file():
        return list(json.loads(kept.read_text(encoding="utf-8")))
    judging = work.judging.part(work.arguments.judging_scans)
    pool: list[dict[str, Any]] = []

    def judge(design: Backbone) -> dict[str, float]:
        miou = inherited.of(design, judging).miou
        metrics = {
            "miou": 0.0 if np.isnan(miou) else miou, "latency_p50_ms": clock.predicted(design), **work.costs(design)
        }  # fmt: skip
        pool.append({"design": design.to_json(), **metrics})
        return metrics

    space = Space(work.bounds.id, work.bounds.build)
    options = {"population": min(40, max(4, trials // 5))} if algorithm == "nsga2" else None
    with Study(
        space, judge, objectives=objectives, algorithm=algorithm, algorithm_options=options, seed=work.seed,
        runner="inline",
    ) as study:  # fmt: skip
        study.run(trials=trials)
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(".part")
    part.write_text(json.dumps(pool), encoding="utf-8")
    part.replace(kept)
    work.say(f"search {name}: {len(pool)} designs, best {100 * max(row['miou'] for row in pool):.2f}")
    return pool


def choose(work: Work, pools: dict[str, list[dict[str, Any]]], clock: Clock) -> list[dict[str, Any]]:
    """The networks to train, timed; once chosen in a folder they stay."""
    arguments = work.arguments
    kept = arguments.folder / f"chosen-{work.seed}-{arguments.trials}-{arguments.supernet_steps}.json"
    if kept.is_file():
        return list(json.loads(kept.read_text(encoding="utf-8")))
    chosen = uniform(work, clock)
    for target in [row for row in chosen if row["arm"] == "spvcnn"]:
        for name, pool in pools.items():
            found = pick(pool, target["p50_ms"], clock)
            if found is not None:
                chosen.append({"arm": name, "ratio": target["ratio"], "target_ms": target["p50_ms"], **found})
    part = kept.with_suffix(".part")
    part.write_text(json.dumps(chosen), encoding="utf-8")
    part.replace(kept)
    return chosen


def uniform(work: Work, clock: Clock) -> list[dict[str, Any]]:
    """MinkUNet and SPVCNN at the ratios, timed."""
    branch = work.bounds.points if work.bounds.points != "none" else "voxels"
    found = []
    for arm, points in (("minkunet", "none"), ("spvcnn", branch)):
        for ratio in work.arguments.ratios:
            design = Backbone.uniform(ratio * work.arguments.width, points)
            found.append({"arm": arm, "ratio": ratio, "design": design.to_json(), **clock.measured(design)})
    return found


def pick(pool: list[dict[str, Any]], target_ms: float, clock: Clock) -> dict[str, Any] | None:
    """The best by inherited mIoU of those that the clock finds as fast as the target; None where none is."""
    near = [row for row in pool if row["latency_p50_ms"] <= 1.1 * target_ms]
    for row in sorted(near, key=lambda row: -row["miou"])[: 4 * TIMED]:
        times = clock.measured(Backbone.from_json(row["design"]))
        if times["p50_ms"] <= SLACK * target_ms:
            told = {"inherited": round(row["miou"], 5), "predicted_p50_ms": round(row["latency_p50_ms"], 5)}
            return {"design": row["design"], **told, **times}
    return None


def claims(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the finished networks say, in points of mIoU and factors of latency and MACs."""
    arms = {name: [row for row in rows if row["arm"] == name] for name in (*SEARCHES, "minkunet", "spvcnn")}
    found: dict[str, Any] = {"searched_minus_uniform_at_its_latency": {}, "at_equal_miou": {}}
    for beside in ("minkunet", "spvcnn"):
        found["searched_minus_uniform_at_its_latency"][beside] = [
            round(100 * (best - row["miou"]), 3)
            for row in arms[beside]
            if (best := _best_within(arms["latency"], SLACK * row["p50_ms"])) is not None
        ]
        found["at_equal_miou"][beside] = [
            {what: round(row[of] / least[of], 3) for what, of in (("latency", "p50_ms"), ("macs", "gmacs"))}
            for row in arms[beside]
            if (least := _fastest_at(arms["latency"], row["miou"])) is not None
        ]
    for other in ("macs", "random"):
        found[f"latency_minus_{other}"] = [
            round(100 * (mine["miou"] - row["miou"]), 3)
            for mine in arms["latency"]
            for row in arms[other]
            if row["target_ms"] == mine["target_ms"]
        ]
    found["spvcnn_minus_minkunet"] = {
        what: [
            round(100 * (a[what] - b[what]), 3)
            for a in arms["spvcnn"]
            for b in arms["minkunet"]
            if a["ratio"] == b["ratio"] and a[what] is not None and b[what] is not None
        ]
        for what in ("miou", "small_miou")
    }
    found["unfinished"] = sum(row["curve"]["finished"] is False for row in rows)
    return found


def _best_within(rows: Sequence[dict[str, Any]], ms: float) -> float | None:
    return max((row["miou"] for row in rows if row["p50_ms"] <= ms), default=None)


def _fastest_at(rows: Sequence[dict[str, Any]], miou: float) -> dict[str, Any] | None:
    return min((row for row in rows if row["miou"] >= miou), key=lambda row: row["p50_ms"], default=None)


def bars(seeds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each over all seeds and targets: the mean difference; with five seeds, the end of its interval over seeds."""
    made = []
    for title, path in (
        ("searched minus MinkUNet at its latency", ("searched_minus_uniform_at_its_latency", "minkunet")),
        ("searched minus SPVCNN at its latency", ("searched_minus_uniform_at_its_latency", "spvcnn")),
        ("search under latency minus under MACs", ("latency_minus_macs",)),
        ("evolution minus random search", ("latency_minus_random",)),
        ("SPVCNN minus MinkUNet on small things", ("spvcnn_minus_minkunet", "small_miou")),
    ):
        means = [float(np.mean(values)) for each in seeds if (values := _at(each, path))]
        if len(means) >= 3:
            made.append(_work._bench.above_zero(title, means, "points of mIoU", f"{len(means)} seeds"))
        elif means:
            value = float(np.mean(means))
            one = _work._bench.bar(title, value, "points of mIoU", "> 0", value > 0, f"{len(means)} seed(s)")
            made.append(_work._bench.not_met(one, "fewer than 3 seeds have no interval"))
    return made


def join(arguments: Any) -> int:
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.join]
    result = _work._bench.Result("spvnas_searched_seeds")
    result.settings = {"seeds": [each["settings"]["seed"] for each in documents], "of_first": documents[0]["settings"]}
    result.measurements = {"claims": [each["measurements"]["claims"] for each in documents],
                           "networks": [each["measurements"]["networks"] for each in documents]}  # fmt: skip
    result.bars = bars(result.measurements["claims"])
    return result.finish(arguments)


def _at(found: Any, path: Sequence[str]) -> Any:
    for name in path:
        found = found[name]
    return found


if __name__ == "__main__":
    sys.exit(main())
