"""Does the supernet rank? Kendall's tau between inherited and stand-alone mIoU, beside MACs and parameters alone.

A supernet is trained, at least 12 designs get mIoU with its weights, and each is trained from scratch with one budget.
Half of the designs are uniform draws of the space, half of all sizes; tau is over all and over the uniform draws, where
sizes differ less. Inherited mIoU is that of the scans that judge a search; stand-alone mIoU that of validation scans,
which trained nothing. Intervals are bootstrapped over designs. After every network the document is written, so that a
run that is cut off says what it had; the same command goes on.

    python experiments/spvnas/ranking.py --minutes 8 --out experiments/results/spvnas_ranking.json

`--minutes` measures an update of both kinds and shares the time between them; or say `--supernet-steps` and
`--standalone-steps`. Updates that are settled so are kept in the folder, for the runs that go on.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import _work
from _work import Work, spread_designs, tau_with_interval

OF_SUPERNET = 0.4
"""Share of the time for the supernet; a twentieth is left for judging and compiling."""
BESIDE = 0.6
"""The same where networks are trained beside it: they share the device, not the host."""


def main() -> int:
    options = _work.parser(__doc__)
    options.add_argument("--subnets", type=int, default=12)
    options.add_argument("--minutes", type=float, help="of training in all")
    options.add_argument("--supernet-steps", type=int, default=1500)
    options.add_argument("--standalone-steps", type=int, default=600)
    options.add_argument("--processes", type=int, default=0, help="train networks beside the supernet's training")
    arguments = options.parse_args()
    if arguments.subnets < 4:
        options.error("--subnets: expected at least 4; the claim is about 12 or more")
    began = time.perf_counter()
    work = Work(arguments)
    designs = spread_designs(work.bounds, arguments.subnets, work.seed)
    steps = settle_steps(work, designs, began)
    result = _work._bench.Result("spvnas_ranking", packages=("torch", "triton"))
    result.settings = {
        **{key: str(value) if key in ("folder", "dataset", "out") else value for key, value in vars(arguments).items()},
        "space": work.bounds.id, "data": work.train.source, **steps,
    }  # fmt: skip
    under_way = work.standalone_ahead(
        [(f"subnet-{number}", design, steps["standalone_steps"]) for number, design in enumerate(designs)],
        arguments.processes,
    )
    try:
        inherited = work.supernet(steps["supernet_steps"])
    except BaseException:
        for process in under_way:
            process.terminate()
        raise
    rows: list[dict[str, Any]] = []
    for number, design in enumerate(designs):
        judged = inherited.of(design, work.judging)
        validated = inherited.of(design, work.validating)
        rows.append({
            "design": design.to_json(), **work.costs(design), "inherited": round(judged.miou, 5),
            "inherited_validation": round(validated.miou, 5), "uniform": number < len(designs) - len(designs) // 2,
        })  # fmt: skip
        work.say(f"design {number}: {rows[-1]['gmacs']:.1f} GMACs, inherited {100 * judged.miou:.2f}")
    for process in under_way:
        process.wait()
    for number, (design, row) in enumerate(zip(designs, rows, strict=True)):
        row["standalone"] = work.standalone(f"subnet-{number}", design, steps["standalone_steps"], work.seed)
        done = rows[: number + 1]
        result.measurements = measured(done, work)
        result.bars = bars(result.measurements, len(done))
        result.keep(arguments)
        found = result.measurements.get("all", {}).get("inherited", {}).get("tau")
        alone = row["standalone"]
        work.say(f"design {number}: stand-alone {100 * alone['miou']:.2f} in {alone['seconds']} s, "
                 f"tau so far {found}; {time.perf_counter() - began:.0f} s")  # fmt: skip
    return result.finish(arguments)


def settle_steps(work: Work, designs: list[Any], began: float) -> dict[str, int]:
    """Updates of the supernet and of each network; once settled in a folder they stay."""
    arguments = work.arguments
    if arguments.minutes is None:
        return {"supernet_steps": arguments.supernet_steps, "standalone_steps": arguments.standalone_steps}
    path = arguments.folder / f"steps-{work.seed}.json"
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    sandwich_s, alone_s = work.step_seconds(designs[0])
    share = BESIDE if arguments.processes else OF_SUPERNET
    left = 60 * arguments.minutes - (time.perf_counter() - began)
    supernet = max(20, int(share * left / (0.8 * sandwich_s) / 20) * 20)  # a quarter is of the largest alone
    alone = max(20, int((0.95 - OF_SUPERNET) * left / len(designs) / alone_s / 20) * 20)
    steps = {"supernet_steps": supernet, "standalone_steps": alone}
    work.say(f"an update takes {sandwich_s:.3f} s (sandwich) and {alone_s:.3f} s (stand-alone): {steps}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(steps), encoding="utf-8")
    return steps


def measured(rows: list[dict[str, Any]], work: Work) -> dict[str, Any]:
    found: dict[str, Any] = {"supernet_curve": work.supernet_curve, "designs": rows}
    for name, part in (("all", rows), ("uniform", [row for row in rows if row["uniform"]])):
        if len(part) >= 4:
            truth = [row["standalone"]["miou"] for row in part]
            found[name] = {
                score: tau_with_interval([row[score] for row in part], truth)
                for score in ("inherited", "inherited_validation", "gmacs", "mparams")
            }
    found["unfinished"] = sum(row["standalone"]["curve"]["finished"] is False for row in rows)
    return found


def bars(found: dict[str, Any], designs: int) -> list[dict[str, Any]]:
    if "all" not in found:
        return []
    ours, macs = found["all"]["inherited"], found["all"]["gmacs"]
    if ours["tau"] is None or macs["tau"] is None:
        return []
    note = f"95 % interval [{ours['low']}, {ours['high']}] over {designs} designs; MACs alone {macs['tau']}"
    made = [
        _work._bench.bar("tau of inherited mIoU, lower end", ours["low"], "", "> 0", ours["low"] > 0, note),
        _work._bench.at_least("tau of inherited mIoU over that of MACs", ours["tau"] - macs["tau"], "", 0.0, note),
    ]
    return made if designs >= 12 else [_work._bench.not_met(each, "fewer than 12 designs") for each in made]


if __name__ == "__main__":
    sys.exit(main())
