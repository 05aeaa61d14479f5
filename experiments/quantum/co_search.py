"""Does searching circuit and mapping together beat searching one of them, neither, or chance (claim C3)?

Arms of a seed have the same SuperCircuit and equally many evaluations; the eight best designs of each are trained from
scratch alike and mapped at level 3, and the one that is best under noise on validation examples is tested once:

    both            circuit and layout searched by noisy accuracy
    circuit         the circuit searched on the trivial layout
    post_layout     the circuits of `circuit`, routed there and then moved by VF2PostLayout
    mapping         the layout searched, for the human circuit of `both`'s best number of parameters
    neither         that human circuit on Qiskit's own layout (VF2 and VF2PostLayout at level 3)
    qiskit          the circuits of `both` on Qiskit's own layout: what the searched mapping adds
    circuit_qiskit  the circuit searched while Qiskit chooses every layout at level 3
    random          circuit and layout by random search
    native          circuit and layout of U3 and CZ on the device's own couplings, with a SuperCircuit of its own
    elivagar        the best of 200 candidates of these gates by Elivagar's ranking, which trains nothing, not even a
                    SuperCircuit; a candidate costs it three to four times the CPU time of a judgement
    human_depth     1 to 8 full blocks on Qiskit's own layout: a human who tries every depth, no search at all

    python experiments/quantum/co_search.py --seeds 10 --out experiments/results/co_search.json
    python experiments/quantum/co_search.py --noise-scale 2 --out experiments/results/co_search_noise_x2.json
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from _arms import (
    FINALISTS,
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
from coevo.spaces.quantumnas.ansatz.human import full_width
from coevo.spaces.quantumnas.judging.elivagar.search import elivagar_search
from coevo.spaces.quantumnas.setting import Setting

ARMS = (
    "both", "circuit", "post_layout", "mapping", "neither", "qiskit", "circuit_qiskit", "random", "native", "elivagar",
    "human_depth",
)  # fmt: skip
CLAIMED = (("both", "circuit"), ("both", "mapping"), ("both", "neither"), ("both", "random"))
OTHERS = (
    ("both", "qiskit"), ("both", "circuit_qiskit"), ("both", "post_layout"), ("native", "both"), ("native", "elivagar"),
    ("both", "elivagar"), ("both", "human_depth"),
)  # fmt: skip
ACCURACY = {"noisy_accuracy": "max"}
TRIALS = 240
CANDIDATES = 200  # of Elivagar


def main() -> int:
    options = parser(__doc__, TRIALS)
    options.add_argument("--noise-scale", type=float, default=1.0, help="of FakeQuitoV2's errors (1)")
    arguments = options.parse_args()
    result = _bench.Result("co_search", packages=PACKAGES)
    result.settings = {
        "seeds": arguments.seeds,
        "trials": arguments.trials,
        "noise_scale": arguments.noise_scale,
        "elivagar_candidates": min(CANDIDATES, arguments.trials),
        "options": Options(**PAPER).model_dump(),
    }
    rows = over_seeds(one_seed, arguments, arguments.trials, arguments.noise_scale)
    accuracy = {arm: [row[arm]["noisy_test_accuracy"] for row in rows] for arm in ARMS}
    differences = {
        (one, other): [a - b for a, b in zip(accuracy[one], accuracy[other], strict=True)]
        for one, other in (*CLAIMED, *OTHERS)
    }
    result.measurements = {
        "by_seed": rows,
        "noisy_test_accuracy": {arm: interval(values) for arm, values in accuracy.items()},
        "two_qubit_gates": {arm: interval([row[arm]["two_qubit_gates"] for row in rows]) for arm in ARMS},
        "differences": {f"{one} - {other}": interval(values) for (one, other), values in differences.items()},
    }
    result.bars = [
        _bench.above_zero(f"C3: noisy test accuracy of {one} over {other}", differences[one, other], "1")
        for one, other in CLAIMED
    ]
    if arguments.seeds < SEEDS or arguments.trials < TRIALS:
        result.bars = [_bench.not_met(entry, "fewer seeds or trials than the claim is about") for entry in result.bars]
    for part in ("noisy_test_accuracy", "differences"):
        print(
            _bench.table(
                (part, "mean and 95 % interval"), [(k, shown(v)) for k, v in result.measurements[part].items()]
            )
        )
    return result.finish(arguments)


def one_seed(seed: int, trials: int, noise_scale: float) -> dict[str, Any]:
    with folder() as home:
        options = Options(data_seed=1 + seed, **PAPER)
        if noise_scale != 1:
            snapshot = Path(home) / "scaled.json"
            QuantumDevice.from_name(options.device).scaled(noise_scale).write_snapshot(snapshot)
            options = changed(options, device=str(snapshot))
        return _arms_of(seed, trials, options)


def _arms_of(seed: int, trials: int, options: Options) -> dict[str, Any]:
    began = time.perf_counter()
    setting = Setting.make(options)
    trivial = tuple(range(setting.n_qubits))
    with folder() as home:
        weights = supercircuit(setting, seed, Path(home) / "u3cu3")

        def found(of: Setting, algorithm: str = "nsga2", file: Path = weights) -> Any:
            return search(of, file, seed, trials, ACCURACY, algorithm)

        both = found(setting)
        human = full_width(setting.template, setting.template.parameters(both.designs[0].layers))
        searched = {
            "both": both,
            "circuit": found(Setting.make(changed(options, layout=trivial))),
            "mapping": found(Setting.make(changed(options, layers=human))),
            "circuit_qiskit": found(Setting.make(changed(options, layout="qiskit", optimization_level=3))),
            "random": found(setting, "random"),
        }
        native = Setting.make(changed(options, gates="native"))
        natives = found(native, file=supercircuit(native, seed, Path(home) / "native"))
    clock = time.perf_counter()
    ranked = elivagar_search(native, min(CANDIDATES, trials), seed, keep=CANDIDATES)
    elivagar_s = time.perf_counter() - clock
    circuits = {one.design.layers: one for one in reversed(ranked)}  # of equal circuits the better place
    best = sorted(circuits.values(), key=lambda one: -one.score)[:FINALISTS]
    per_block = setting.template.parameters(tuple(tuple(range(4)) for _ in range(2)))
    depths = [full_width(setting.template, per_block * blocks) for blocks in range(1, options.blocks + 1)]
    designs = {name: one.designs for name, one in searched.items()} | {
        "neither": (CoDesign(None, human),),
        "qiskit": tuple(CoDesign(None, design.layers) for design in both.designs),
        "human_depth": tuple(CoDesign(None, layers) for layers in depths),
    }
    finisher, native_finisher = Finisher(setting, seed), Finisher(native, seed)
    chosen = {name: finisher.choose(several) for name, several in designs.items()}
    chosen["post_layout"] = finisher.choose(designs["circuit"], moved=True)
    chosen["native"] = native_finisher.choose(natives.designs)
    chosen["elivagar"] = native_finisher.choose([one.design for one in best])
    # Everything is settled: now, and only now, the test examples.
    row: dict[str, Any] = {
        name: (native_finisher if name in ("native", "elivagar") else finisher).test(entry)
        for name, entry in chosen.items()
    }
    row["elivagar"] |= {"searched": {"elivagar_score": best[0].score}, "search_s": round(elivagar_s, 1)}
    for name, one in (*searched.items(), ("native", natives)):
        row[name] |= {"searched": one.metrics, "distinct_designs": one.distinct, "search_s": round(one.wall_s, 1)}
    row |= {"seed": seed, "took_s": round(time.perf_counter() - began, 1)}
    print(f"seed {seed}: " + ", ".join(f"{a} {row[a]['noisy_test_accuracy']:.3f}" for a in ARMS), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
