"""Are the algorithms what their names say, and which one when? Beside the `cmaes` library, pymoo, and each other.

    python experiments/bench/algorithms.py [--out experiments/results/algorithms.json] [--json] [--seeds N] [--quick]
    python experiments/bench/algorithms.py --tables experiments/results/algorithms.json

CMA-ES: sphere, Rosenbrock, ellipsoid, Rastrigin and Ackley on [-5, 5]^10, minima at a random place a seed. Both sides
are CMA-ES with a population of 10, begun at the middle with a step of a quarter of the range, without restarts; the
library alone keeps one random state for the whole run, ours is seeded anew at every ask. The figure is the shift of
log10 of the best value, ours against the library's (Hodges and Lehmann's estimate). "Equal within the seeds' spread"
means that its interval, that of the rank-sum test, holds zero. There are five functions, so each interval has 99 %,
and all five hold zero with 95 % where nothing differs.

NSGA-III: DTLZ1, 2 and 3 with three objectives, the numbers of variables, generations (400, 250, 1000), directions (12
partitions) and the population (92) of Deb and Jain 2014, table I. The bar is the ratio of the mean hypervolumes of the
last populations under 1.1 times the nadir point; IGD to the points of the true front on the directions, as in the
paper, stands beside it without a bar, and so does ours with the lag of 15 that a parallel search has (half the seeds).

Which one when: every algorithm with its defaults and a lag of 15 on problems of several kinds, equal trials; means and
95 % t-intervals. `--tables` prints them as they stand in docs/algorithms.md.

Hypervolumes come from pymoo's indicator for everyone. Bars on fewer seeds or shorter runs count as not met.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _bench
import _nas_space
import _test_functions as functions
import numpy as np

SEEDS = 10
DIMENSIONS = 10
WIDTH = 10.0  # of the range -5..5
CMA: dict[str, tuple[Callable[[Sequence[float]], float], int]] = {  # function, evaluations
    "sphere": (functions.sphere, 1_200),
    "rosenbrock": (functions.rosenbrock, 4_000),
    "ellipsoid": (functions.ellipsoid, 3_000),
    "rastrigin": (functions.rastrigin, 3_000),
    "ackley": (functions.ackley, 1_500),
}
CMA_POPULATION, CMA_SIGMA = 10, 0.25
DTLZ: dict[str, tuple[Callable[[Sequence[float]], tuple[float, ...]], int, int, float]] = {
    "dtlz1": (functions.dtlz1, 7, 400, 0.5),  # function, variables, generations, nadir
    "dtlz2": (functions.dtlz2, 12, 250, 1.0),
    "dtlz3": (functions.dtlz3, 12, 1000, 1.0),
}
NSGA3_POPULATION, PARTITIONS = 92, 12


# --- CMA-ES -----------------------------------------------------------------------------------------------------------


def cma_ours(name: str, seed: int, evaluations: int) -> dict[str, float]:
    from coevo.search import Space, Study

    cost = functions.shifted(CMA[name][0], DIMENSIONS, seed)
    names = [f"x{i}" for i in range(DIMENSIONS)]
    space = Space(f"bench/{name}/v1", lambda pick: [pick.real(each, -WIDTH / 2, WIDTH / 2) for each in names])
    options = {"population": CMA_POPULATION, "sigma": CMA_SIGMA, "restarts": "none"}
    best = math.inf
    with Study(space, objectives={"y": "min"}, algorithm="cmaes", algorithm_options=options, seed=seed) as study:
        for _ in range(evaluations):
            asked = study.ask()
            value = cost(asked.value)
            best = min(best, value)
            study.tell(asked.index, {"y": value})
    return {"best": best}


def cma_alone(name: str, seed: int, evaluations: int) -> dict[str, float]:
    import cmaes

    cost = functions.shifted(CMA[name][0], DIMENSIONS, seed)
    alone = cmaes.CMA(
        mean=np.zeros(DIMENSIONS),
        sigma=CMA_SIGMA * WIDTH,
        bounds=np.tile([-WIDTH / 2, WIDTH / 2], (DIMENSIONS, 1)),
        population_size=CMA_POPULATION,
        seed=seed,
    )
    best = math.inf
    for _ in range(evaluations // CMA_POPULATION):
        told = []
        for _ in range(CMA_POPULATION):
            x = alone.ask()
            told.append((x, cost(x.tolist())))
        best = min(best, *(value for _, value in told))
        alone.tell(told)
    return {"best": best}


def shift_interval(ours: Sequence[float], theirs: Sequence[float], level: float = 0.99) -> tuple[float, float, float]:
    """Hodges and Lehmann's estimate of how far `ours` lies above `theirs`, and its interval: the ordered pairwise
    differences between the rank-sum test's critical places (normal approximation)."""
    differences = sorted(a - b for a in ours for b in theirs)
    n, m = len(ours), len(theirs)
    quantile = statistics.NormalDist().inv_cdf(0.5 + level / 2)
    place = math.floor(n * m / 2 - quantile * math.sqrt(n * m * (n + m + 1) / 12))
    if place < 1:
        return statistics.median(differences), -math.inf, math.inf
    return statistics.median(differences), differences[place - 1], differences[-place]


# --- NSGA-III ---------------------------------------------------------------------------------------------------------


def nsga3_ours(name: str, lag: int, seed: int, evaluations: int) -> dict[str, float]:
    from coevo.search import Space, Study

    cost, variables, _, _ = DTLZ[name]
    metrics = ["f0", "f1", "f2"]
    names = [f"x{i}" for i in range(variables)]
    space = Space(f"bench/{name}/v1", lambda pick: [pick.real(each, 0.0, 1.0) for each in names])
    settings = {"population": NSGA3_POPULATION, "partitions": PARTITIONS}
    objectives = dict.fromkeys(metrics, "min")
    with Study(
        space, objectives=objectives, algorithm="nsga3", algorithm_options=settings, seed=seed, lag=lag
    ) as study:
        for _ in range(evaluations):
            asked = study.ask()
            study.tell(asked.index, dict(zip(metrics, cost(asked.value), strict=True)))
        last = [trial.score.costs for trial in study.algorithm.members]
    return front_measures(name, np.array(last))


def nsga3_pymoo(name: str, lag: int, seed: int, evaluations: int) -> dict[str, float]:
    from pymoo.algorithms.moo.nsga3 import NSGA3
    from pymoo.core.problem import Problem
    from pymoo.optimize import minimize
    from pymoo.util.ref_dirs import get_reference_directions

    cost, variables, _, _ = DTLZ[name]

    class Vectors(Problem):  # type: ignore[misc]
        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = np.array([cost(row) for row in x.tolist()])

    lines = get_reference_directions("das-dennis", 3, n_partitions=PARTITIONS)
    algorithm = NSGA3(
        pop_size=NSGA3_POPULATION, ref_dirs=lines
    )  # SBX (30, 1.0), polynomial mutation (20), as in the paper
    problem = Vectors(n_var=variables, n_obj=3, xl=0.0, xu=1.0)
    found = minimize(problem, algorithm, ("n_eval", evaluations), seed=seed)
    return front_measures(name, found.pop.get("F"))


def front_measures(name: str, costs: Any) -> dict[str, float]:
    from pymoo.indicators.igd import IGD
    from pymoo.util.ref_dirs import get_reference_directions

    lines = get_reference_directions("das-dennis", 3, n_partitions=PARTITIONS)
    front = lines * 0.5 if name == "dtlz1" else lines / np.linalg.norm(lines, axis=1, keepdims=True)
    return {"hypervolume": hypervolume(costs, [1.1 * DTLZ[name][3]] * 3), "igd": float(IGD(front)(costs))}


def hypervolume(costs: Any, reference: Sequence[float]) -> float:
    from pymoo.indicators.hv import HV

    return float(HV(ref_point=np.asarray(reference))(np.asarray(costs, dtype=float)))


# --- which one when ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of problem. `figure` makes one number of all metrics that were found; `better`: "higher" or "lower"."""

    title: str
    build: Callable[[Any], Any]
    judge: Callable[[Any], dict[str, float]]
    objectives: dict[str, str]
    trials: int
    measure: str
    better: str
    figure: Callable[[list[dict[str, float]]], float]


def _log_best(found: list[dict[str, float]]) -> float:
    return math.log10(max(min(metrics["y"] for metrics in found), 1e-12))


def _best(found: list[dict[str, float]]) -> float:
    return min(metrics["y"] for metrics in found)


def _reals(pick: Any) -> list[float]:
    return [pick.real(f"x{i}", -5.0, 5.0) for i in range(DIMENSIONS)]


_TURN = np.linalg.qr(np.random.RandomState(7).randn(DIMENSIONS, DIMENSIONS))[0]
_PLACE = np.random.RandomState(8).uniform(-3.0, 3.0, DIMENSIONS)


def turned_ellipsoid(x: Sequence[float]) -> dict[str, float]:
    return {"y": functions.ellipsoid((_TURN @ (np.array(x) - _PLACE)).tolist())}


def shifted_rastrigin(x: Sequence[float]) -> dict[str, float]:
    return {"y": functions.rastrigin((np.array(x) - _PLACE).tolist())}


def build_training(pick: Any) -> dict[str, Any]:
    """Settings of a training: mixed and conditional, as hyper-parameters are."""
    optimizer = pick.one("optimizer", ("sgd", "adam", "lion"))
    layers = pick.integer("layers", 1, 6)
    return {
        "optimizer": optimizer,
        "rate": pick.real("rate", 1e-6, 1.0, log=True),
        "momentum": pick.real("momentum", 0.0, 1.0) if optimizer == "sgd" else None,
        "decay": pick.real("decay", 1e-6, 1e-1, log=True),
        "batch": pick.integer("batch", 1, 64),
        "widths": [pick.integer(f"width{i}", 8, 512, 8) for i in range(layers)],
        "norm": pick.one("norm", ("none", "batch", "layer")),
        "dropout": pick.real("dropout", 0.0, 0.9),
    }


def judge_training(t: dict[str, Any]) -> dict[str, float]:
    """A made-up loss with one valley an optimizer, interactions, and a best depth."""
    at, base = {"sgd": (-1.0, 0.0), "adam": (-3.0, 0.15), "lion": (-4.0, 0.3)}[t["optimizer"]]
    rate = math.log10(t["rate"]) - at - 0.4 * math.log2(t["batch"] / 16.0) * math.log10(2.0)
    loss = base + 0.5 * rate**2 + 0.1 * (math.log10(t["decay"]) + 3.5) ** 2 + (t["dropout"] - 0.2) ** 2
    if t["momentum"] is not None:
        loss += 2.0 * (t["momentum"] - 0.9) ** 2
    loss += {"none": 0.4, "batch": 0.0 if t["batch"] >= 12 else 0.3, "layer": 0.1}[t["norm"]]
    for i, width in enumerate(t["widths"]):
        loss += 0.05 * (math.log2(width / 256.0) + 0.5 * i) ** 2
    loss += 0.08 * (len(t["widths"]) - 4) ** 2 + 0.02 * abs(math.log2(t["batch"] / 24.0))
    return {"y": loss}


def _assignment() -> tuple[list[list[int]], list[list[int]]]:
    """Distances on a 4 x 4 grid of places, and sparse flows between 16 things: a quadratic assignment problem."""
    rng = random.Random(16)
    distances = [[abs(a // 4 - b // 4) + abs(a % 4 - b % 4) for b in range(16)] for a in range(16)]
    flows = [[rng.randrange(1, 10) if a < b and rng.random() < 0.3 else 0 for b in range(16)] for a in range(16)]
    return distances, flows


_DISTANCES, _FLOWS = _assignment()


def judge_order(order: Sequence[int]) -> dict[str, float]:
    """Flow times distance over all pairs, as SWAPs of a qubit layout would be counted."""
    return {"y": float(sum(_FLOWS[a][b] * _DISTANCES[order[a]][order[b]] for a in range(16) for b in range(a + 1, 16)))}


def _nas_front(found: list[dict[str, float]]) -> float:
    costs = [(-m["accuracy"], math.log(m["latency_ms"]), math.log(m["energy_mj"])) for m in found]
    return hypervolume(costs, (-50.0, math.log(40.0), math.log(1000.0)))


def judge_many(x: Sequence[float]) -> dict[str, float]:
    return {f"f{i}": cost for i, cost in enumerate(functions.dtlz2(x, 5))}


def _many_front(found: list[dict[str, float]]) -> float:
    return hypervolume([[metrics[f"f{i}"] for i in range(5)] for metrics in found], [1.1] * 5)


KINDS = {
    "architecture": Kind(
        "architectures, conditional",
        _nas_space.build,
        _nas_space.judge,
        {"reward": "max"},
        1000,
        "best reward",
        "higher",
        lambda found: max(metrics["reward"] for metrics in found),
    ),
    "reals": Kind(
        "10 real numbers, one turned valley",
        _reals,
        turned_ellipsoid,
        {"y": "min"},
        2000,
        "log10 of the best",
        "lower",
        _log_best,
    ),
    "waves": Kind(
        "10 real numbers, many valleys",
        _reals,
        shifted_rastrigin,
        {"y": "min"},
        2000,
        "log10 of the best",
        "lower",
        _log_best,
    ),
    "mixed": Kind(
        "settings of a training: mixed, conditional",
        build_training,
        judge_training,
        {"y": "min"},
        500,
        "best loss",
        "lower",
        _best,
    ),
    "order": Kind(
        "an order of 16",
        lambda pick: pick.order("order", range(16)),
        judge_order,
        {"y": "min"},
        1000,
        "best cost",
        "lower",
        _best,
    ),
    "front": Kind(
        "architectures, three objectives",
        _nas_space.build,
        _nas_space.judge,
        {"accuracy": "max", "latency_ms": "min", "energy_mj": "min"},
        1000,
        "hypervolume",
        "higher",
        _nas_front,
    ),
    "many": Kind(
        "14 real numbers, five objectives",
        lambda pick: [pick.real(f"x{i}", 0.0, 1.0) for i in range(14)],
        judge_many,
        {f"f{i}": "min" for i in range(5)},
        3000,
        "hypervolume",
        "higher",
        _many_front,
    ),
}
SINGLE = ("random", "local_search", "regularized_evolution", "nsga2", "cmaes")
SEVERAL = ("random", "local_search", "regularized_evolution", "nsga2", "nsga3")


def contenders(name: str) -> tuple[str, ...]:
    """The algorithms that this kind of problem can be given to."""
    if len(KINDS[name].objectives) > 1:
        return SEVERAL
    return SINGLE if name in {"reals", "waves", "mixed", "architecture"} else SINGLE[:-1]


def which(name: str, algorithm: str, seed: int, trials: int) -> dict[str, float]:
    from coevo.search import Space, Study

    kind = KINDS[name]
    found = []
    space = Space(f"bench/{name}/v1", kind.build)
    with Study(space, objectives=kind.objectives, algorithm=algorithm, seed=seed, lag=15) as study:
        for _ in range(trials):
            asked = study.ask()
            metrics = kind.judge(asked.value)
            found.append(metrics)
            study.tell(asked.index, {metric: metrics[metric] for metric in kind.objectives})
    return {"figure": kind.figure(found)}


# --- all jobs ---------------------------------------------------------------------------------------------------------

Job = tuple[str, str, str, int, int]  # part, problem, side or algorithm, seed, evaluations
LAGS = {"ours": 0, "ours, lag 15": 15}


def run(job: Job) -> tuple[Job, dict[str, float], float]:
    part, name, side, seed, evaluations = job
    started = time.process_time()
    if part == "cmaes":
        value = (cma_ours if side == "ours" else cma_alone)(name, seed, evaluations)
    elif part == "nsga3":
        value = (nsga3_ours if side in LAGS else nsga3_pymoo)(name, LAGS.get(side, 0), seed, evaluations)
    else:
        value = which(name, side, seed, evaluations)
    return job, value, time.process_time() - started


def jobs(seeds: int, shorter: int) -> list[Job]:
    found: list[Job] = []
    for seed in range(seeds):
        for name, (_, evaluations) in CMA.items():
            found += [("cmaes", name, side, seed, evaluations // shorter) for side in ("ours", "library alone")]
        for name, (_, _, generations, _) in DTLZ.items():
            sides = ["ours", "pymoo"] + (["ours, lag 15"] if seed < SEEDS // 2 else [])
            found += [("nsga3", name, side, seed, NSGA3_POPULATION * generations // shorter) for side in sides]
        for name, kind in KINDS.items():
            found += [("which", name, which, seed, kind.trials // shorter) for which in contenders(name)]
    return sorted(found, key=lambda job: -job[4])


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--quick", action="store_true", help="a tenth of the evaluations: no bar is met then")
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--tables", type=Path, metavar="FILE", help="print the tables of a result and measure nothing")
    arguments = options.parse_args()
    if arguments.tables is not None:
        print(tables(json.loads(arguments.tables.read_text(encoding="utf-8"))))
        return 0
    result = _bench.Result("algorithms", packages=("cmaes", "pymoo", "moocore"))
    result.settings = {
        "seeds": arguments.seeds,
        "quick": arguments.quick,
        "cmaes": {"population": CMA_POPULATION, "sigma": CMA_SIGMA, "restarts": "none", "dimensions": DIMENSIONS},
        "nsga3": {"population": NSGA3_POPULATION, "partitions": PARTITIONS, "lags": LAGS},
        "evaluations": {name: evaluations for name, (_, evaluations) in CMA.items()}
        | {name: NSGA3_POPULATION * generations for name, (_, _, generations, _) in DTLZ.items()}
        | {name: kind.trials for name, kind in KINDS.items()},
    }
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before the processes start: their matrices are tiny
    values: dict[tuple[str, str, str], dict[int, dict[str, float]]] = {}
    cpu: dict[str, float] = {}
    todo = jobs(arguments.seeds, 10 if arguments.quick else 1)
    with ProcessPoolExecutor(arguments.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done, ((part, name, side, seed, _), value, seconds) in enumerate(pool.map(run, todo), 1):
            if done % 50 == 0 or done == len(todo):
                print(f"{done} of {len(todo)} runs", flush=True)
            values.setdefault((part, name, side), {})[seed] = value
            cpu[f"{part}, {side}"] = cpu.get(f"{part}, {side}", 0.0) + seconds
    by_seed = {key: [found[seed] for seed in sorted(found)] for key, found in values.items()}
    result.measurements["cpu_s"] = {side: round(seconds, 1) for side, seconds in sorted(cpu.items())}
    for part in (cma_part, nsga3_part):
        name, rows, bars = part(by_seed)
        result.measurements[name] = rows
        result.bars += bars
    result.measurements["which"] = which_part(by_seed)
    why = "a tenth of the evaluations" if arguments.quick else "fewer seeds than the bar asks for"
    if arguments.quick or arguments.seeds < SEEDS:
        result.bars = [_bench.not_met(entry, why) for entry in result.bars]
    print(tables({"measurements": result.measurements}))
    return result.finish(arguments)


Values = dict[tuple[str, str, str], list[dict[str, float]]]
Rows = list[dict[str, Any]]


def cma_part(values: Values) -> tuple[str, Rows, Rows]:
    rows, bars = [], []
    for name in CMA:
        logs = {
            side: [math.log10(max(found["best"], 1e-300)) for found in values["cmaes", name, side]]
            for side in ("ours", "library alone")
        }
        shift, low, high = shift_interval(logs["ours"], logs["library alone"])
        medians = {side: statistics.median(found) for side, found in logs.items()}
        rows.append({"function": name, "log10_best": logs, "medians": medians, "shift": shift, "interval": [low, high]})
        finite = math.isfinite(low) and math.isfinite(high)
        note = f"medians {medians['ours']:.2f} and {medians['library alone']:.2f}; interval [{low:.3g}, {high:.3g}]"
        if not finite:
            rows[-1]["interval"] = None
        bars.append(
            _bench.bar(
                f"cmaes on {name}: shift of log10 of the best against the library alone",
                shift,
                "decades",
                "the 99 % interval of the shift holds 0",
                finite and low <= 0.0 <= high,
                note,
            )
        )
    return "cmaes", rows, bars


def nsga3_part(values: Values) -> tuple[str, Rows, Rows]:
    rows, bars = [], []
    for name in DTLZ:
        theirs = values["nsga3", name, "pymoo"]
        for side in LAGS:
            ours = values["nsga3", name, side]
            row: dict[str, Any] = {"problem": name, "side": side}
            for measure in ("hypervolume", "igd"):
                mine, other = ([found[measure] for found in them] for them in (ours, theirs[: len(ours)]))
                better, worse = (mine, other) if measure == "hypervolume" else (other, mine)
                below = statistics.fmean(worse)
                row[measure] = {"ours": mine, "pymoo": other}
                row[f"{measure}_ratio"] = statistics.fmean(better) / below if below > 0 else None
            rows.append(row)
            if side == "ours":
                note = f"IGD, pymoo's over ours: {row['igd_ratio']:.3g}"
                ratio = row["hypervolume_ratio"]
                bars.append(_bench.at_least(f"nsga3 on {name}: hypervolume over pymoo's", ratio, "", 0.98, note))
    return "nsga3", rows, bars


def which_part(values: Values) -> Rows:
    rows = []
    for name, kind in KINDS.items():
        for algorithm in contenders(name):
            found = [value["figure"] for value in values["which", name, algorithm]]
            mean, low, high = _bench.t_interval(found)
            row = {"kind": name, "title": kind.title, "trials": kind.trials, "measure": kind.measure}
            row |= {"better": kind.better, "algorithm": algorithm, "mean": mean, "values": found}
            row["interval"] = [low, high] if len(found) > 1 else None
            rows.append(row)
    return rows


def tables(document: dict[str, Any]) -> str:
    """The tables of docs/algorithms.md, in Markdown. Bold: the best mean, and those whose interval meets the best's."""
    measured = document["measurements"]
    names = list(dict.fromkeys(row["algorithm"] for row in measured["which"]))
    lines = ["| problem | trials | figure | " + " | ".join(f"`{name}`" for name in names) + " |"]
    lines.append("|---|---|---|" + "---|" * len(names))
    for kind in dict.fromkeys(row["kind"] for row in measured["which"]):
        rows = {row["algorithm"]: row for row in measured["which"] if row["kind"] == kind}
        first = next(iter(rows.values()))
        sign = 1.0 if first["better"] == "higher" else -1.0
        best = max(rows.values(), key=lambda row, sign=sign: sign * row["mean"])
        cells = [_cell(rows.get(name), best) for name in names]
        arrow = f"{first['measure']} ({first['better']} is better)"
        lines.append(f"| {first['title']} | {first['trials']:,} | {arrow} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| function | evaluations | median, ours | median, library alone | shift, 99 % interval |",
        "|---|---|---|---|---|",
    ]
    for row in measured["cmaes"]:
        medians = row["medians"]
        low, high = row["interval"] or (math.nan, math.nan)
        shift = f"{row['shift']:+.2f} [{low:+.2f}, {high:+.2f}]"
        name = row["function"]
        lines.append(
            f"| {name} | {CMA[name][1]:,} | {medians['ours']:.2f} | {medians['library alone']:.2f} | {shift} |"
        )
    lines += ["", "| problem | lag | hypervolume, ours over pymoo's | IGD, pymoo's over ours |", "|---|---|---|---|"]
    for row in measured["nsga3"]:
        ratios = (f"{row[f'{measure}_ratio'] or math.nan:.3f}" for measure in ("hypervolume", "igd"))
        lines.append(f"| {row['problem']} | {LAGS[row['side']]} | " + " | ".join(ratios) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any] | None, best: dict[str, Any]) -> str:
    if row is None:
        return "-"
    mean, (low, high) = row["mean"], row["interval"] or (math.nan, math.nan)
    digits = 0 if abs(mean) >= 100 else 2 if abs(mean) >= 1 else 3
    text = f"{mean:.{digits}f} ± {(high - low) / 2:.{digits}f}"
    other = best["interval"] or (math.nan, math.nan)
    return f"**{text}**" if row is best or (low <= other[1] and other[0] <= high) else text


if __name__ == "__main__":
    sys.exit(main())
