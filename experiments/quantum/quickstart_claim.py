"""Does the quickstart's co-search find circuits that are better under noise than what one would use without it?

For every seed (another split of the digits, another SuperCircuit, another search) these designs are trained alike, from
fresh weights, mapped at optimisation level 3 with the same transpiler seeds, and tested once under exact noise:

    search         the winner of NSGA-II as `experiments/quickstart.toml` searches: accuracy against two-qubit gates
    search_one     the winner of NSGA-II on accuracy alone, as QuantumNAS searches one score
    random         the winner of random search with as many evaluations and the same SuperCircuit
    human          full-width layers stacked from the front to `search`'s number of parameters, Qiskit's own layout
    human_one      the same with the number of parameters of `search_one`
    search_qiskit  the circuit of `search` on Qiskit's own layout: what the searched mapping adds
    human_depth    the best of 1 to 8 full blocks by validation images, Qiskit's own layout: a human who tries depths

A winner is the design with the highest noisy validation accuracy. Restarts and transpiler seeds are chosen by those
images too, the same number for every design. Accuracies are with infinitely many shots. Beside them: the hypervolume
of the two fronts, searched and random, by validation accuracy and two-qubit gates. Takes about twenty minutes.
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
from coevo.spaces.quantumnas.circuits import Mapper
from coevo.spaces.quantumnas.classifier import EncodedImages, accuracy_and_loss
from coevo.spaces.quantumnas.data import read_test_images, read_training_images
from coevo.spaces.quantumnas.evaluate import NoisyScorer
from coevo.spaces.quantumnas.space import full_width
from coevo.spaces.quantumnas.supercircuit import train_supercircuit
from coevo.spaces.quantumnas.threads import one_thread

from coevo.hardware.quantum import QuantumDevice
from coevo.search.problem import WorkContext
from coevo.search.registry import load_problem
from coevo.search.study import Study
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.export import train_restarts

PROBLEM = "coevo.spaces.quantumnas:problem"
TRANSPILER_SEEDS = (42, 43, 44)
SEEDS = 5
ARMS = ("search", "search_one", "random", "human", "human_one", "search_qiskit", "human_depth")
BOTH = {"noisy_accuracy": "max", "two_qubit_gates": "min"}
SEARCHES = {
    "search": ("nsga2", BOTH),
    "search_one": ("nsga2", {"noisy_accuracy": "max"}),
    "random": ("random", BOTH),
}
PAIRS = (  # what is claimed to be better than what
    ("search", "random", "the quickstart's winner over random search's"),
    ("search", "human", "the quickstart's winner over the human design of equal parameters"),
    ("search_one", "random", "the winner on accuracy alone over random search's"),
    ("search_one", "human_one", "the winner on accuracy alone over the human design of equal parameters"),
)
CONTROLS = (("search", "search_qiskit"), ("search", "human_depth"), ("search_one", "human_depth"))
CHANCE, MANY_GATES = 0.25, 100  # the reference point of the hypervolume


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
        "algorithm": {"name": "nsga2", "population": 40},
        "transpiler_seeds": list(TRANSPILER_SEEDS),
        "level": 3,
    }
    rows = [one_seed(seed, arguments.trials, arguments.workers) for seed in range(arguments.seeds)]
    result.measurements["by_seed"] = rows
    result.measurements["noisy_test_accuracy"] = {arm: interval(column(rows, arm)) for arm in ARMS}
    result.measurements["noise_free_test_accuracy"] = {
        arm: interval(column(rows, arm, "noise_free_test_accuracy")) for arm in ARMS
    }
    result.measurements["two_qubit_gates"] = {arm: interval(column(rows, arm, "two_qubit_gates")) for arm in ARMS}
    result.measurements["differences"] = {
        f"{ours} - {theirs}": interval(differences(rows, ours, theirs))
        for ours, theirs in [(ours, theirs) for ours, theirs, _ in PAIRS] + list(CONTROLS)
    }
    volumes = [row["hypervolume"]["search"] - row["hypervolume"]["random"] for row in rows]
    result.measurements["differences"]["hypervolume search - random"] = interval(volumes)
    result.bars = [
        _bench.above_zero(f"noisy test accuracy: {what}", differences(rows, ours, theirs), "1")
        for ours, theirs, what in PAIRS
    ]
    result.bars.append(_bench.above_zero("hypervolume: the quickstart's front over random search's", volumes, "1"))
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
        winners = {name: winner(chosen, name, supercircuit, seed, trials, workers) for name in SEARCHES}
    print(f"seed {seed}: searched after {time.perf_counter() - began:.0f} s", flush=True)
    best = {name: found["design"] for name, found in winners.items()}
    layout = best["search"].layout  # full_width asks for one; Qiskit chooses another
    designs: dict[str, list[tuple[CoDesign, tuple[int, ...] | None]]] = {
        **{name: [(design, design.layout)] for name, design in best.items()},
        "human": [(full_width(best["search"].parameters, layout), None)],
        "human_one": [(full_width(best["search_one"].parameters, layout), None)],
        "search_qiskit": [(best["search"], None)],
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
    for name, found in winners.items():
        row[name] |= {key: found[key] for key in ("searched_noisy_validation_accuracy", "distinct_designs")}
    row["hypervolume"] = {name: found["hypervolume"] for name, found in winners.items()}
    row["took_s"] = round(time.perf_counter() - began, 1)
    print(f"seed {seed}: " + ", ".join(f"{arm} {row[arm]['noisy_test_accuracy']:.3f}" for arm in ARMS), flush=True)
    return row


def winner(options: Options, name: str, supercircuit: Path, seed: int, trials: int, workers: int) -> dict[str, Any]:
    """The design with the highest noisy validation accuracy in one search, and what the search saw."""
    algorithm, objectives = SEARCHES[name]
    problem = load_problem(PROBLEM, options.model_dump())

    def share(context: WorkContext) -> dict[str, Path]:
        return {"supercircuit": Path(shutil.copy(supercircuit, context.folder))}

    settings = {"population": 40} if algorithm == "nsga2" else {}
    with Study(
        dataclasses.replace(problem, prepare=share),
        objectives=objectives,
        algorithm=algorithm,
        algorithm_options=settings,
        seed=seed,
        workers=workers,
    ) as study:
        best = study.run(trials=trials).best()
        seen = {trial.design.key: trial.outcome.metrics for trial in study.trials() if trial.outcome.ok}
        return {
            "design": problem.space.build(best.design),
            "searched_noisy_validation_accuracy": best.outcome.metrics["noisy_accuracy"],
            "distinct_designs": len(seen),
            "hypervolume": hypervolume([(m["noisy_accuracy"], m["two_qubit_gates"]) for m in seen.values()]),
        }


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """The share of the box from (chance, 100 two-qubit gates) to (1, 0) that some point is at least as good as."""
    volume, height = 0.0, CHANCE
    for accuracy, gates in sorted(points, key=lambda point: (point[1], -point[0])):
        if accuracy > height and gates < MANY_GATES:
            volume += (accuracy - height) * (MANY_GATES - gates)
            height = accuracy
    return volume / ((1 - CHANCE) * MANY_GATES)


def column(rows: Sequence[dict[str, Any]], arm: str, what: str = "noisy_test_accuracy") -> list[float]:
    return [row[arm][what] for row in rows]


def differences(rows: Sequence[dict[str, Any]], ours: str, theirs: str) -> list[float]:
    return [one - other for one, other in zip(column(rows, ours), column(rows, theirs), strict=True)]


def interval(values: Sequence[float]) -> dict[str, float | None]:
    mean, low, high = _bench.t_interval(values)
    return {"mean": mean, "low": low, "high": high} if len(values) > 1 else {"mean": mean, "low": None, "high": None}


def report(measurements: dict[str, Any]) -> Any:
    for group in ("noisy_test_accuracy", "differences"):
        for name, found in measurements[group].items():
            ends = "-" if found["low"] is None else f"[{found['low']:.3f}, {found['high']:.3f}]"
            yield name, found["mean"], ends


if __name__ == "__main__":
    sys.exit(main())
