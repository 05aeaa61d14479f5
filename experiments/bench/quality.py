"""Does the search find what it should? Beside pymoo on textbook problems, beside random search on a conditional space.

    python experiments/bench/quality.py [--out experiments/results/quality.json] [--json] [--seeds N] [--quick]

Textbook: ZDT1, ZDT2 and ZDT3 (30 reals, 10,000 evaluations) and DTLZ2 with three objectives (12 reals, 20,000), both
sides NSGA-II with a population of 100, SBX (eta 15, probability 0.9) and polynomial mutation (eta 20, 1/n a variable).
The figure is the hypervolume of the last population under a fixed reference point, ours over pymoo's, as a ratio of
means over the seeds. The textbook's algorithm knows every outcome before it asks, so the bar's run has a lag of 0.
Beside it, without a bar, stand the same operators with the lag of 15 that a parallel search has (a child may not learn
from the 15 trials before it) and, with that lag, our default operators: what users get. Those two take half the seeds.

Conditional: the space of `_nas_space.py`, 1,000 evaluations each. NSGA-II on (accuracy, latency, energy) against
random search by the hypervolume of everything that was evaluated; regularized evolution on the one reward against
random search by the best found. The bar is the 95 % t-interval of the paired differences over the seeds.

Hypervolumes come from pymoo's indicator for everyone. Bars on fewer seeds or shorter runs count as not met.
"""

from __future__ import annotations

import math
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import _bench
import _nas_space
import numpy as np

POPULATION = 100
SEEDS = 10
UNBARRED_SEEDS = 5  # of what stands beside the bars
NAS_EVALUATIONS = 1_000
NAS_OBJECTIVES = {"accuracy": "max", "latency_ms": "min", "energy_mj": "min"}
NAS_REFERENCE = (-50.0, math.log(40.0), math.log(1000.0))  # of (-accuracy, log latency_ms, log energy_mj)
BARRED = "textbook operators, lag 0"
OURS: dict[str, tuple[dict[str, Any], int]] = {  # options and lag
    BARRED: ({"population": POPULATION, "real_crossover": "sbx"}, 0),
    "textbook operators, lag 15": ({"population": POPULATION, "real_crossover": "sbx"}, 15),
    "default operators, lag 15": ({"population": POPULATION}, 15),
}


@dataclass(frozen=True)
class Textbook:
    """A test problem on [0, 1]^variables: `costs` maps one vector to its minimised objectives."""

    variables: int
    objectives: int
    evaluations: int
    reference: tuple[float, ...]
    costs: Callable[[Sequence[float]], tuple[float, ...]]


def zdt(shape: Callable[[float, float], float]) -> Callable[[Sequence[float]], tuple[float, ...]]:
    """Zitzler, Deb and Thiele 2000, section 3: f1 = x1, f2 = g h(f1, g), g = 1 + 9 mean(x2..xn)."""

    def costs(x: Sequence[float]) -> tuple[float, ...]:
        g = 1.0 + 9.0 * sum(x[1:]) / (len(x) - 1)
        return x[0], g * shape(x[0], g)

    return costs


def dtlz2(x: Sequence[float]) -> tuple[float, ...]:
    """Deb, Thiele, Laumanns and Zitzler 2002, section 6.2, with three objectives: a sphere's positive octant."""
    g = 1.0 + sum((value - 0.5) ** 2 for value in x[2:])
    a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
    return g * math.cos(a) * math.cos(b), g * math.cos(a) * math.sin(b), g * math.sin(a)


TEXTBOOK = {
    "zdt1": Textbook(30, 2, 10_000, (1.1, 1.1), zdt(lambda f, g: 1 - math.sqrt(f / g))),
    "zdt2": Textbook(30, 2, 10_000, (1.1, 1.1), zdt(lambda f, g: 1 - (f / g) ** 2)),
    "zdt3": Textbook(
        30, 2, 10_000, (1.1, 1.1), zdt(lambda f, g: 1 - math.sqrt(f / g) - f / g * math.sin(10 * math.pi * f))
    ),
    "dtlz2": Textbook(12, 3, 20_000, (1.1, 1.1, 1.1), dtlz2),
}


def hypervolume(costs: Any, reference: Sequence[float]) -> float:
    from pymoo.indicators.hv import HV

    return float(HV(ref_point=np.asarray(reference))(np.asarray(costs, dtype=float)))


def study(space: Any, objectives: dict[str, str], algorithm: str, options: dict[str, Any], seed: int, lag: int) -> Any:
    from coevo.search import Study

    settings = {"algorithm": algorithm, "algorithm_options": options, "seed": seed, "lag": lag}
    return Study(space, objectives=objectives, runner="inline", **settings)


# --- one run a job: (hypervolume or best reward, CPU seconds) ---------------------------------------------------------


def textbook_ours(name: str, operators: str, seed: int, evaluations: int) -> float:
    from coevo.search import Space

    problem = TEXTBOOK[name]
    options, lag = OURS[operators]
    names = [f"x{i}" for i in range(problem.variables)]
    metrics = [f"f{i}" for i in range(problem.objectives)]
    space = Space(f"bench/{name}/v1", lambda pick: [pick.real(variable, 0.0, 1.0) for variable in names])
    running = study(space, dict.fromkeys(metrics, "min"), "nsga2", options, seed, lag)
    for _ in range(evaluations):
        asked = running.ask()
        running.tell(asked.index, dict(zip(metrics, problem.costs(asked.value), strict=True)))
    last = [[trial.outcome.metrics[metric] for metric in metrics] for trial in running.algorithm.members]
    running.close()
    return hypervolume(last, problem.reference)


def textbook_pymoo(name: str, operators: str, seed: int, evaluations: int) -> float:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.optimize import minimize

    textbook = TEXTBOOK[name]

    class Vectors(Problem):  # type: ignore[misc]
        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = np.array([textbook.costs(row) for row in x.tolist()])

    algorithm = NSGA2(pop_size=POPULATION, crossover=SBX(eta=15, prob=0.9), mutation=PM(eta=20, prob=1.0))
    problem = Vectors(n_var=textbook.variables, n_obj=textbook.objectives, xl=0.0, xu=1.0)
    found = minimize(problem, algorithm, ("n_eval", evaluations), seed=seed)
    return hypervolume(found.pop.get("F"), textbook.reference)


def nas(name: str, algorithm: str, seed: int, evaluations: int) -> float:
    """`name` is "front" (hypervolume of all that was evaluated) or "reward" (the best one)."""
    from coevo.search import Space

    objectives = NAS_OBJECTIVES if name == "front" else {"reward": "max"}
    options = {"population": POPULATION} if algorithm == "nsga2" else {}
    running = study(Space("bench/nas/v1", _nas_space.build), objectives, algorithm, options, seed, lag=15)
    found = []
    for _ in range(evaluations):
        asked = running.ask()
        metrics = _nas_space.judge(asked.value)
        running.tell(asked.index, {metric: metrics[metric] for metric in objectives})
        found.append(metrics)
    running.close()
    if name == "reward":
        return max(metrics["reward"] for metrics in found)
    costs = [(-m["accuracy"], math.log(m["latency_ms"]), math.log(m["energy_mj"])) for m in found]
    return hypervolume(costs, NAS_REFERENCE)


JOBS: dict[str, Callable[[str, str, int, int], float]] = {"ours": textbook_ours, "pymoo": textbook_pymoo, "nas": nas}
Job = tuple[str, str, str, int, int]


def run(job: Job) -> tuple[Job, float, float]:
    started = time.process_time()
    value = JOBS[job[0]](*job[1:])
    return job, value, time.process_time() - started


# --- all jobs ---------------------------------------------------------------------------------------------------------


def jobs(seeds: int, nas_seeds: int, shorter: int) -> list[Job]:
    found: list[Job] = []
    for seed in range(seeds):
        for name, problem in TEXTBOOK.items():
            evaluations = problem.evaluations // shorter
            kinds = [operators for operators in OURS if operators == BARRED or seed < UNBARRED_SEEDS]
            found += [("ours", name, operators, seed, evaluations) for operators in kinds]
            found.append(("pymoo", name, BARRED, seed, evaluations))
    for seed in range(nas_seeds):
        for name, algorithm in (("front", "nsga2"), ("reward", "regularized_evolution")):
            found += [("nas", name, which, seed, NAS_EVALUATIONS // shorter) for which in (algorithm, "random")]
    return sorted(found, key=lambda job: -job[4])


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument(
        "--seeds", type=int, default=SEEDS, help=f"textbook seeds ({SEEDS}); the space gets twice that"
    )
    options.add_argument("--quick", action="store_true", help="a tenth of the evaluations: no bar is met then")
    options.add_argument("--processes", type=int, default=2)
    arguments = options.parse_args()
    result = _bench.Result("quality", packages=("pymoo", "moocore"))
    nas_seeds = 2 * arguments.seeds
    result.settings = {
        "population": POPULATION,
        "seeds": arguments.seeds,
        "nas_seeds": nas_seeds,
        "quick": arguments.quick,
        "ours": {name: {**options, "lag": lag} for name, (options, lag) in OURS.items()},
        "reference_points": {name: problem.reference for name, problem in TEXTBOOK.items()},
        "evaluations": {name: problem.evaluations for name, problem in TEXTBOOK.items()} | {"nas": NAS_EVALUATIONS},
    }
    values: dict[tuple[str, str, str], dict[int, float]] = {}
    cpu: dict[str, float] = {}
    todo = jobs(arguments.seeds, nas_seeds, 10 if arguments.quick else 1)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, mp_context=spawn) as pool:
        for done, ((side, name, which, seed, _), value, seconds) in enumerate(pool.map(run, todo), 1):
            if done % 20 == 0 or done == len(todo):
                print(f"{done} of {len(todo)} runs", flush=True)
            values.setdefault((side, name, which), {})[seed] = value
            cpu[side] = cpu.get(side, 0.0) + seconds
    by_seed = {key: [found[seed] for seed in sorted(found)] for key, found in values.items()}
    result.measurements["cpu_s"] = {side: round(seconds, 1) for side, seconds in cpu.items()}
    result.measurements["textbook"] = textbook_table(by_seed)
    result.measurements["conditional"] = conditional_table(by_seed)
    result.bars = bars(by_seed)
    why = "a tenth of the evaluations" if arguments.quick else "fewer seeds than the bar asks for"
    if arguments.quick or arguments.seeds < SEEDS:
        result.bars = [_bench.not_met(entry, why) for entry in result.bars]
    return result.finish(arguments)


def ratio_of_means(ours: list[float], theirs: list[float]) -> float | None:
    """None where the peer's volume is 0, as after a very short run."""
    below = statistics.fmean(theirs)
    return statistics.fmean(ours) / below if below > 0 else None


def textbook_table(values: dict[tuple[str, str, str], list[float]]) -> list[dict[str, Any]]:
    rows = []
    for name in TEXTBOOK:
        for operators in OURS:
            ours = values["ours", name, operators]
            theirs = values["pymoo", name, BARRED][: len(ours)]
            rows.append(
                {
                    "problem": name,
                    "ours": operators,
                    "ratio_of_means": ratio_of_means(ours, theirs),
                    "hypervolume_ours": ours,
                    "hypervolume_pymoo": theirs,
                }
            )
    head = ("problem", "ours with", "ratio of means", "ours by seed / pymoo by seed")
    print(
        _bench.table(
            head,
            [
                (
                    row["problem"],
                    row["ours"],
                    row["ratio_of_means"],
                    " ".join(
                        f"{a:.3f}/{b:.3f}"
                        for a, b in zip(row["hypervolume_ours"], row["hypervolume_pymoo"], strict=True)
                    ),
                )
                for row in rows
            ],
        )
    )
    return rows


def conditional_table(values: dict[tuple[str, str, str], list[float]]) -> list[dict[str, Any]]:
    rows = []
    for name, algorithm in (("front", "nsga2"), ("reward", "regularized_evolution")):
        ours, chance = values["nas", name, algorithm], values["nas", name, "random"]
        rows.append({"figure": name, "algorithm": algorithm, "values": ours, "random": chance})
    print()
    print(
        _bench.table(
            ("figure", "algorithm", "mean", "random search's mean"),
            [(r["figure"], r["algorithm"], statistics.fmean(r["values"]), statistics.fmean(r["random"])) for r in rows],
        )
    )
    return rows


def bars(values: dict[tuple[str, str, str], list[float]]) -> list[dict[str, Any]]:
    found = []
    for name in TEXTBOOK:
        ours, theirs = values["ours", name, BARRED], values["pymoo", name, BARRED]
        ratio = ratio_of_means(ours, theirs)
        found.append(_bench.at_least(f"{name}: hypervolume over pymoo's", ratio, "", 0.99))
    for name, algorithm, unit in (("front", "nsga2", "hypervolume"), ("reward", "regularized_evolution", "reward")):
        pairs = zip(values["nas", name, algorithm], values["nas", name, "random"], strict=True)
        found.append(
            _bench.above_zero(f"conditional space: {algorithm} above random search", [a - b for a, b in pairs], unit)
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
