"""Accelerator and mappings searched together, the mappings inside: a toy that shows `context.memo` at work.

    python experiments/nested/co_search.py [--trials 200] [--workers 1 4] [--inner 640] [--json]

The outer study chooses hardware; its evaluator finds the best mapping of every layer of a small network by evolution
over arrays, once for each pair of a hardware slice and a layer. The study runs with each number of workers, and once
with every inner search done anew; all must give the same outcomes. Costs are made up: toy_accelerator.py.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from toy_accelerator import Layer, Slice, best_mappings

from coevo import Candidate, Context, Evaluator, Outcome, Pick, Problem, Space, Stage, Study, Violation

# A small transformer block: projections, attention, feed-forward; some layers have one shape, and share a mapping.
NETWORK: tuple[Layer, ...] = (
    *[(196, 192, 192)] * 4,
    *[(196, 196, 64)] * 3,
    *[(196, 64, 196)] * 3,
    (196, 768, 192),
    (196, 192, 768),
)
AREA_MM2 = 16.0


def build(pick: Pick) -> dict[str, int]:
    return {
        "rows": pick.one("rows", (4, 8, 16, 32)),
        "columns": pick.one("columns", (4, 8, 16, 32)),
        "buffer_kib": pick.one("buffer_kib", (16, 32, 64, 128, 256)),
        "words_per_cycle": pick.one("words_per_cycle", (2, 4, 8)),
        "clock_mhz": pick.integer("clock_mhz", 200, 1000, step=50),
    }


def check(chip: dict[str, int]) -> Violation | None:
    area = 0.01 * chip["rows"] * chip["columns"] + 0.04 * chip["buffer_kib"] + 0.5 * chip["words_per_cycle"]
    return None if area <= AREA_MM2 else Violation(f"more than {AREA_MM2} mm2", area - AREA_MM2)


class Accelerator(Evaluator):
    """Latency and energy of the network on a chip, each layer by the best mapping that was found for it."""

    id, version = "toy-accelerator", "1"
    metrics: ClassVar = {"latency_ms": "ms", "energy_mj": "mJ"}

    def __init__(self, inner_evaluations: int):
        self.inner_evaluations = inner_evaluations

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [self.judge(candidate.value, context) for candidate in candidates]

    def judge(self, chip: dict[str, int], context: Context) -> Outcome:
        # The clock is not part of the slice: chips that differ in it alone share their mappings.
        part = Slice(chip["rows"] * chip["columns"], chip["buffer_kib"], chip["words_per_cycle"])

        def compute(missing: list[int], seeds: list[int]) -> list[Any]:
            layers = [NETWORK[position] for position in missing]
            return best_mappings(layers, [part] * len(layers), seeds, self.inner_evaluations)

        found = context.memo_many([[part, layer, self.inner_evaluations] for layer in NETWORK], compute)
        if any(mapping["overflow"] > 0 for mapping in found):
            return Outcome.failed("no mapping that fits was found")
        volts = 0.6 + 0.4 * chip["clock_mhz"] / 1000.0
        cycles = sum(mapping["cycles"] for mapping in found)
        energy_pj = sum(mapping["energy_pj"] for mapping in found)
        return Outcome({"latency_ms": cycles / chip["clock_mhz"] / 1e3, "energy_mj": energy_pj * volts**2 / 1e9})


def problem(inner: int = 640) -> Problem:
    """The co-search with so many evaluations for each inner search."""
    space = Space("toy-accelerator/v1", build, check)
    objectives = {"latency_ms": "min", "energy_mj": "min"}
    return Problem("toy-accelerator", space, (Stage("full", Accelerator(inner)),), objectives, {"inner": inner})


def search(trials: int, inner: int, workers: int, memo: bool = True) -> tuple[list[Any], dict[str, Any]]:
    """(index, key, metrics) of every trial, and what it took. One worker is this process, more are others."""
    began, cpu = time.perf_counter(), time.process_time()
    runner = "inline" if workers == 1 else "local"
    with Study(
        problem(inner), runner=runner, workers=workers, algorithm_options={"population": 40}, memo=memo
    ) as study:
        study.run(trials=trials)
        found = [(trial.index, trial.design.key, dict(trial.outcome.metrics)) for trial in study.trials()]
        counts = study.memo
        took = {
            "workers": workers,
            "memo": memo,
            "wall_s": round(time.perf_counter() - began, 2),
            "driver_cpu_s": round(time.process_time() - cpu, 2),
            "evaluator_s": round(study.cost_s, 2),
            "asked_for": trials * len(NETWORK),
            "inner_searches": counts.computed if memo else trials * len(set(NETWORK)),  # a chip's equal layers share
            "hits": counts.hits,
            "failed": study.failed,
            "front": len(study.front()),
        }
    return found, took


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=200)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    options.add_argument("--inner", type=int, default=640, help="evaluations of each inner search")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    reference, anew = search(chosen.trials, chosen.inner, 1, memo=False)
    runs, equal = [anew], True
    for workers in chosen.workers:
        found, took = search(chosen.trials, chosen.inner, workers)
        equal = equal and found == reference
        runs.append(took)
    for took in runs:
        print(
            f"{took['workers']} worker{'s' * (took['workers'] > 1)}, memo {'on ' if took['memo'] else 'off'}: "
            f"{took['inner_searches']:5d} inner searches for {took['asked_for']} questions, {took['hits']} hits; "
            f"evaluators {took['evaluator_s']} s, wall {took['wall_s']} s"
        )
    failed = anew["failed"]
    print(("outcomes are equal" if equal else "OUTCOMES DIFFER") + f"; {failed} of {chosen.trials} designs failed")
    if chosen.json:
        print(json.dumps({"runs": runs, "equal": equal}))
    return 0 if equal and failed < chosen.trials else 1


if __name__ == "__main__":
    raise SystemExit(main())
