"""Does the quickstart's co-search find circuits that are better under noise than what one would use without it?

For every seed (another split of the digits, another SuperCircuit, another search) five designs are trained alike, from
fresh weights, mapped at optimisation level 3 with the same transpiler seeds, and tested once under exact noise:

    search         the winner of NSGA-II, as `experiments/quickstart.toml` searches, on its searched layout
    random         the winner of random search with as many evaluations and the same SuperCircuit
    human          full-width layers stacked from the front to the winner's number of parameters, Qiskit's own layout
    search_qiskit  the winner's circuit on Qiskit's own layout: what the searched mapping adds
    human_depth    the best of 1 to 8 full blocks by validation images, Qiskit's own layout: a human who tries depths

A winner is the design with the highest noisy validation accuracy. Restarts and transpiler seeds are chosen by those
images too, the same number for every design. Accuracies are with infinitely many shots. Takes about fifteen minutes.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench

from coevo.hardware.quantum import QuantumDevice
from coevo.search.problem import WorkContext
from coevo.search.registry import load_problem
from coevo.search.study import Study
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.circuits import Mapper
from coevo.spaces.quantumnas.classifier import EncodedImages, accuracy_and_loss
from coevo.spaces.quantumnas.data import read_test_images, read_training_images
from coevo.spaces.quantumnas.evaluate import NoisyScorer
from coevo.spaces.quantumnas.export import train_restarts
from coevo.spaces.quantumnas.space import full_width
from coevo.spaces.quantumnas.supercircuit import train_supercircuit
from coevo.spaces.quantumnas.threads import one_thread

PROBLEM = "coevo.spaces.quantumnas:problem"
TRANSPILER_SEEDS = (42, 43, 44)
SEEDS = 5
ARMS = ("search", "random", "human", "search_qiskit", "human_depth")


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--trials", type=int, default=400, help="evaluations of each search")
    options.add_argument("--workers", type=int, default=2)
    arguments = options.parse_args()
    result = _bench.Result("quickstart_claim", packages=("qiskit", "qiskit-ibm-runtime", "mlxtend"))
    result.settings = {
        "seeds": arguments.seeds,
        "trials": arguments.trials,
        "options": Options().model_dump() | {"data_seed": "1 + seed"},
        "algorithm": {"name": "nsga2", "population": 40, "objectives": ["noisy_accuracy", "two_qubit_gates"]},
        "transpiler_seeds": list(TRANSPILER_SEEDS),
        "level": 3,
    }
    rows = [one_seed(seed, arguments.trials, arguments.workers) for seed in range(arguments.seeds)]
    result.measurements["by_seed"] = rows
    result.measurements["noisy_test_accuracy"] = {arm: interval(column(rows, arm)) for arm in ARMS}
    result.measurements["noise_free_test_accuracy"] = {
        arm: interval(column(rows, arm, "noise_free_test_accuracy")) for arm in ARMS
    }
    differences = {arm: differences_to(rows, arm) for arm in ARMS if arm != "search"}
    result.measurements["search_minus"] = {arm: interval(values) for arm, values in differences.items()}
    result.bars = [
        _bench.above_zero(f"noisy test accuracy of the search's winner over {what}", differences[arm], "1")
        for arm, what in (("random", "random search's"), ("human", "the human design of equal parameters"))
    ]
    if arguments.seeds < SEEDS or arguments.trials < 400:
        result.bars = [_bench.not_met(entry, "fewer seeds or trials than the claim is about") for entry in result.bars]
    print(_bench.table(("design", "noisy test accuracy", "95 % interval"), list(report(result.measurements))))
    return result.finish(arguments)


def one_seed(seed: int, trials: int, workers: int) -> dict[str, Any]:
    """All arms of one seed: {arm: measurements}."""
    began = time.perf_counter()
    chosen = Options(data_seed=1 + seed)
    training, validation = read_training_images(chosen)
    with tempfile.TemporaryDirectory(prefix="coevo-claim-") as folder:
        with one_thread():
            supercircuit = train_supercircuit(chosen, seed, Path(folder))
        winners = {
            name: winner(chosen, algorithm, supercircuit, seed, trials, workers)
            for name, algorithm in (("search", "nsga2"), ("random", "random"))
        }
    print(f"seed {seed}: searched after {time.perf_counter() - began:.0f} s", flush=True)
    best, layout = winners["search"][0], winners["search"][0].layout
    designs: dict[str, list[tuple[CoDesign, tuple[int, ...] | None]]] = {
        "search": [(best, layout)],
        "random": [(winners["random"][0], winners["random"][0].layout)],
        "human": [(full_width(best.parameters, layout), None)],
        "search_qiskit": [(best, None)],
        "human_depth": [(full_width(24 * blocks, layout), None) for blocks in range(1, 9)],
    }
    device = QuantumDevice.from_name(chosen.device)
    mappers = [Mapper(device, 3, transpiler_seed) for transpiler_seed in TRANSPILER_SEEDS]
    scorers = [NoisyScorer(mapper, validation) for mapper in mappers]
    trained: dict[tuple[tuple[int, int], ...], Any] = {}
    settled = {}
    with one_thread():
        for arm, candidates in designs.items():
            found = []
            for design, place in candidates:
                if design.widths not in trained:
                    trained[design.widths] = train_restarts(chosen, design, training, seed)
                for angles in trained[design.widths]:
                    for scorer in scorers:
                        mapped = scorer.map(design, angles, place)
                        accuracy, loss = accuracy_and_loss(scorer.logits(mapped), validation.labels)
                        found.append(((accuracy, -loss), design, angles, mapped))
            settled[arm] = max(found, key=lambda entry: entry[0])
        # Everything is settled: now, and only now, the test images.
        test = read_test_images(chosen)
        row: dict[str, Any] = {"seed": seed}
        for arm, ((validated, _), design, angles, mapped) in settled.items():
            logits = NoisyScorer(mappers[0], test).logits(mapped)
            noise_free = EncodedImages(test, np.float64).logits(angles[None])[0]
            row[arm] = {
                "noisy_test_accuracy": accuracy_and_loss(logits, test.labels)[0],
                "noise_free_test_accuracy": accuracy_and_loss(noise_free, test.labels)[0],
                "noisy_validation_accuracy": validated,
                "two_qubit_gates": mapped.two_qubit_gates,
                "parameters": design.parameters,
                "blocks": design.blocks,
                "layout": list(mapped.initial),
                "widths": [list(pair) for pair in design.widths],
            }
    for name, (_, accuracy, distinct) in winners.items():
        row[name] |= {"inherited_noisy_validation_accuracy": accuracy, "distinct_designs": distinct}
    row["took_s"] = round(time.perf_counter() - began, 1)
    print(f"seed {seed}: " + ", ".join(f"{arm} {row[arm]['noisy_test_accuracy']:.3f}" for arm in ARMS), flush=True)
    return row


def winner(
    options: Options, algorithm: str, supercircuit: Path, seed: int, trials: int, workers: int
) -> tuple[CoDesign, float, int]:
    """The design with the highest noisy validation accuracy, that accuracy, and how many designs were tried."""
    problem = load_problem(PROBLEM, options.model_dump())

    def share(context: WorkContext) -> dict[str, Path]:
        return {"supercircuit": Path(shutil.copy(supercircuit, context.folder))}

    settings = {"population": 40} if algorithm == "nsga2" else {}
    with Study(
        dataclasses.replace(problem, prepare=share),
        algorithm=algorithm,
        algorithm_options=settings,
        seed=seed,
        workers=workers,
    ) as study:
        best = study.run(trials=trials).best()
        distinct = len({trial.design.key for trial in study.trials()})
        return problem.space.build(best.design), best.outcome.metrics["noisy_accuracy"], distinct


def column(rows: Sequence[dict[str, Any]], arm: str, what: str = "noisy_test_accuracy") -> list[float]:
    return [row[arm][what] for row in rows]


def differences_to(rows: Sequence[dict[str, Any]], arm: str) -> list[float]:
    return [ours - theirs for ours, theirs in zip(column(rows, "search"), column(rows, arm), strict=True)]


def interval(values: Sequence[float]) -> dict[str, float | None]:
    mean, low, high = _bench.t_interval(values)
    return {"mean": mean, "low": low, "high": high} if len(values) > 1 else {"mean": mean, "low": None, "high": None}


def report(measurements: dict[str, Any]) -> Any:
    for arm, found in measurements["noisy_test_accuracy"].items():
        yield arm, found["mean"], f"[{found['low'] or 0:.3f}, {found['high'] or 0:.3f}]"
    for arm, found in measurements["search_minus"].items():
        yield f"search - {arm}", found["mean"], f"[{found['low'] or 0:.3f}, {found['high'] or 0:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
