"""Does a factor on the logits inside the training loss pay (option `sharpness`)?

QuantumNAS trains on the expectation values themselves as logits. They lie in [-1, 1], so a circuit that gets everything
right still has a loss near that of chance, and training goes on to move what is right already. Human designs of three
sizes are trained from scratch with several factors (three restarts and the factor's own best by noisy validation), on
Qiskit's own layout at level 3, and tested once under exact noise.

    python experiments/quantum/sharpness.py --out experiments/results/sharpness.json
"""

from __future__ import annotations

import sys
from typing import Any

from _arms import PACKAGES, SEEDS, Finisher, _bench, interval, over_seeds, parser, shown

from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.ansatz.human import full_width
from coevo.spaces.quantumnas.setting import Setting

TASKS = ("mnist4", "vowel4")
PARAMETERS = (36, 72, 96)
FACTORS = (1.0, 2.0, 4.0, 8.0, 16.0)
OURS = 4.0


def main() -> int:
    arguments = parser(__doc__).parse_args()
    result = _bench.Result("sharpness", packages=PACKAGES)
    result.settings = {"seeds": arguments.seeds, "device": Options().device, "parameters": list(PARAMETERS)}
    rows = over_seeds(one_seed, arguments)
    names = list(rows[0])
    result.measurements = {
        "by_seed": rows,
        **{
            metric: {name: interval([row[name][metric] for row in rows]) for name in names}
            for metric in ("noisy_test_accuracy", "noise_free_test_accuracy")
        },
    }
    found = result.measurements
    print(
        _bench.table(
            ("task, parameters, factor", "noisy test accuracy", "without noise"),
            [(n, shown(found["noisy_test_accuracy"][n]), shown(found["noise_free_test_accuracy"][n])) for n in names],
        )
    )
    for task in TASKS:
        bar = _bench.above_zero(
            f"{task}: noisy test accuracy of sharpness {OURS:g} over 1, mean of designs",
            [_gain(row, task) for row in rows],
            "1",
        )
        enough = arguments.seeds >= SEEDS
        result.bars.append(bar if enough else _bench.not_met(bar, "fewer seeds than the claim is about"))
    return result.finish(arguments)


def _gain(row: dict[str, Any], task: str) -> float:
    def mean(factor: float) -> float:
        found = [row[_name(task, count, factor)]["noisy_test_accuracy"] for count in PARAMETERS]
        return sum(found) / len(found)

    return mean(OURS) - mean(1.0)


def _name(task: str, parameters: int, factor: float) -> str:
    return f"{task}, {parameters}, x {factor:g}"


def one_seed(seed: int) -> dict[str, Any]:
    chosen = {}
    for task in TASKS:
        for factor in FACTORS:
            setting = Setting.make(Options(data=task, data_seed=1 + seed, sharpness=factor, optimization_level=3))
            finisher = Finisher(setting, seed, transpiler_seeds=(42,))
            for parameters in PARAMETERS:
                design = CoDesign(None, full_width(setting.template, parameters))
                chosen[_name(task, parameters, factor)] = finisher, finisher.choose([design])
    # Everything is settled: now, and only now, the test examples.
    return {name: finisher.test(entry) for name, (finisher, entry) in chosen.items()}


if __name__ == "__main__":
    sys.exit(main())
