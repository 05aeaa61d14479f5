"""How much of their workers' time a study keeps busy: sleeping evaluators, local processes and Ray actors.

    python experiments/bench/scaling.py [--out experiments/results/scaling.json] [--json] [--quick]
                                        [--runners ray] [--workers 16] [--durations 0.1]

A design sleeps for 10 ms, 100 ms or 1 s: all alike, or log-normally with a coefficient of variation of 0.3, in which
case its own answers say how long. Efficiency is ideal / observed seconds: ideal is the sum of what the timed designs
slept over the number of workers, observed the wall time of `Study.run` over them, its last designs included, when the
others idle. Set-up is not timed: designs are run until every worker is ready. Sleeping takes no core, so 16 workers on
two cores show what the loop and the runner cost, not what the machine can compute.

Every study is deterministic (NSGA-II, in a run folder on disk, one commit a trial at least) with lag = 2 x workers:
`ask(i)` knows the outcomes 0..i-1-lag. All Ray cells share one local Ray.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _bench

from coevo import Pick, Space, Study
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome
from coevo.search.runners import Runner, make_runner

WORKERS = (1, 2, 4, 8, 16)
ROUNDS = {0.01: 200, 0.1: 50, 1.0: 15}  # timed designs a worker
CV = 0.3
BAR = 0.9
LAG_OVER_WORKERS = 2
START_WITHIN_S = 180.0


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


def measure(name: str, workers: int, mean_s: float, cv: float, rounds: int) -> dict[str, Any]:
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
        "workers": workers,
        "sleep_s": mean_s,
        "cv": cv,
        "lag": lag,
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


def main(argv: Sequence[str] | None = None) -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--quick", action="store_true", help="a fifth of the designs; 1 and 4 workers, 10 and 100 ms")
    options.add_argument("--runners", nargs="+", default=["local", "ray"], choices=["local", "ray"])
    options.add_argument("--workers", nargs="+", type=int, default=None, metavar="N")
    options.add_argument("--durations", nargs="+", type=float, default=None, choices=sorted(ROUNDS), metavar="S")
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
    cells: list[dict[str, Any]] = []
    for name in arguments.runners:
        with ray_for(max(workers)) if name == "ray" else tempfile.TemporaryDirectory():
            for count in workers:
                for mean_s in durations:
                    rounds = max(ROUNDS[mean_s] // (5 if arguments.quick else 1), 3)
                    cells += [_said(measure(name, count, mean_s, cv, rounds)) for cv in (0.0, CV)]
    result.measurements["cells"] = cells
    head = ["runner", "workers", "sleep_s", "cv", "lag", "trials", "ideal_s", "observed_s", "efficiency"]
    print(_bench.table(head, [[cell[name] for name in head] for cell in cells]))
    result.bars = list(_bars(cells, arguments))
    return result.finish(arguments)


def _bars(cells: Sequence[dict[str, Any]], arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for cv in (0.0, CV):
        found = [
            cell
            for cell in cells
            if (cell["runner"], cell["workers"], cell["sleep_s"], cell["cv"]) == ("ray", 16, 0.1, cv)
        ]
        name = f"efficiency of 16 Ray actors at 100 ms, {'log-normal, cv 0.3' if cv else 'constant'}"
        value = found[0]["efficiency"] if found else None
        bar = _bench.at_least(name, value, "of ideal", BAR, "deterministic, lag 32")
        yield _bench.not_met(bar, "--quick runs too few designs") if arguments.quick else bar
    yield _bench.at_most("failed trials", float(sum(cell["failed"] for cell in cells)), "trials", 0)


def _said(cell: dict[str, Any]) -> dict[str, Any]:
    print(
        f"{cell['runner']:6}{cell['workers']:3} x {cell['sleep_s']:g} s, cv {cell['cv']:g}: {cell['efficiency']:.3f}",
        file=sys.stderr,
        flush=True,
    )
    return cell


if __name__ == "__main__":
    sys.exit(main())
