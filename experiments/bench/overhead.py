"""What the machinery costs a trial: ask + tell + durable record around an evaluator that does next to nothing.

    python experiments/bench/overhead.py [--out experiments/results/overhead.json] [--json] [--quick]

Every figure is CPU time of the whole process (`time.process_time`) over a fresh study, divided by its trials; every
case runs in a process of its own, after one discarded run. The space has 20 or 200 categorical choices of 5 options,
two objectives at odds (weighted sums), NSGA-II with a population of 100.

    coevo            one study in a run folder on disk, asked and told one trial at a time
    optuna memory    optuna's NSGAIISampler, in memory: no record
    optuna sqlite    the same with its SQLite storage
    pymoo            its NSGA-II by ask and tell, 100 designs at a time, integers by rounding: no record

A peer that would run for minutes is stopped at a time cap; the table then says how many trials it had done.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from operator import mul
from pathlib import Path
from typing import Any

import _bench

OPTIONS = (0, 1, 2, 3, 4)
POPULATION = 100
PEER_CAP_S = 25.0
OUR_CAP_S = 120.0
WARM_UP_CAP_S = 3.0
SEED = 0
WEIGHTS = {
    "a": [1.0 + math.modf(0.6180339887 * i)[0] for i in range(200)],
    "b": [1.0 + math.modf(0.4142135624 * i + 0.3)[0] for i in range(200)],
}


@dataclass(frozen=True)
class Case:
    """One measurement in a process of its own; `kind` is "time", "flat", "memory" or "reopen"."""

    system: str
    choices: int
    trials: int
    repeats: int = 1
    cap_s: float = PEER_CAP_S
    kind: str = "time"
    folder: str = ""
    tied: bool = False


def objectives(values: Sequence[int]) -> dict[str, float]:
    """Next to nothing: two weighted sums at odds with each other; the weights are irregular, so that ties are rare."""
    return {"a": float(sum(map(mul, WEIGHTS["a"], values))), "b": float(sum(map(mul, WEIGHTS["b"], values)))}


def tied_objectives(values: Sequence[int]) -> dict[str, float]:
    """Two plain sums: few distinct pairs, so that a front of equals grows with the run."""
    return {"a": float(sum(values)), "b": float(sum(values[::2]))}


# --- the systems: a function of (choices, folder) that yields after every batch of trials with the trials done --------


def coevo_study(choices: int, folder: Path | None) -> Any:
    from coevo.search import Space, Study

    names = [f"c{i}" for i in range(choices)]

    def build(pick: Any) -> list[int]:
        return [pick.one(name, OPTIONS) for name in names]

    return Study(
        Space("bench/overhead/v1", build),
        objectives={"a": "max", "b": "min"},
        algorithm="nsga2",
        algorithm_options={"population": POPULATION},
        seed=SEED,
        lag=15,
        folder=folder,
        runner="inline",
    )


def run_coevo(choices: int, folder: Path, judge: Callable[..., dict[str, float]] = objectives) -> Iterator[int]:
    study = coevo_study(choices, folder / "run")
    done = 0
    try:
        while True:
            asked = study.ask()
            study.tell(asked.index, judge(asked.value))
            done += 1
            yield done
    finally:
        study.close()


def run_optuna(choices: int, folder: Path, durable: bool) -> Iterator[int]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = f"sqlite:///{folder / 'optuna.db'}" if durable else None
    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=SEED)
    study = optuna.create_study(storage=storage, sampler=sampler, directions=["maximize", "minimize"])
    names = [f"c{i}" for i in range(choices)]
    done = 0
    while True:
        trial = study.ask()
        metrics = objectives([trial.suggest_categorical(name, OPTIONS) for name in names])
        study.tell(trial, [metrics["a"], metrics["b"]])
        done += 1
        yield done


def run_pymoo(choices: int, folder: Path) -> Iterator[int]:
    import numpy as np
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.problems.static import StaticProblem
    from pymoo.termination import get_termination

    problem = Problem(n_var=choices, n_obj=2, xl=0, xu=len(OPTIONS) - 1, vtype=int)
    algorithm = NSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=SBX(repair=RoundingRepair()),
        mutation=PM(repair=RoundingRepair()),
    )
    algorithm.setup(problem, termination=get_termination("n_gen", 10**9), seed=SEED, verbose=False)
    done = 0
    while True:
        batch = algorithm.ask()
        values = batch.get("X")
        costs = np.column_stack([-values.sum(axis=1), values[:, ::2].sum(axis=1)])
        Evaluator().eval(StaticProblem(problem, F=costs), batch)
        algorithm.tell(infills=batch)
        done += len(batch)
        yield done


SYSTEMS: dict[str, Callable[[int, Path], Iterator[int]]] = {
    "coevo": run_coevo,
    "optuna memory": lambda choices, folder: run_optuna(choices, folder, durable=False),
    "optuna sqlite": lambda choices, folder: run_optuna(choices, folder, durable=True),
    "pymoo": run_pymoo,
}


# --- one case, in its own process -------------------------------------------------------------------------------------


def measure(case: Case) -> dict[str, Any]:
    """Run the case here and say what it took."""
    if case.kind == "reopen":
        return measure_reopening(case)
    if case.kind == "memory":
        return measure_memory(case)
    one_run(replace(case, cap_s=WARM_UP_CAP_S), 2 * POPULATION)
    if case.kind == "flat":
        return measure_flatness(case)
    runs = [one_run(case, case.trials) for _ in range(case.repeats)]
    done = min(run["done"] for run in runs)
    return {
        "cpu_ms": _bench.summary([run["cpu_ms"] for run in runs]),
        "wall_ms": _bench.summary([run["wall_ms"] for run in runs]),
        "trials_done": done,
        "stopped": f"time cap of {case.cap_s:g} s" if done < case.trials else "",
        "yardstick_ms": yardstick_ms(),
    }


def one_run(case: Case, trials: int) -> dict[str, float]:
    """One fresh study of so many trials, or fewer where the time cap came first: ms a trial, and the trials done."""
    with tempfile.TemporaryDirectory() as folder:
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        running = SYSTEMS[case.system](case.choices, Path(folder))
        done = 0
        for done in running:
            if done >= trials or time.perf_counter() - wall > case.cap_s:
                break
        running.close()  # type: ignore[attr-defined]  # a generator
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_ms": cpu * 1e3 / done, "wall_ms": wall * 1e3 / done, "done": done}


def measure_flatness(case: Case) -> dict[str, Any]:
    """The long run between short ones of 1,000 trials, so that a machine that slows down slows both."""
    short = [one_run(case, 1_000)["cpu_ms"] for _ in range(5)]
    long = one_run(case, case.trials)
    short += [one_run(case, 1_000)["cpu_ms"] for _ in range(5)]
    complete = long["done"] >= case.trials
    return {
        "short_cpu_ms": _bench.summary(short),
        "long_cpu_ms": long["cpu_ms"],
        "ratio": long["cpu_ms"] / statistics.median(short) if complete else None,
    }


def yardstick_ms() -> float:
    """CPU time of a fixed piece of pure Python: says how fast this machine was at that moment, and divides nothing."""
    cpu = time.process_time()
    total = 0
    for i in range(200_000):
        total += i % 7
    return (time.process_time() - cpu) * 1e3


def measure_memory(case: Case) -> dict[str, Any]:
    """Growth of the resident set from a tenth of the trials to all of them, SQLite's page cache included.

    The run folder stays in `case.folder` for the reopening.
    """
    running = run_coevo(case.choices, Path(case.folder), tied_objectives if case.tied else objectives)
    first = next(done for done in running if done == case.trials // 10)
    low = resident_bytes()
    last = next(done for done in running if done == case.trials)
    high = resident_bytes()
    running.close()  # type: ignore[attr-defined]
    files = sum(path.stat().st_size for path in Path(case.folder).rglob("*") if path.is_file())
    return {
        "resident_growth_bytes_per_trial": (high - low) / (last - first),
        "resident_mib": {str(first): low / 2**20, str(last): high / 2**20},
        "disk_bytes_per_trial": files / last,
    }


def measure_reopening(case: Case) -> dict[str, Any]:
    """Seconds from the run folder to a study that is ready to ask, in a process that never saw it."""
    coevo_study(case.choices, None).close()
    wall, cpu = time.perf_counter(), time.process_time()
    study = coevo_study(case.choices, Path(case.folder) / "run")
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    told, following = study.told, study.ask()
    study.close()
    if told != case.trials or following is None:
        raise SystemExit(f"reopened with {told} trials, expected {case.trials}")
    return took


def resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def in_own_process(case: Case) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).resolve()), "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{case} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


# --- all cases --------------------------------------------------------------------------------------------------------


def cases(quick: bool) -> list[Case]:
    found = []
    for choices in (20, 200):
        for trials, repeats in ((100, 15), (1_000, 5), (10_000, 3), (100_000, 1)):
            if quick and trials > 1_000:
                continue
            count = repeats if choices == 20 else max(1, repeats // 3)
            found.append(Case("coevo", choices, trials, count, cap_s=OUR_CAP_S))
            found.append(Case("pymoo", choices, trials, count))
            if trials <= 10_000:
                found.append(Case("optuna memory", choices, trials, 1 if trials > 1_000 else min(3, count)))
            if trials <= 1_000:
                found.append(Case("optuna sqlite", choices, trials, 1))
    return found


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--quick", action="store_true", help="stop at 1,000 trials: bars on more are not met then")
    options.add_argument("--case", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.case:
        print(json.dumps(measure(Case(**json.loads(arguments.case)))))
        return 0

    result = _bench.Result("overhead", packages=("optuna", "pymoo"))
    result.settings = {
        "unit": "ms a trial: ask + tell + record, the whole process",
        "population": POPULATION,
        "peer_cap_s": PEER_CAP_S,
        "coevo_cap_s": OUR_CAP_S,
        "quick": arguments.quick,
        "not_run": {
            "optuna sqlite": "above 1,000 trials (tens of ms a trial)",
            "optuna memory": "above 10,000 trials (ms a trial)",
        },
    }
    if not arguments.quick:
        result.measurements.update(long_runs(100_000))
    rows, times = [], {}
    for case in cases(arguments.quick):
        found = in_own_process(case)
        times[case.system, case.choices, case.trials] = found
        row = [case.system, case.choices, case.trials, found["cpu_ms"]["median"], found["wall_ms"]["median"]]
        rows.append([*row, found["cpu_ms"]["repeats"], found["stopped"] and f"{found['trials_done']} done"])
        print(f"{case.system}, {case.choices} choices, {case.trials} trials: {row[3]:.4g} ms CPU", flush=True)
    result.measurements["time"] = [
        {"system": system, "choices": choices, "trials": trials, **found}
        for (system, choices, trials), found in times.items()
    ]
    result.bars = bars(times, result.measurements)
    print("\n" + _bench.table(["system", "choices", "trials", "cpu ms", "wall ms", "runs", "time cap"], rows))
    return result.finish(arguments)


def long_runs(trials: int) -> dict[str, Any]:
    """Flatness, memory and reopening; memory once more on objectives whose ties pile up on the front."""
    flat = in_own_process(Case("coevo", 20, trials, kind="flat", cap_s=OUR_CAP_S))
    with tempfile.TemporaryDirectory() as folder:
        memory = in_own_process(Case("coevo", 20, trials, kind="memory", folder=folder))
        reopened = [in_own_process(Case("coevo", 20, trials, kind="reopen", folder=folder)) for _ in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        tied = in_own_process(Case("coevo", 20, trials, kind="memory", folder=folder, tied=True))
    return {
        "flat": flat,
        "memory": memory,
        "memory_with_tied_objectives": tied,
        "reopen_s": _bench.summary([found["wall_s"] for found in reopened]),
        "reopen_cpu_s": _bench.summary([found["cpu_s"] for found in reopened]),
    }


def bars(times: dict[tuple[str, int, int], dict[str, Any]], others: dict[str, Any]) -> list[dict[str, Any]]:
    def ours(trials: int) -> float | None:
        found = times.get(("coevo", 20, trials))
        complete = found is not None and not found["stopped"]
        return float(found["cpu_ms"]["median"]) if found is not None and complete else None

    growth = others.get("memory", {}).get("resident_growth_bytes_per_trial")
    return [
        _bench.at_most("CPU a trial, 10,000 trials, 20 choices", ours(10_000), "ms", 0.25),
        _bench.at_most(
            "CPU a trial at 100,000 trials over that at 1,000, 20 choices",
            others.get("flat", {}).get("ratio"),
            "",
            1.3,
        ),
        _bench.at_most("reopening 100,000 trials", others.get("reopen_s", {}).get("median"), "s", 5.0),
        _bench.at_most(
            "memory a trial", growth, "bytes", 200.0, note="resident set, 10,000 to 100,000 trials, page cache included"
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
