"""Where a design stood at a gate: recomputed from told trials, it says what the gate said."""

from __future__ import annotations

import math
import random

import pytest

from coevo import Evaluator, Outcome, Problem, Space, Stage, Study
from coevo.search.promotion import WINDOW
from coevo.search.run import Run
from coevo.search.standing import standing

SPACE = Space("s/v1", lambda pick: [pick.integer(f"x{i}", 0, 4) for i in range(6)])


class Judge(Evaluator):
    def __init__(self, level, costs):
        self.id, self.level, self.metrics = f"judge{level}", level, dict.fromkeys(("y", "a", "b")[:costs], "")

    def evaluate(self, candidates, context):
        return [self.judged(candidate) for candidate in candidates]

    def judged(self, candidate):
        rng = random.Random(f"{candidate.key}{self.level}")
        if rng.random() < 0.1:
            return Outcome.failed("bad luck")
        value = candidate.value  # few distinct values, so that there are many ties
        return Outcome({name: sum(value[i:]) + rng.randrange(3) for i, name in enumerate(self.metrics)})


@pytest.mark.parametrize("costs", [1, 2, 3])
@pytest.mark.parametrize("constrained", [False, True])
def test_a_place_says_what_the_gate_decided(tmp_path, costs, constrained):
    shares = (0.3, 0.6)
    stages = [Stage(f"s{i}", Judge(i, costs), (*shares, 1.0)[i]) for i in range(3)]
    goals = dict(zip(("y", "a", "b")[:costs], ("max", "min", "max"), strict=False))
    limits = {"y": ">= 8"} if constrained else {}
    with Study(Problem("p", SPACE, stages, goals), constraints=limits, runner="inline", folder=tmp_path / "r") as study:
        study.run(trials=150)
    run = Run.open(tmp_path / "r")
    trials = {trial.index: trial for trial in run.trials()}
    seen = set()
    for trial in trials.values():
        for depth, result in enumerate(trial.reached[: len(shares)]):
            found = standing(trial.index, result.stage, trials, run.stages, run.goals)
            if result.stage == trial.stage and not trial.outcome.ok:
                assert found is None
                continue
            assert found is not None and 1 <= found.place <= found.window <= WINDOW
            went_on = result.stage != trial.stage
            assert (found.place <= math.ceil(shares[depth] * found.window)) is went_on
            seen.add((depth, went_on))
    assert len(seen) == 4
    assert standing(149, "s0", {i: t for i, t in trials.items() if i != 148}, run.stages, run.goals) is None
