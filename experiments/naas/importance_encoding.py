"""Is importance encoding worth it (NAAS, figure 9)? Ten seeds, equal budgets.

python experiments/naas/importance_encoding.py --out experiments/results/naas_importance_encoding.json

importance   loops along the array, and orders of a mapping's loops, by real importances: NAAS's
index        both by their number in a list of all: what NAAS compares with
order        loops along the array as an order, which coevo mixes and mutates as such; mappings as in `importance`
random       as `importance`, by random search over chips

The inner search is NAAS's evolution alone: what coevo adds to it (the sampler, the search near the best) would hide how
orders are encoded.
"""

from __future__ import annotations

import sys
from typing import Any

from _arms import PACKAGES, baseline, judged, ratios, search, shape

import _bench  # isort: skip
from _cases import interval, over_seeds, parser, shown

from coevo.spaces.naas import Options
from coevo.spaces.naas.setting import Setting

ARMS: dict[str, tuple[dict[str, Any], str]] = {
    "importance": ({}, "nsga2"),
    "index": ({"encoding": "index", "mapping_encoding": "index"}, "nsga2"),
    "order": ({"encoding": "order"}, "nsga2"),
    "random": ({}, "random"),
}
TRIALS, SEEDS = 150, 10
BASELINE, NETWORK = "nvdla_256", "mobilenet_v2"


def main() -> int:
    options = parser(__doc__, TRIALS, SEEDS)
    options.add_argument("--evaluations", type=int, default=500, help="mappings judged for each layer")
    arguments = options.parse_args()
    result = _bench.Result("naas_importance_encoding", packages=PACKAGES)
    result.settings = {
        "baseline": BASELINE,
        "network": NETWORK,
        "trials": arguments.trials,
        "seeds": arguments.seeds,
        "evaluations": arguments.evaluations,
        "paper": "1.4 to 7.4 times the EDP of index encoding",
    }
    rows = over_seeds(one_seed, arguments, arguments.trials, arguments.evaluations)
    edp = {arm: [row[arm]["ratios"]["edp"] for row in rows] for arm in ARMS}
    result.measurements = {
        "edp_over_baseline": {arm: interval(values) for arm, values in edp.items()},
        "importance_over": {
            arm: interval([a / b for a, b in zip(edp["importance"], edp[arm], strict=True)])
            for arm in ARMS
            if arm != "importance"
        },
        "by_seed": rows,
    }
    result.bars = [
        _bench.above_zero(
            f"EDP of importance over {arm}, less 1",
            [a / b - 1 for a, b in zip(edp["importance"], edp[arm], strict=True)],
            "1",
        )
        for arm in ("index", "random")
    ]
    if arguments.seeds < SEEDS or arguments.trials < TRIALS:
        result.bars = [_bench.not_met(entry, "fewer seeds or trials than the claim is about") for entry in result.bars]
    for part in ("edp_over_baseline", "importance_over"):
        print(
            _bench.table(
                (part, "mean and 95 % interval"), [(k, shown(v)) for k, v in result.measurements[part].items()]
            )
        )
    return result.finish(arguments)


def one_seed(seed: int, trials: int, evaluations: int) -> dict[str, Any]:
    row: dict[str, Any] = {"seed": seed}
    for arm, (changes, algorithm) in ARMS.items():
        setting = Setting.make(
            Options(baseline=BASELINE, networks=(NETWORK,), mapper="naas", mapping_evaluations=evaluations, **changes)
        )
        plain = Setting.make(
            Options(baseline=BASELINE, networks=(NETWORK,), mapper="naas", mapping_evaluations=evaluations)
        )
        found = search(setting, seed, trials, algorithm)
        row[arm] = {  # judged alike, whatever encoded the search's own mappings
            "ratios": ratios(judged(plain, baseline(plain)), judged(plain, found.design)),
            "design": shape(found.design),
            "distinct_designs": found.distinct,
            "search_s": round(found.wall_s, 1),
        }
    print(f"seed {seed}: " + ", ".join(f"{arm} {row[arm]['ratios']['edp']:.2f}" for arm in ARMS), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
