"""NAAS's five scenarios: chips searched within a baseline's resources, beside that baseline mapped by the same mapper.

    python experiments/naas/scenarios.py --out experiments/results/naas_scenarios.json

Arms of a scenario and seed have equally many designs and equally many mappings a layer:

    full      which loops run along the array, its sizes, the memories, and the mappings
    sizing    the baseline's loops; sizes and mappings
    random    as `full`, by random search
    one loop  as `full` with NAAS's one loop an axis, where the baseline shares axes (Eyeriss) and `full` may too

Speed-up, energy and EDP are the baseline's over the design's, geometric means over the scenario's networks. The paper's
figures stand beside them; its budgets, its cost model (MAESTRO) and its layers' mappings are not published, so ours are
another measurement and no reproduction: see README.md there.
"""

from __future__ import annotations

import sys
from typing import Any

from _arms import PACKAGES, baseline, judged, ratios, search, shape

import _bench  # isort: skip
from _cases import interval, over_cases, parser, shown

from coevo.spaces.naas import Options
from coevo.spaces.naas.setting import Setting

LARGE, SMALL = ("vgg16", "resnet50", "unet"), ("mobilenet_v2", "squeezenet1_0", "mnasnet_b1")
SCENARIOS: dict[str, tuple[tuple[str, ...], float, float]] = {
    # networks, and the paper's mean speed-up and energy saving (section 3.2)
    "edge_tpu": (LARGE, 2.6, 1.1),
    "nvdla_1024": (LARGE, 2.2, 1.1),
    "eyeriss": (SMALL, 4.4, 2.1),
    "nvdla_256": (SMALL, 1.7, 1.4),
    "shidiannao": (SMALL, 4.4, 4.9),
}
SHARED: dict[str, Any] = {"loops_per_axis": "baseline"}
ARMS: dict[str, tuple[dict[str, Any], str]] = {
    "full": (SHARED, "nsga2"),
    "sizing": ({"connectivity": False}, "nsga2"),
    "random": (SHARED, "random"),
}
ONE_LOOP: dict[str, tuple[dict[str, Any], str]] = {"one loop": ({}, "nsga2")}
MAPPER = "sampling"
TRIALS, SEEDS = 300, 5


def arms_of(scenario: str) -> dict[str, tuple[dict[str, Any], str]]:
    return ARMS | ONE_LOOP if scenario == "eyeriss" else ARMS


def main() -> int:
    options = parser(__doc__, TRIALS, SEEDS)
    options.add_argument("--evaluations", type=int, default=2000, help="mappings judged for each layer")
    options.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    arguments = options.parse_args()
    result = _bench.Result("naas_scenarios", packages=PACKAGES)
    result.settings = {
        "trials": arguments.trials,
        "seeds": arguments.seeds,
        "evaluations": arguments.evaluations,
        "options": Options(mapper=MAPPER).model_dump(mode="json"),
        "paper": {name: {"speedup": speed, "energy": energy} for name, (_, speed, energy) in SCENARIOS.items()},
    }
    cases = [
        (name, seed, arguments.trials, arguments.evaluations)
        for seed in range(arguments.seeds)
        for name in arguments.scenarios
    ]
    rows = over_cases(one_case, arguments, cases, arguments.rows)
    table = []
    for name in arguments.scenarios:
        mine = [row for row in rows if row["scenario"] == name]
        _, speed, energy = SCENARIOS[name]
        found = {
            arm: {what: interval([row[arm]["ratios"][what] for row in mine]) for what in ("speedup", "energy", "edp")}
            for arm in arms_of(name)
        }
        against = {
            f"full over {arm}": interval([row["full"]["ratios"]["edp"] / row[arm]["ratios"]["edp"] for row in mine])
            for arm in arms_of(name)
            if arm != "full"
        }
        minutes = interval([row["full"]["search_s"] / 60 for row in mine])
        result.measurements[name] = {"arms": found, "edp": against, "search_minutes": minutes, "by_seed": mine}
        table.append(
            [name, shown(found["full"]["speedup"]), speed, shown(found["full"]["energy"]), energy,
             shown(found["full"]["edp"]), shown(found["sizing"]["edp"]), shown(found["random"]["edp"])]
        )  # fmt: skip
        result.bars += [
            _bench.above_zero(
                f"{name}: EDP over the baseline mapped alike, less 1",
                [row["full"]["ratios"]["edp"] - 1 for row in mine],
                "1",
            ),
            *(
                _bench.above_zero(
                    f"{name}: EDP of full over {arm}, less 1",
                    [row["full"]["ratios"]["edp"] / row[arm]["ratios"]["edp"] - 1 for row in mine],
                    "1",
                )
                for arm in ("sizing", "random")
            ),
        ]
    if arguments.seeds < SEEDS or arguments.trials < TRIALS:
        result.bars = [_bench.not_met(entry, "fewer seeds or trials than the claim is about") for entry in result.bars]
    head = ("baseline", "speed-up", "paper", "energy", "paper", "EDP", "EDP, sizing alone", "EDP, random search")
    print(_bench.table(head, table))
    return result.finish(arguments)


def one_case(name: str, seed: int, trials: int, evaluations: int) -> dict[str, Any]:
    networks = SCENARIOS[name][0]
    row: dict[str, Any] = {"scenario": name, "seed": seed}
    for arm, (changes, algorithm) in arms_of(name).items():
        setting = Setting.make(
            Options(baseline=name, networks=networks, mapper=MAPPER, mapping_evaluations=evaluations, **changes)
        )
        before = judged(setting, baseline(setting))
        found = search(setting, seed, trials, algorithm)
        after = judged(setting, found.design)
        row[arm] = {
            "ratios": ratios(before, after),
            "metrics": after,
            "design": shape(found.design),
            "distinct_designs": found.distinct,
            "search_s": round(found.wall_s, 1),
        }
        row["baseline"] = before
    print(
        f"{name}, seed {seed}: " + ", ".join(f"{arm} {row[arm]['ratios']['edp']:.2f}" for arm in arms_of(name)),
        flush=True,
    )
    return row


if __name__ == "__main__":
    sys.exit(main())
