"""What evolution over arrays costs a candidate, beside ask + tell of a study, and whether it finds more than chance.

    python experiments/bench/nested.py [--out experiments/results/nested.json] [--json] [--quick]

Overhead is CPU time (`time.process_time`), the quickest of several repeats, divided by candidates; the fitness reads
one column. The generic case asks and tells a study without a folder over a space with the same choices. Quality is
measured at equal evaluations, seed by seed: on mappings of matrix multiplications onto a toy accelerator (closed form,
see experiments/nested/accelerator.py), and on a quadratic assignment of 12 facilities with random flows and distances.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _bench
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nested"))

import accelerator
from accelerator import Layer, Slice

from coevo.search.arrays import Choices, Evolved, Orders, Reals, Settings, evolve
from coevo.search.arrays.columns import Group
from coevo.search.pick import Pick
from coevo.search.space import Space
from coevo.search.study import Study

Columns = dict[str, NDArray[Any]]
LAYERS: tuple[Layer, ...] = (
    (196, 192, 192),
    (196, 196, 64),
    (196, 64, 196),
    (196, 768, 192),
    (196, 192, 768),
    (784, 96, 96),
    (49, 384, 1536),
    (1, 1000, 768),
)
PART = Slice(256, 64, 4)
FACILITIES = 12
GENERATIONS = {(1, 64): 400, (1, 256): 100, (1, 1024): 40, (16, 64): 40, (16, 256): 20}


def choices(pick: Pick) -> list[int]:
    return [pick.one(f"x{i}", (0, 1, 2, 3, 4)) for i in range(20)]


def reals(pick: Pick) -> list[float]:
    return [pick.real(f"x{i}", 0.0, 1.0) for i in range(20)]


def mapping(pick: Pick) -> dict[str, Any]:
    high = LAYERS[0]
    return {
        "buffer_tile": [pick.integer(f"buffer_tile{d}", 1, high[d]) for d in range(3)],
        "element_tile": [pick.integer(f"element_tile{d}", 1, high[d]) for d in range(3)],
        "loops": [pick.order(f"loops{nest}", (0, 1, 2)) for nest in range(2)],
    }


def order(pick: Pick) -> tuple[int, ...]:
    return pick.order("x", range(FACILITIES))


KINDS: dict[str, tuple[Callable[[int], list[Group]], str, Callable[[Pick], Any]]] = {
    "20 choices of 5": (lambda problems: [Choices("x", 5, shape=(20,))], "x", choices),
    "20 reals": (lambda problems: [Reals("x", 0.0, 1.0, shape=(20,))], "x", reals),
    "mapping: 6 integers, 2 orders of 3": (
        lambda problems: accelerator.groups_of(LAYERS[:1] * problems),
        "buffer_tile",
        mapping,
    ),
    "order of 12": (lambda problems: [Orders("x", FACILITIES)], "x", order),
}


def array_us(kind: str, problems: int, population: int, repeats: int) -> float:
    """CPU microseconds a candidate."""
    make, name, _ = KINDS[kind]
    generations = GENERATIONS[problems, population]
    best = float("inf")
    for repeat in range(repeats):
        began = time.process_time()
        evolve(
            make(problems),
            lambda columns: columns[name][..., 0],
            seeds=range(repeat, repeat + problems),
            evaluations=population * generations,
            settings=Settings(population=population),
        )
        best = min(best, time.process_time() - began)
    return best / (problems * population * generations) * 1e6


def generic_us(kind: str, trials: int, repeats: int) -> float:
    """CPU microseconds a trial of ask + tell, a record in a private file included."""
    best = float("inf")
    for repeat in range(repeats):
        options = {"population": 256}
        with Study(
            Space("bench/nested/v1", KINDS[kind][2]), objectives={"y": "min"}, seed=repeat, algorithm_options=options
        ) as study:
            began = time.process_time()
            for index in range(trials):
                study.ask()
                study.tell(index, {"y": float(index * 7919 % 1000)})
            best = min(best, time.process_time() - began)
    return best / trials * 1e6


def mapping_fitness(columns: Columns) -> tuple[NDArray[Any], NDArray[Any]]:
    found = accelerator.costs(columns, LAYERS, [PART] * len(LAYERS))
    return np.log2(found["energy_pj"] * found["cycles"]), found["overflow"]


def assignment() -> Callable[[Columns], NDArray[Any]]:
    """Cost of placing facilities: the sum of flow x distance over all pairs; symmetric, from a fixed seed."""
    rng = np.random.default_rng(12)
    flow, distance = (rng.integers(0, 10, size=(FACILITIES, FACILITIES)) for _ in range(2))
    flow, distance = flow + flow.T, distance + distance.T

    def cost(columns: Columns) -> NDArray[Any]:
        place = columns["x"]
        return (flow * distance[place[..., :, None], place[..., None, :]]).sum((-1, -2)).astype(float)

    return cost


def mapped(seed: int, evaluations: int, population: int) -> Evolved:
    seeds = [seed * len(LAYERS) + n for n in range(len(LAYERS))]
    return evolve(
        accelerator.groups_of(LAYERS),
        mapping_fitness,
        seeds=seeds,
        evaluations=evaluations,
        settings=Settings(population=population),
    )


def generic_best(
    space: Space, judge: Callable[[Any], dict[str, float]], seed: int, evaluations: int, **goals: Any
) -> float:
    """The lowest cost that a study finds by regularized evolution with the same evaluations."""
    with Study(
        space,
        judge,
        algorithm="regularized_evolution",
        algorithm_options={"population": 64},
        seed=seed,
        runner="inline",
        lag=0,
        **goals,
    ) as study:
        return float(study.run(trials=evaluations).best().outcome.metrics["cost"])


def one_mapping(value: dict[str, Any]) -> dict[str, float]:
    columns = {name: np.array(each)[None, None] for name, each in value.items()}
    found = accelerator.costs(columns, LAYERS[:1], [PART])
    edp = float(np.log2(found["energy_pj"] * found["cycles"])[0, 0])
    return {"cost": edp, "overflow": float(found["overflow"][0, 0])}


def quality(result: _bench.Result, seeds: int, quick: bool) -> None:
    evaluations, population = 2048, 32
    gains, feasible, beside = [], 0, []
    for seed in range(seeds):
        ours, chance = mapped(seed, evaluations, population), mapped(seed + 1000, evaluations, evaluations)
        feasible += int((ours.violations[:, 0] == 0).all() and (chance.violations[:, 0] == 0).all())
        gains.append(float((chance.costs[:, 0] - ours.costs[:, 0]).mean()))
        if seed < seeds // 2:
            goals = {"objectives": {"cost": "min"}, "constraints": {"overflow": "<= 0"}}
            generic = generic_best(Space("bench/mapping/v1", mapping), one_mapping, seed, evaluations, **goals)
            beside.append(generic - float(ours.costs[0, 0]))
    bar = _bench.above_zero(
        "mapping: log2 of energy x delay, random search minus evolution",
        gains,
        "bit",
        f"{len(LAYERS)} layers side by side, {evaluations} evaluations each, population {population}",
    )
    result.bars.append(
        bar if feasible == seeds and not quick else _bench.not_met(bar, f"feasible in {feasible} of {seeds} seeds")
    )
    result.measurements["mapping"] = {
        "gain_over_random_bit": gains,
        "generic_minus_arrays_bit": beside,
        "generic_minus_arrays_interval": _bench.t_interval(beside),
    }

    cost, evaluations, population = assignment(), 4096, 64
    gains, beside, costs = [], [], []
    for seed in range(seeds):
        found = [
            evolve(
                [Orders("x", FACILITIES)],
                cost,
                seeds=[seed + shift],
                evaluations=evaluations,
                settings=Settings(population=size),
            )
            for shift, size in ((0, population), (1000, evaluations))
        ]
        ours, chance = (float(each.costs[0, 0]) for each in found)
        costs.append(ours)
        gains.append(100.0 * (chance - ours) / chance)
        if seed < seeds // 2:
            judge = lambda value: {"cost": float(cost({"x": np.array(value)[None, None]})[0, 0])}  # noqa: E731
            generic = generic_best(Space("bench/order/v1", order), judge, seed, evaluations, objectives={"cost": "min"})
            beside.append(100.0 * (generic - ours) / generic)
    bar = _bench.above_zero(
        "quadratic assignment of 12: cost below random search's",
        gains,
        "%",
        f"{evaluations} evaluations, population {population}",
    )
    result.bars.append(_bench.not_met(bar, "fewer seeds") if quick else bar)
    result.measurements["assignment"] = {
        "gain_over_random_percent": gains,
        "costs": costs,
        "lowest_found": min(costs),
        "generic_minus_arrays_percent": beside,
        "generic_minus_arrays_interval": _bench.t_interval(beside),
    }


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--quick", action="store_true", help="fewer repeats and seeds; no bar is met")
    arguments = options.parse_args()
    quick = arguments.quick
    repeats, seeds = (2, 4) if quick else (7, 20)
    result = _bench.Result("nested", settings={"repeats": repeats, "seeds": seeds})
    overheads: dict[str, Any] = {}
    for kind in KINDS:
        row = {f"{p} x {n}": round(array_us(kind, p, n, repeats), 3) for p, n in GENERATIONS}
        generic = generic_us(kind, 400 if quick else 2000, min(repeats, 3))
        overheads[kind] = {**row, "ask_tell": round(generic, 2)}
        print(f"{kind:36s} " + "  ".join(f"{name}: {us:7.2f} us" for name, us in overheads[kind].items()), flush=True)
        bars = [
            _bench.at_most(f"{kind}: own time a candidate, 16 problems x 256", row["16 x 256"], "us", 1.5),
            _bench.at_least(f"{kind}: ask + tell over own time at 1 x 256", generic / row["1 x 256"], "x", 20.0),
        ]
        result.bars += [_bench.not_met(bar, "fewer repeats") if quick else bar for bar in bars]
    result.measurements["overhead_us"] = overheads
    quality(result, seeds, quick)
    for name in ("mapping", "assignment"):
        mean, low, high = result.measurements[name]["generic_minus_arrays_interval"]
        print(f"{name}: a study by regularized evolution minus arrays: {mean:.3f} [{low:.3f}, {high:.3f}]")
    print(f"median cost of the assignment {statistics.median(result.measurements['assignment']['costs'])}")
    return result.finish(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
