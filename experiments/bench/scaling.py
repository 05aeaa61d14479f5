"""How much of their workers' time a study keeps busy: sleeping evaluators, local processes and Ray actors.

    python experiments/bench/scaling.py [--out experiments/results/scaling.json] [--json] [--quick]
                                        [--parts FILE] [--runners ray] [--workers 16] [--durations 0.1] [--no-tune]

A design sleeps for 10 ms, 100 ms or 1 s: all alike, or log-normally with a coefficient of variation of 0.3, in which
case its own answers say how long. Efficiency is ideal / observed seconds: ideal is the sum of what the timed designs
slept over the number of workers, observed the wall time of `Study.run` over them, its last designs included, when the
others idle. Set-up is not timed: designs are run until every worker is ready. Sleeping takes no core, so 16 workers on
two cores show what the loop and the runner cost, not what the machine can compute.

Studies are NSGA-II in a run folder on disk, one commit a trial at least. "deterministic" ones have lag = 2 x workers:
`ask(i)` knows the outcomes 0..i-1-lag. "throughput" ones (`deterministic=False`, with the most workers alone) ask with
whatever is known. What a lag costs in quality stands beside: the hypervolume on the conditional space of
`_nas_space.py` after 1,000 evaluations, at several lags and for random search, which has none. All Ray cells share one
local Ray.

Beside it Ray Tune (random search, its function trainables, as its manual has them): the same 100 ms on the same workers
for as many trials as it gets through in five minutes.

With `--parts FILE` every cell is written there as soon as it is measured, and those that are there already are taken
from it: an interrupted run goes on, and a busy machine's cells can be deleted and measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import _bench
import _nas_space

from coevo import Pick, Space, Study
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome
from coevo.search.ranking import hypervolume
from coevo.search.runners import Runner, make_runner

WORKERS = (1, 2, 4, 8, 16)
ROUNDS = {0.01: 200, 0.1: 50, 1.0: 10}  # timed designs a worker
CV = 0.3
BAR = 0.9
LAG_OVER_WORKERS = 2
START_WITHIN_S = 180.0
DETERMINISTIC, THROUGHPUT = "deterministic", "throughput"
LAGS, LAG_SEEDS, LAG_TRIALS = (0, 15, 32, 64), 5, 1000
NAS_OBJECTIVES = {"accuracy": "max", "latency_ms": "min", "energy_mj": "min"}
NAS_REFERENCE = (-50.0, math.log(40.0), math.log(1000.0))  # of (-accuracy, log latency_ms, log energy_mj)
TUNE_S = 300.0

Cell = dict[str, Any]


class Parts:
    """The cells measured so far, kept in a file of one JSON object a line."""

    def __init__(self, path: Path | None):
        self.path = path
        self.known: dict[str, Cell] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                cell = json.loads(line)
                self.known[cell["name"]] = cell

    def cell(self, name: str, make: Callable[[], Cell]) -> Cell:
        if name not in self.known:
            self.known[name] = {"name": name, **make()}
            if self.path is not None:
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(json.dumps(self.known[name]) + "\n")
        return self.known[name]


def build(pick: Pick) -> tuple[int, ...]:
    return tuple(pick.one(f"choice{i}", (0, 1, 2, 3, 4)) for i in range(20))


def seconds_of(value: Sequence[int], mean_s: float, cv: float) -> float:
    """How long a design sleeps: log-normal of this mean, drawn by the design's own answers."""
    if not cv:
        return mean_s
    digest = hashlib.sha256(bytes(value)).digest()
    uniform = (int.from_bytes(digest[:8], "big") + 0.5) / 2**64
    sigma = math.sqrt(math.log(1.0 + cv * cv))
    return mean_s * math.exp(sigma * statistics.NormalDist().inv_cdf(uniform) - sigma * sigma / 2)


class Sleeper(Evaluator):
    """Sleeps, and gives two sums at odds."""

    id = "sleeper"

    def __init__(self, mean_s: float, cv: float):
        self.mean_s, self.cv = mean_s, cv
        self.metrics = {"a": "", "b": ""}

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        outcomes = []
        for candidate in candidates:
            time.sleep(seconds_of(candidate.value, self.mean_s, self.cv))
            value = candidate.value
            outcomes.append(Outcome({"a": float(sum(value)), "b": float(sum(i * x for i, x in enumerate(value)))}))
        return outcomes


def all_ready(runner: Any) -> bool:
    """Whether every worker has set its evaluator up; looks inside, because nobody else needs to know."""
    workers = getattr(runner, "_seats", None) or getattr(runner, "_processes", ())
    return len(workers) == runner.workers and all(worker.ready for worker in workers)


def measure(name: str, workers: int, mean_s: float, cv: float, rounds: int, mode: str) -> Cell:
    """One cell of the grid."""
    runner: Runner = make_runner(name, workers)
    lag = LAG_OVER_WORKERS * workers
    goals = {"a": "max", "b": "min"}
    with (
        tempfile.TemporaryDirectory() as folder,
        Study(
            Space("bench/scaling/v1", build),
            Sleeper(mean_s, cv),
            objectives=goals,
            algorithm_options={"population": 40},
            lag=lag,
            deterministic=mode == DETERMINISTIC,
            runner=runner,
            workers=workers,
            folder=Path(folder) / "run",
        ) as study,
    ):
        begun = time.monotonic()
        while not all_ready(runner):
            if time.monotonic() - begun > START_WITHIN_S:
                raise RuntimeError(f"{workers} {name} workers were not ready within {START_WITHIN_S:.0f} s")
            study.run(trials=study.asked + workers)
        ready_s, before = time.monotonic() - begun, study.told
        cpu, wall = time.process_time(), time.monotonic()
        study.run(trials=before + rounds * workers)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        slept = [seconds_of(study.space.build(t.design), mean_s, cv) for t in study.trials() if t.index >= before]
        failed = study.failed
    ideal = sum(slept) / workers
    return {
        "runner": name,
        "mode": mode,
        "workers": workers,
        "sleep_s": mean_s,
        "cv": cv,
        "lag": lag if mode == DETERMINISTIC else None,
        "trials": len(slept),
        "failed": failed,
        "ready_s": round(ready_s, 2),
        "ideal_s": round(ideal, 3),
        "observed_s": round(wall, 3),
        "driver_cpu_ms_a_trial": round(1000 * cpu / len(slept), 3),
        "efficiency": round(ideal / wall, 4),
        "load_1min": round(os.getloadavg()[0], 2),
    }


@contextmanager
def ray_for(workers: int) -> Iterator[None]:
    """One local Ray for all cells: starting it takes longer than most of them."""
    from coevo.search.runners.cluster import Cluster

    cluster = Cluster(None, workers)
    try:
        yield
    finally:
        cluster.close()


def lag_quality(lag: int | None, seed: int) -> float:
    """Hypervolume of everything that was evaluated, at this lag; None for random search."""
    with Study(
        Space("bench/nas/v1", _nas_space.build),
        _nas_space.judge,
        objectives=NAS_OBJECTIVES,
        algorithm="random" if lag is None else "nsga2",
        algorithm_options=None if lag is None else {"population": 100},
        lag=lag or 0,
        seed=seed,
        runner="inline",
    ) as study:
        study.run(trials=LAG_TRIALS)
        metrics = [trial.outcome.metrics for trial in study.front().trials]
    costs = [(-m["accuracy"], math.log(m["latency_ms"]), math.log(m["energy_mj"])) for m in metrics]
    return hypervolume(costs, NAS_REFERENCE)


def lag_cell(lag: int | None) -> Cell:
    found = [lag_quality(lag, seed) for seed in range(LAG_SEEDS)]
    mean, low, high = _bench.t_interval(found)
    return {"lag": lag, "trials": LAG_TRIALS, "hypervolumes": found, "mean": mean, "interval_95": [low, high]}


def tune_cell(workers: int, mean_s: float, most_s: float) -> Cell:
    """Ray Tune on the local Ray that runs already."""
    from ray import tune

    def trainable(config: dict[str, Any]) -> None:
        time.sleep(mean_s)
        tune.report({"a": sum(config.values())})

    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # no files a trial beyond Tune's own
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            trainable,
            param_space={f"choice{i}": tune.choice([0, 1, 2, 3, 4]) for i in range(20)},
            tune_config=tune.TuneConfig(num_samples=100_000, max_concurrent_trials=workers, time_budget_s=most_s),
            run_config=tune.RunConfig(name="scaling", storage_path=folder, verbose=0),
        )
        begun = time.monotonic()
        results = tuner.fit()
        wall = time.monotonic() - begun
    done = sum(1 for result in results if result.metrics and "a" in result.metrics)
    return {
        "runner": "ray tune",
        "workers": workers,
        "sleep_s": mean_s,
        "cv": 0.0,
        "trials": done,
        "observed_s": round(wall, 3),
        "trials_a_second": round(done / wall, 4),
        "efficiency": round(done * mean_s / workers / wall, 5),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def main(argv: Sequence[str] | None = None) -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--quick", action="store_true", help="a fifth of the designs; 1 and 4 workers, 10 and 100 ms")
    options.add_argument("--parts", type=Path, metavar="FILE", help="keep measured cells here, and take them from here")
    options.add_argument("--runners", nargs="+", default=["local", "ray"], choices=["local", "ray"])
    options.add_argument("--workers", nargs="+", type=int, default=None, metavar="N")
    options.add_argument("--durations", nargs="+", type=float, default=None, choices=sorted(ROUNDS), metavar="S")
    options.add_argument("--no-tune", action="store_true", help="leave Ray Tune out, and what a lag costs")
    arguments = options.parse_args(argv)
    workers = arguments.workers or ((1, 4) if arguments.quick else WORKERS)
    durations = arguments.durations or ((0.01, 0.1) if arguments.quick else tuple(ROUNDS))
    result = _bench.Result(
        "scaling",
        packages=("ray",),
        settings={
            "workers": list(workers),
            "durations_s": list(durations),
            "cv": [0.0, CV],
            "lag": f"{LAG_OVER_WORKERS} x workers",
            "algorithm": "nsga2, population 40",
            "quick": arguments.quick,
        },
    )
    parts = Parts(arguments.parts)
    share = 5 if arguments.quick else 1
    cells: list[Cell] = []
    for runner in arguments.runners:
        with ray_for(max(workers)) if runner == "ray" else nullcontext():
            for count in workers:
                for mode in (DETERMINISTIC, THROUGHPUT) if count == max(workers) else (DETERMINISTIC,):
                    for mean_s in durations:
                        for cv in (0.0, CV):
                            settings = (runner, count, mean_s, cv, max(ROUNDS[mean_s] // share, 3), mode)
                            name = f"{runner} {count} x {mean_s:g} s, cv {cv:g}, {mode}"
                            cells.append(_said(parts.cell(name, lambda settings=settings: measure(*settings))))
            if runner == "ray" and not arguments.no_tune:
                seconds = TUNE_S / share
                name = f"ray tune {max(workers)} x 0.1 s, {seconds:g} s"
                tune = parts.cell(name, lambda seconds=seconds: tune_cell(max(workers), 0.1, seconds))
                result.measurements["ray_tune"] = _said(tune)
    result.measurements["cells"] = cells
    head = ["runner", "mode", "workers", "sleep_s", "cv", "lag", "trials", "ideal_s", "observed_s", "efficiency"]
    print(_bench.table(head, [[cell[name] for name in head] for cell in cells]))
    if not arguments.no_tune:
        quality = [parts.cell(f"quality at lag {lag}", lambda lag=lag: lag_cell(lag)) for lag in (*LAGS, None)]
        result.measurements["quality_by_lag"] = quality
        rows = [
            ["random" if cell["lag"] is None else cell["lag"], cell["mean"], *cell["interval_95"]] for cell in quality
        ]
        print(_bench.table(["lag", "hypervolume", "low", "high"], rows))
    result.bars = list(_bars(cells, arguments))
    return result.finish(arguments)


def _bars(cells: Sequence[Cell], arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for mode in (DETERMINISTIC, THROUGHPUT):
        for cv in (0.0, CV):
            wanted = ("ray", mode, 16, 0.1, cv)
            found = [c for c in cells if (c["runner"], c["mode"], c["workers"], c["sleep_s"], c["cv"]) == wanted]
            name = f"efficiency of 16 Ray actors at 100 ms, {'log-normal, cv 0.3' if cv else 'constant'}, {mode}"
            value = found[0]["efficiency"] if found else None
            bar = _bench.at_least(name, value, "of ideal", BAR, "lag 32" if mode == DETERMINISTIC else "")
            yield _bench.not_met(bar, "--quick runs too few designs") if arguments.quick else bar
    yield _bench.at_most("failed trials", float(sum(cell["failed"] for cell in cells)), "trials", 0)


def _said(cell: Cell) -> Cell:
    print(f"{cell['name']}: {cell['efficiency']:.3f}", file=sys.stderr, flush=True)
    return cell


if __name__ == "__main__":
    sys.exit(main())
