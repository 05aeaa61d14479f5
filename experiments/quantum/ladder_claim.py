"""Does the ladder (`[options] ladder = true`) find more than the quickstart's single exact stage in equal time?

First the estimates: 200 random designs are judged by the exact stage and by every cheap score that was thought of, and
Kendall's tau says how alike they rank, over all designs and within eight strata of equally many two-qubit gates, where
counting gates cannot help; with it what each costs, and the control scores (number of parameters, of gates, chance).

Then the searches. For every seed (another split of the digits, another SuperCircuit, another search) all arms start
from the same SuperCircuit and search for equal CPU seconds:

    single          NSGA-II, every design judged exactly, as `experiments/quickstart.toml` does
    ladder          NSGA-II, the cheap stage first, a quarter of its designs goes on
    ladder_trivial  NSGA-II, the same ladder with a cheap stage that counts parameters instead of tuning: the control
    random          random search, every design judged exactly
    random_ladder   random search with the ladder

The currency is CPU time of the process, driver and evaluators together (inline runner, one thread), without imports,
data and SuperCircuit, which all arms need alike. `cost_s`, the library's own, is wall time and would charge an arm for
its neighbours. A busy neighbour still slows a core, so the arms of a seed run side by side and meet the same ones.

Compared are fronts of exactly judged designs only (hypervolume of noisy validation accuracy against two-qubit gates,
over time) and, of the most accurate design of `single` and of `ladder`, the noisy test accuracy after training from
scratch, as an export measures it. The ladder's settings were chosen on seeds 100 and 101, which are not among the five.
About eleven minutes of CPU time, six where two cores are idle.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _estimates import estimates
from quickstart_claim import CHANCE, MANY_GATES, hypervolume, interval

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench
from coevo.spaces.quantumnas.circuits import Mapper
from coevo.spaces.quantumnas.classifier import accuracy_and_loss
from coevo.spaces.quantumnas.data import read_test_images, read_training_images
from coevo.spaces.quantumnas.devices import coupling_of
from coevo.spaces.quantumnas.estimate import QuickEstimate
from coevo.spaces.quantumnas.evaluate import NoisyScorer
from coevo.spaces.quantumnas.supercircuit import train_supercircuit
from coevo.spaces.quantumnas.threads import one_thread

from coevo.hardware.quantum import QuantumDevice
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome
from coevo.search.events import Staged, Told
from coevo.search.problem import Stage
from coevo.search.study import Study
from coevo.spaces.quantumnas import CoDesign, Options, problem
from coevo.spaces.quantumnas.export import choose_restart, train_restarts

SEEDS, CPU_S, DESIGNS = 5, 15.0, 200
ARMS = {  # algorithm, its options, lag, ladder
    "single": ("nsga2", {"population": 40}, 15, None),
    "ladder": ("nsga2", {"population": 40}, 31, "short tuning"),
    "ladder_trivial": ("nsga2", {"population": 40}, 31, "parameters"),
    "random": ("random", {}, 15, None),
    "random_ladder": ("random", {}, 31, "short tuning"),
}
PAIRS = (("ladder", "single"), ("ladder", "ladder_trivial"), ("random_ladder", "random"), ("single", "random"))
MARKS = (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1.0)  # shares of the budget at which fronts are looked at
WHATS = ("hypervolume", "best_noisy_validation_accuracy")
TESTED = ("ladder", "single")  # whose winners are trained from scratch and tested


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--cpu-s", type=float, default=CPU_S, help="CPU seconds of searching, each arm")
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="go on there where an earlier run was stopped")
    options.add_argument("--designs", type=int, default=DESIGNS, help="designs for Kendall's tau")
    arguments = options.parse_args()
    result = _bench.Result("ladder_claim", packages=("qiskit", "qiskit-ibm-runtime", "mlxtend"))
    result.settings = {
        "seeds": arguments.seeds,
        "cpu_s": arguments.cpu_s,
        "designs": arguments.designs,
        "options": Options(ladder=True).model_dump() | {"data_seed": "1 + seed"},
        "arms": {
            name: dict(zip(("algorithm", "settings", "lag", "ladder"), arm, strict=True)) for name, arm in ARMS.items()
        },
        "hypervolume_reference": {"noisy_accuracy": CHANCE, "two_qubit_gates": MANY_GATES},
        "currency": "CPU seconds of the searching process; arms of a seed side by side",
    }
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coevo-ladder-")))
        # A session each: Linux shares its cores out by session first, and arms are to be equals of whatever else runs.
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(len(ARMS) + 1, os.setsid))
        folder.mkdir(parents=True, exist_ok=True)
        training = [pool.apply_async(train, (seed, folder / str(seed))) for seed in range(arguments.seeds)]
        made = [one.get() for one in training]  # all of them, so that the arms of a seed really run side by side
        measuring = pool.apply_async(kept, (folder / "estimates.json", estimates, made[0], arguments.designs))
        rows = [
            kept(folder / str(seed) / "row.json", one_seed, pool, seed, supercircuit, arguments.cpu_s)
            for seed, supercircuit in enumerate(made)
        ]
        result.measurements["estimates"] = measuring.get()
    result.measurements["by_seed"] = rows
    result.measurements["mean_and_interval"] = {
        what: {arm: interval([row[arm][what] for row in rows]) for arm in ARMS} for what in WHATS
    }
    result.measurements["differences"] = {
        f"{ours} - {theirs}": {what: interval(differences(rows, ours, theirs, what)) for what in WHATS}
        for ours, theirs in PAIRS
    }
    tests = differences(rows, *TESTED, "noisy_test_accuracy")
    result.measurements["mean_and_interval"]["noisy_test_accuracy"] = {
        arm: interval([row[arm]["noisy_test_accuracy"] for row in rows]) for arm in TESTED
    }
    result.measurements["differences"]["ladder - single"]["noisy_test_accuracy"] = interval(tests)
    tau = result.measurements["estimates"]["scores"]["the ladder's estimate"]["noisy_accuracy"]
    result.bars = [
        _bench.above_zero(
            "hypervolume in equal time: ladder over single stage",
            differences(rows, "ladder", "single", "hypervolume"),
            "1",
        ),
        _bench.above_zero(
            "noisy test accuracy in equal time: ladder over single stage",
            tests,
            "1",
        ),
        _bench.above_zero(
            "hypervolume in equal time: ladder over the ladder that counts parameters",
            differences(rows, "ladder", "ladder_trivial", "hypervolume"),
            "1",
        ),
        _bench.bar("Kendall's tau of the cheap stage", tau[0], "1", "lower end of the 95 % interval > 0", tau[1] > 0),
    ]
    if arguments.seeds < SEEDS or arguments.cpu_s < CPU_S or arguments.designs < DESIGNS:
        result.bars = [_bench.not_met(entry, "fewer or shorter than the claim is about") for entry in result.bars]
    print(_bench.table(("compared", "what", "mean", "95 % interval"), list(report(result.measurements["differences"]))))
    return result.finish(arguments)


# The searches -----------------------------------------------------------------------------------------------------


class Ready(Evaluator):
    """An evaluator that was set up before the clock started."""

    def __init__(self, judge: Evaluator, context: Context):
        self.id, self.version, self.metrics, self.batch = judge.id, judge.version, judge.metrics, judge.batch
        self._judge, self._context = judge, context
        judge.setup(context)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return self._judge.evaluate(candidates, self._context)


class ParameterCount(QuickEstimate):
    """The control: more parameters are better, and nothing is tuned."""

    id = "ladder_claim.parameters"

    def _accuracies_and_losses(self, circuits: Sequence[Any]) -> list[tuple[float, float]]:
        most = 24 * self.options.max_blocks
        counts = [CoDesign((), widths).parameters / most for widths in circuits]
        return [(count, 1 - count) for count in counts]


def kept(path: Path, measure: Callable[..., Any], *arguments: Any) -> Any:
    """What an interrupted experiment measured before, or what it measures now."""
    if not path.is_file():
        path.write_text(json.dumps(measure(*arguments)), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def train(seed: int, folder: Path) -> Path:
    """The SuperCircuit that all arms of a seed start from."""
    folder.mkdir(exist_ok=True)
    with one_thread():
        return train_supercircuit(Options(data_seed=1 + seed), seed, folder)


def one_seed(pool: Any, seed: int, supercircuit: Path, cpu_s: float) -> dict[str, Any]:
    """All arms of one seed, each in a process of its own, side by side: {arm: measurements}."""
    began = time.perf_counter()
    found = pool.starmap(search, [(name, seed, supercircuit, cpu_s) for name in ARMS], chunksize=1)
    row: dict[str, Any] = {"seed": seed, **dict(zip(ARMS, found, strict=True))}
    row["took_s"] = round(time.perf_counter() - began, 1)
    print(f"seed {seed}: " + ", ".join(f"{arm} {row[arm]['hypervolume']:.4f}" for arm in ARMS), flush=True)
    return row


def search(name: str, seed: int, supercircuit: Path, cpu_s: float) -> dict[str, Any]:
    """One arm for so many CPU seconds, and what it had found by then."""
    algorithm, settings, lag, ladder = ARMS[name]
    options = Options(data_seed=1 + seed, ladder=ladder is not None)
    made = problem(**options.model_dump())
    stages = list(made.stages)
    if ladder == "parameters":
        stages[0] = dataclasses.replace(stages[0], evaluator=ParameterCount(options, coupling_of(options.device)))
    context = Context(artifacts={"supercircuit": supercircuit})
    stages = [Stage(stage.name, Ready(stage.evaluator, context), stage.share) for stage in stages]
    warm_up(options)
    seen: list[tuple[float, str, Any, Any]] = []  # (CPU seconds, stage, design, metrics)
    subject = dataclasses.replace(made, stages=stages, prepare=None)
    with (
        one_thread(),
        Study(subject, algorithm=algorithm, algorithm_options=settings, lag=lag, seed=seed, runner="inline") as study,
    ):
        began = time.process_time()

        def note(event: Any) -> None:
            if isinstance(event, Told | Staged) and event.trial.outcome.ok:
                spent = time.process_time() - began
                if spent <= cpu_s:
                    seen.append((spent, event.trial.stage, event.trial.design, event.trial.outcome.metrics))
                else:
                    study.stop()

        study.listen(note)
        study.run(trials=1_000_000)
        agreements = [str(agreement) for agreement in study.agreements()]
    exact = list({entry[2].key: entry for entry in seen if entry[1] == stages[-1].name}.values())
    best = max(exact, key=lambda entry: (entry[3]["noisy_accuracy"], -entry[3]["two_qubit_gates"]))
    over_time = []
    for mark in MARKS:
        found = [entry[3] for entry in exact if entry[0] <= mark * cpu_s]
        over_time.append(
            {
                "cpu_s": mark * cpu_s,
                "judged_exactly": len(found),
                "hypervolume": hypervolume([(m["noisy_accuracy"], m["two_qubit_gates"]) for m in found]),
                "best_noisy_validation_accuracy": max((m["noisy_accuracy"] for m in found), default=CHANCE),
            }
        )
    return {
        "designs": len({entry[2].key for entry in seen}),
        "judged_exactly": len(exact),
        "hypervolume": over_time[-1]["hypervolume"],
        "best_noisy_validation_accuracy": best[3]["noisy_accuracy"],
        **(tested(options, made.space.build(best[2]), seed) if name in TESTED else {}),
        "over_time": over_time,
        "agreements": agreements,
    }


def warm_up(options: Options) -> None:
    """Imports what the first evaluation would import."""
    design = CoDesign((0, 1, 2, 3), ((1, 1),))
    scorer = NoisyScorer(
        Mapper(QuantumDevice.from_name(options.device), options.optimization_level, 0), read_training_images(options)[1]
    )
    scorer.logits(scorer.map(design, np.ones((1, 2, 4, 3)), None))


def tested(options: Options, design: CoDesign, seed: int) -> dict[str, Any]:
    """The design trained from scratch and tested once, as `coevo export` does it."""
    training, validation = read_training_images(options)
    mapper = Mapper(QuantumDevice.from_name(options.device), options.optimization_level, options.transpiler_seed)
    with one_thread():
        trained = train_restarts(options, design, training, seed)
        _, mapped = choose_restart(design, trained, NoisyScorer(mapper, validation), design.layout)
        test = read_test_images(options)
        logits = NoisyScorer(mapper, test).logits(mapped)
    return {
        "noisy_test_accuracy": accuracy_and_loss(logits, test.labels)[0],
        "two_qubit_gates": mapped.two_qubit_gates,
        "parameters": design.parameters,
    }


def differences(rows: Sequence[dict[str, Any]], ours: str, theirs: str, what: str) -> list[float]:
    return [row[ours][what] - row[theirs][what] for row in rows]


def report(found: dict[str, Any]) -> Any:
    for pair, whats in found.items():
        for what, ends in whats.items():
            text = "-" if ends["low"] is None else f"[{ends['low']:.4f}, {ends['high']:.4f}]"
            yield pair, what, ends["mean"], text


if __name__ == "__main__":
    sys.exit(main())
