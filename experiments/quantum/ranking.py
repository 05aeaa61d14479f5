"""Which scores rank circuits as training them does (claims C1, C5 and C6)?

For every seed 60 random designs, five of each of twelve random parameter counts, are trained from scratch in one batch,
twice, and two truths averaged over both trainings: the noise-free validation loss, and the validation accuracy under
the exact noise of the device, mapped at level 2 on the design's own layout. The same designs are ranked by cheaper
scores:

    inherited           with the angles of a SuperCircuit, of each sampler, as QuantumNAS searches: the validation loss,
                        noise-free and under exact noise, and the accuracy under exact noise
    20 steps, 100 steps the same after masked parallel fine-tuning on all training examples, as our search does
    untrained           the same from the SuperCircuit's random start: what training it adds
    ladder              20 steps on 128 examples, noise-free: the cheap stage of the ladder
    success             the success rate of the mapped circuit (ESP): "full" with readout and idling, or "estnoise", the
                        artifact's; loss / success is how QuantumNAS scores large circuits
    CNR, RepCap         Elivagar's two scores, Clifford noise resilience and representational capacity, which train
                        nothing, and its product of them, RepCap CNR^0.5
    parameters, gates   the trivial scores: more parameters, fewer two-qubit gates; and chance

Spearman's and Kendall's correlations with each truth, over all designs, within strata of equal parameter count, where
the trivial score cannot help, and for the noisy truth within eight strata of (nearly) equally many two-qubit gates.
Intervals are over seeds: other examples, designs, SuperCircuits and trainings.

    python experiments/quantum/ranking.py --out experiments/results/ranking.json
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _arms import PACKAGES, PAPER, SEEDS, _bench, changed, folder, interval, over_seeds, parser, shown, supercircuit
from _scores import OF_A_COUNT, SCRATCH_STEPS, TRUTHS, Array, Scores, Strata
from scipy.stats import kendalltau, spearmanr

from coevo.spaces.quantumnas import Options
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.supercircuit import load_supercircuit
from coevo.spaces.quantumnas.training.threads import one_thread

DESIGNS, GATE_STRATA = 60, 8
SAMPLERS = ("plain", "restricted", "gate_count", "expanding", "shrinking")
ORDER = ("shrinking", "restricted", "plain")  # claim C5: each better than the next


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--designs", type=int, default=DESIGNS, help=f"a multiple of {OF_A_COUNT}, 10 at least")
    arguments = options.parse_args()
    if arguments.designs < 2 * OF_A_COUNT or arguments.designs % OF_A_COUNT:
        options.error(f"--designs: expected a multiple of {OF_A_COUNT}, 10 at least, got {arguments.designs}")
    result = _bench.Result("ranking", packages=(*PACKAGES, "scipy"))
    result.settings = {
        "seeds": arguments.seeds,
        "designs": arguments.designs,
        "designs_of_a_parameter_count": OF_A_COUNT,
        "strata_of_gates": GATE_STRATA,
        "scratch_steps": SCRATCH_STEPS,
        "trainings": 2,
        "options": Options(**PAPER).model_dump() | {"data_seed": "1 + seed", "sampler": list(SAMPLERS)},
    }
    rows = over_seeds(one_seed, arguments, arguments.designs)
    names = list(rows[0]["scores"])
    result.measurements = {
        "by_seed": rows,
        "agreement_of_both_trainings": {
            truth: interval([row["agreement_of_both_trainings"][truth] for row in rows]) for truth in TRUTHS
        },
        "cpu_ms": {name: float(np.mean([row["scores"][name]["cpu_ms"] for row in rows])) for name in names},
        **{
            truth: {
                name: {
                    measure: interval([row["scores"][name][truth][measure] for row in rows])
                    for measure in rows[0]["scores"][name][truth]
                }
                for name in names
            }
            for truth in TRUTHS
        },
    }
    result.bars = bars(rows)
    if arguments.seeds < SEEDS or arguments.designs < DESIGNS:
        result.bars = [_bench.not_met(entry, "fewer seeds or designs than the claim is about") for entry in result.bars]
    for truth in TRUTHS:
        found = result.measurements[truth]
        measures = list(found[names[0]])
        table = [(name, *(shown(found[name][measure]) for measure in measures)) for name in names]
        print(f"\n{truth}\n" + _bench.table(("score", *measures), table), flush=True)
    return result.finish(arguments)


def bars(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    def rho(name: str) -> list[float]:
        return [row["scores"][name]["noise_free_loss"]["spearman"] for row in rows]

    def over(one: str, other: str) -> list[float]:
        return [a - b for a, b in zip(rho(one), rho(other), strict=True)]

    found = []
    for name in ("inherited, noise-free loss (shrinking)", "100 steps, noise-free loss (shrinking)"):
        text = shown(interval(rho(name)))
        found.append(_bench.at_least(f"C1: Spearman of {name}", float(np.mean(rho(name))), "1", 0.6, text))
        found.append(_bench.above_zero(f"C1: {name} over the number of parameters", over(name, "parameters"), "1"))
    for one, other in pairwise(ORDER):
        ours, theirs = (f"inherited, noise-free loss ({sampler})" for sampler in (one, other))
        found.append(_bench.above_zero(f"C5: inherited, {one} over {other}", over(ours, theirs), "1"))
    scores = [score for row in rows for score in row["scores"].values()]
    said = sum(score["distinct_values"] > 1 for score in scores)
    found.append(
        _bench.bar("C6: scores that tell designs apart", said, "over all seeds", str(len(scores)), said == len(scores))
    )
    return found


def one_seed(seed: int, count: int) -> dict[str, Any]:
    began = time.perf_counter()

    def say(what: str) -> None:
        print(f"seed {seed}: {what} after {time.perf_counter() - began:.0f} s", flush=True)

    with one_thread(), folder() as home:
        scores = Scores(Setting.make(Options(data_seed=1 + seed, **PAPER)), seed, count)
        trained = scores.train()
        say("trained from scratch")
        starts = {"untrained": 0} | dict.fromkeys(SAMPLERS)
        for name, steps in starts.items():
            options = scores.setting.options
            other = {"supercircuit_steps": steps} if steps is not None else {"sampler": name}
            setting = Setting.make(changed(options, **other), scores.setting.task)
            start = load_supercircuit(supercircuit(setting, seed, Path(home) / name))
            scores.inherited(name, start)
        say("inherited")
        scores.without_angles()
        scores.elivagar()
        say("all scores")
    truths = {name: np.mean([training[name] for training in trained], axis=0) for name in TRUTHS}
    gates = np.argsort([mapped.two_qubit_gates for mapped in scores.mapped], kind="stable")
    by_gates = np.array_split(gates, min(GATE_STRATA, count // OF_A_COUNT))
    return {
        "seed": seed,
        "parameters": [scores.setting.template.parameters(design.layers) for design in scores.designs],
        "truth": {name: values.tolist() for name, values in truths.items()},
        "agreement_of_both_trainings": {
            name: float(spearmanr(trained[0][name], trained[1][name]).statistic) for name in TRUTHS
        },
        "scores": {
            name: {
                "cpu_ms": cpu_ms,
                "distinct_values": len(np.unique(values)),
                # A low loss is good and so is a high score.
                "noise_free_loss": agreement(values, -truths["noise_free_loss"], {"parameters": scores.strata}),
                "noisy_accuracy": agreement(
                    values, truths["noisy_accuracy"], {"parameters": scores.strata, "gates": by_gates}
                ),
            }
            for name, (values, cpu_ms) in scores.found.items()
        },
        "took_s": round(time.perf_counter() - began, 1),
    }


def agreement(score: Array, truth: Array, strata: dict[str, Strata]) -> dict[str, float]:
    """Rank correlations over all designs, and their means within strata; a constant score agrees with nothing (0)."""

    def of(statistic: Any, rows: Array) -> float:
        if np.ptp(score[rows]) == 0:
            return 0.0
        return float(statistic(score[rows], truth[rows]).statistic)

    found = {}
    for name, statistic in (("spearman", spearmanr), ("kendall", kendalltau)):
        found[name] = of(statistic, np.arange(len(score)))
        for what, parts in strata.items():
            # A stratum of one, or of equal truths, says nothing.
            within = [of(statistic, part) for part in parts if len(part) > 1 and np.ptp(truth[part]) > 0]
            found[f"{name}_within_{what}"] = math.fsum(within) / len(within) if within else 0.0
    return found


if __name__ == "__main__":
    sys.exit(main())
