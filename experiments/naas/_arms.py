"""What the experiments on accelerators share: one search of a chip, and judging chips alike in the end.

A search's best is the least of many noisy inner searches, a baseline is judged once; so at the end the baseline and
the best of every arm are mapped again, by the same mapper, with `FINAL` times the evaluations and a seed that no search
had.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from coevo.search.evaluator import Context
from coevo.search.study import Study
from coevo.spaces.naas import Options
from coevo.spaces.naas.definition import problem_of
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.hardware import answers_of
from coevo.spaces.naas.judging import ChipJudge
from coevo.spaces.naas.setting import Setting

PACKAGES = ("numpy", "numba")
FINAL = 10
FINAL_SEED = 2**40
POPULATION = 40


@dataclass(frozen=True)
class Searched:
    """The best design of a search by EDP, how many distinct chips it saw, and how long it took."""

    design: CoDesign
    distinct: int
    wall_s: float


def search(setting: Setting, seed: int, trials: int, algorithm: str = "nsga2") -> Searched:
    """One search in this process for the least EDP; every arm begins with the design next to the baseline."""
    made = problem_of(setting)
    judge = made.stages[-1].evaluator
    began = time.perf_counter()
    with Study(
        made,
        algorithm=algorithm,
        algorithm_options={"population": POPULATION} if algorithm == "nsga2" else {},
        seed=seed,
        runner="inline",
    ) as study:
        options = setting.options
        study.enqueue(answers_of(setting.template, options.encoding, options.connectivity, options.loops_per_axis))
        study.run(trials=trials)
        done = [trial for trial in study.trials() if trial.outcome.ok]
        best = min(done, key=lambda trial: (trial.outcome.metrics["edp_js"], trial.index))
        distinct = len({judge.cache_key(made.space.build(trial.design)) for trial in done})
        return Searched(made.space.build(best.design), distinct, time.perf_counter() - began)


def baseline(setting: Setting) -> CoDesign:
    """The chip that the resources are from, as it is."""
    return CoDesign(setting.template.own_design())


def judged(setting: Setting, design: CoDesign) -> dict[str, float]:
    """Metrics of a design mapped with `FINAL` times the evaluations."""
    options = setting.options
    thorough = Setting.make(
        Options(**(options.model_dump() | {"mapping_evaluations": FINAL * options.mapping_evaluations}))
    )
    judge = ChipJudge(thorough)
    outcome = judge.judge(design, Context(seed=FINAL_SEED, label=judge.label))
    if not outcome.ok:
        raise RuntimeError(f"{design.hardware}: {outcome.failure}")
    return dict(outcome.metrics)


def ratios(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """How many times better `after` is."""
    return {
        "speedup": before["latency_ms"] / after["latency_ms"],
        "energy": before["energy_mj"] / after["energy_mj"],
        "edp": before["edp_js"] / after["edp_js"],
    }


def shape(design: CoDesign) -> dict[str, Any]:
    return design.hardware.as_json()
