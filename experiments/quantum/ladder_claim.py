"""Does the ladder (`[options] ladder = true`) find more than the quickstart's single exact stage in equal time?

For every seed (another split of the digits, another SuperCircuit, another search) all arms start from the same
SuperCircuit and search for equal CPU seconds:

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
How well the cheap stage's score ranks designs, beside others, is `ranking.py`'s question.

    python experiments/quantum/ladder_claim.py --out experiments/results/ladder_claim.json
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _arms import PACKAGES, PAPER, SEEDS, Finisher, _bench, folder, interval, supercircuit

from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome
from coevo.search.events import Staged, Told
from coevo.search.problem import Stage
from coevo.search.study import Study
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.ansatz.human import full_width
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.judging.estimate import QuickEstimate
from coevo.spaces.quantumnas.mapping.routing import RoutingEstimate
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.threads import one_thread

CPU_S = 15.0
CHANCE, MANY_GATES = 0.25, 100  # the reference point of the hypervolume
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
    arguments = options.parse_args()
    result = _bench.Result("ladder_claim", packages=PACKAGES)
    result.settings = {
        "seeds": arguments.seeds,
        "cpu_s": arguments.cpu_s,
        "options": Options(ladder=True, **PAPER).model_dump() | {"data_seed": "1 + seed"},
        "arms": {
            name: dict(zip(("algorithm", "settings", "lag", "ladder"), arm, strict=True)) for name, arm in ARMS.items()
        },
        "hypervolume_reference": {"noisy_accuracy": CHANCE, "two_qubit_gates": MANY_GATES},
        "currency": "CPU seconds of the searching process; arms of a seed side by side",
    }
    with contextlib.ExitStack() as stack:
        home = arguments.keep or Path(stack.enter_context(folder()))
        # A session each: Linux shares its cores out by session first, and arms are to be equals of whatever else runs.
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(len(ARMS), os.setsid))
        training = [pool.apply_async(train, (seed, home / str(seed))) for seed in range(arguments.seeds)]
        made = [one.get() for one in training]  # all of them, so that the arms of a seed really run side by side
        rows = [
            kept(home / str(seed) / "row.json", one_seed, pool, seed, weights, arguments.cpu_s)
            for seed, weights in enumerate(made)
        ]
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
    ]
    if arguments.seeds < SEEDS or arguments.cpu_s < CPU_S:
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


class ParameterCount(Evaluator):
    """The control in the cheap stage's place: more parameters are better, nothing is tuned, and routing is estimated as
    that stage does it."""

    id = "ladder_claim.parameters"
    version = "2"
    batch = QuickEstimate.batch

    def __init__(self, setting: Setting):
        self.setting = setting
        self.metrics = QuickEstimate(setting).metrics
        self._route = RoutingEstimate(setting.coupling, setting.template)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [self._outcome(candidate.value) for candidate in candidates]

    def _outcome(self, design: CoDesign) -> Outcome:
        template = self.setting.template
        two_qubit_gates, depth = self._route(design)
        parameters = template.parameters(design.layers)
        share = parameters / template.n_angles
        sizes = {"two_qubit_gates": two_qubit_gates, "depth": depth, "parameters": parameters}
        return Outcome({"noisy_accuracy": share, "noisy_loss": 1 - share, "noise_free_accuracy": share, **sizes})


def kept(path: Path, measure: Callable[..., Any], *arguments: Any) -> Any:
    """What an interrupted experiment measured before, or what it measures now."""
    if not path.is_file():
        path.write_text(json.dumps(measure(*arguments)), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def setting_of(seed: int, ladder: bool = False) -> Setting:
    return Setting.make(Options(data_seed=1 + seed, ladder=ladder, **PAPER))


def train(seed: int, home: Path) -> Path:
    """The SuperCircuit that all arms of a seed start from."""
    return supercircuit(setting_of(seed), seed, home)


def one_seed(pool: Any, seed: int, weights: Path, cpu_s: float) -> dict[str, Any]:
    """All arms of one seed, each in a process of its own, side by side: {arm: measurements}."""
    began = time.perf_counter()
    found = pool.starmap(search, [(name, seed, weights, cpu_s) for name in ARMS], chunksize=1)
    row: dict[str, Any] = {"seed": seed, **dict(zip(ARMS, found, strict=True))}
    row["took_s"] = round(time.perf_counter() - began, 1)
    print(f"seed {seed}: " + ", ".join(f"{arm} {row[arm]['hypervolume']:.4f}" for arm in ARMS), flush=True)
    return row


def search(name: str, seed: int, weights: Path, cpu_s: float) -> dict[str, Any]:
    """One arm for so many CPU seconds, and what it had found by then."""
    algorithm, settings, lag, ladder = ARMS[name]
    setting = setting_of(seed, ladder is not None)
    made = problem_of(setting)
    stages = list(made.stages)
    if ladder == "parameters":
        stages[0] = dataclasses.replace(stages[0], evaluator=ParameterCount(setting))
    context = Context(artifacts={"supercircuit": weights})
    stages = [Stage(stage.name, Ready(stage.evaluator, context), stage.share) for stage in stages]
    warm_up(setting, stages)
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
        **(tested(setting, made.space.build(best[2]), seed) if name in TESTED else {}),
        "over_time": over_time,
        "agreements": agreements,
    }


def warm_up(setting: Setting, stages: Sequence[Stage]) -> None:
    """Imports, compiles and opens what the first evaluation would."""
    design = CoDesign(tuple(range(setting.n_qubits)), full_width(setting.template, 24))
    for stage in stages:
        stage.evaluator.evaluate([Candidate(0, "", design, 0, Path())], Context())


def tested(setting: Setting, design: CoDesign, seed: int) -> dict[str, Any]:
    """The design trained from scratch and tested once, as `coevo export` does it."""
    options = setting.options
    finisher = Finisher(setting, seed, options.optimization_level, (options.transpiler_seed,))
    found = finisher.test(finisher.choose([design]))
    return {name: found[name] for name in ("noisy_test_accuracy", "two_qubit_gates", "parameters")}


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """The share of the box from (chance, 100 two-qubit gates) to (1, 0) that some point is at least as good as."""
    volume, height = 0.0, CHANCE
    for accuracy, gates in sorted(points, key=lambda point: (point[1], -point[0])):
        if accuracy > height and gates < MANY_GATES:
            volume += (accuracy - height) * (MANY_GATES - gates)
            height = accuracy
    return volume / ((1 - CHANCE) * MANY_GATES)


def differences(rows: Sequence[dict[str, Any]], ours: str, theirs: str, what: str) -> list[float]:
    return [row[ours][what] - row[theirs][what] for row in rows]


def report(found: dict[str, Any]) -> Any:
    for pair, whats in found.items():
        for what, ends in whats.items():
            text = "-" if ends["low"] is None else f"[{ends['low']:.4f}, {ends['high']:.4f}]"
            yield pair, what, ends["mean"], text


if __name__ == "__main__":
    sys.exit(main())
