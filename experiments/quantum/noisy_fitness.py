"""Does searching by noisy fitness beat searching by noise-free fitness (claim C2), and more so where noise is stronger?

For every seed one search by noise-free accuracy (which knows no device) and one by noisy accuracy on each device, with
the same SuperCircuit and equally many evaluations. The eight best designs of each are trained from scratch alike and
mapped at level 3, and the one that is best under the device's noise on validation examples is tested once under it: the
noise-free search's circuits too, on Qiskit's own layout (VF2 and VF2PostLayout), which knows the calibration. That is
the tuned baseline, noise-unaware only in what it searched by; beside it stands its single best circuit by noise-free
accuracy, on Qiskit's layout and on the trivial one, which is what the paper compares with.

Devices: the two noisiest and the two cleanest snapshots of five qubits, and FakeQuitoV2 with its noise scaled. Drift:
circuits chosen on a snapshot are judged again under ten random drifts of it.

    python experiments/quantum/noisy_fitness.py --out experiments/results/noisy_fitness.json
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _arms import (
    PACKAGES,
    PAPER,
    SEEDS,
    Finisher,
    _bench,
    changed,
    folder,
    interval,
    over_seeds,
    parser,
    search,
    shown,
    supercircuit,
)

from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.setting import Setting

DEVICES = ("FakeQuitoV2", "FakeYorktownV2", "FakeLimaV2", "FakeSantiagoV2")
SCALES = (0.5, 2.0, 4.0)
ARMS = ("noisy", "noise_free", "noise_free_best", "noise_free_best_trivial")
DRIFTS, SPREAD = 10, 0.3
TRIALS = 240


def main() -> int:
    arguments = parser(__doc__, TRIALS).parse_args()
    result = _bench.Result("noisy_fitness", packages=PACKAGES)
    result.settings = {
        "seeds": arguments.seeds,
        "trials": arguments.trials,
        "options": Options(**PAPER).model_dump(),
        "scales_of_FakeQuitoV2": list(SCALES),
        "drifts": {"count": DRIFTS, "spread": SPREAD},
    }
    rows = over_seeds(one_seed, arguments, arguments.trials)
    places = [name for name in rows[0] if name not in ("seed", "took_s")]
    gains = {
        place: [
            row[place]["noisy"]["noisy_test_accuracy"] - row[place]["noise_free"]["noisy_test_accuracy"] for row in rows
        ]
        for place in places
    }
    result.measurements = {
        "by_seed": rows,
        "noisy_test_accuracy": {
            place: {arm: interval([row[place][arm]["noisy_test_accuracy"] for row in rows]) for arm in ARMS}
            for place in places
        },
        "gain": {place: interval(values) for place, values in gains.items()},
        "gain_over_noise_free_best": {
            place: interval(
                [
                    row[place]["noisy"]["noisy_test_accuracy"] - row[place]["noise_free_best"]["noisy_test_accuracy"]
                    for row in rows
                ]
            )
            for place in places
        },
        "under_drift": {
            place: {
                arm: interval([float(np.mean(row[place][arm]["under_drift"])) for row in rows])
                for arm in ("noisy", "noise_free")
            }
            for place in DEVICES
        },
    }
    quito = ["FakeQuitoV2 x 0.5", "FakeQuitoV2", "FakeQuitoV2 x 2", "FakeQuitoV2 x 4"]
    slopes = [float(np.polyfit(np.log2([0.5, 1, 2, 4]), [gains[p][n] for p in quito], 1)[0]) for n in range(len(rows))]
    result.measurements["gain_per_doubling_of_noise"] = interval(slopes)
    result.bars = [_bench.above_zero(f"C2: gain on {place}", values, "1") for place, values in gains.items()]
    mean_gain = [float(np.mean([gains[place][n] for place in DEVICES])) for n in range(len(rows))]
    result.bars.append(_bench.above_zero("C2: gain, mean of the devices", mean_gain, "1"))
    result.bars.append(_bench.above_zero("C2: gain per doubling of the noise", slopes, "1"))
    if arguments.seeds < SEEDS or arguments.trials < TRIALS:
        result.bars = [_bench.not_met(entry, "fewer seeds or trials than the claim is about") for entry in result.bars]
    print(
        _bench.table(
            ("place", "noisy search", "noise-free search", "gain"),
            [
                (place, shown(found["noisy"]), shown(found["noise_free"]), shown(result.measurements["gain"][place]))
                for place, found in result.measurements["noisy_test_accuracy"].items()
            ],
        )
    )
    return result.finish(arguments)


def one_seed(seed: int, trials: int) -> dict[str, Any]:
    began = time.perf_counter()
    row: dict[str, Any] = {"seed": seed}
    with folder() as home:
        places = {name: name for name in DEVICES}
        quito = QuantumDevice.from_name("FakeQuitoV2")
        for scale in SCALES:
            path = Path(home) / f"quito_{scale:g}.json"
            quito.scaled(scale).write_snapshot(path)
            places[f"FakeQuitoV2 x {scale:g}"] = str(path)
        first = Setting.make(Options(data_seed=1 + seed, **PAPER))
        weights = supercircuit(first, seed, Path(home) / "supercircuit")
        trivial = tuple(range(first.n_qubits))
        # Noise-free accuracy knows no device: one search for all of them.
        on_trivial = Setting.make(changed(first.options, layout=trivial))
        unaware = search(on_trivial, weights, seed, trials, {"noise_free_accuracy": "max"})
        trained: dict[Any, Any] = {}
        for place, device in places.items():
            setting = Setting.make(changed(first.options, device=device))
            aware = search(setting, weights, seed, trials, {"noisy_accuracy": "max"})
            finisher = Finisher(setting, seed)
            finisher._trained = trained  # training knows no device
            chosen = {
                "noisy": finisher.choose(aware.designs),
                "noise_free": finisher.choose([CoDesign(None, design.layers) for design in unaware.designs]),
                "noise_free_best": finisher.choose([CoDesign(None, unaware.designs[0].layers)]),
                "noise_free_best_trivial": finisher.choose([CoDesign(trivial, unaware.designs[0].layers)]),
            }
            row[place] = {arm: finisher.test(entry) for arm, entry in chosen.items()}
            for arm, found in (("noisy", aware), ("noise_free", unaware)):
                row[place][arm]["searched"] = found.metrics
            if place in DEVICES:
                for arm in ("noisy", "noise_free"):
                    drifted = [finisher.scorers[0].device.perturbed(SPREAD, drift) for drift in range(DRIFTS)]
                    row[place][arm]["under_drift"] = [
                        finisher.test(chosen[arm], device=device)["noisy_test_accuracy"] for device in drifted
                    ]
    row["took_s"] = round(time.perf_counter() - began, 1)
    gains = {p: row[p]["noisy"]["noisy_test_accuracy"] - row[p]["noise_free"]["noisy_test_accuracy"] for p in places}
    print(f"seed {seed}: " + ", ".join(f"{place} {gain:+.3f}" for place, gain in gains.items()), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
