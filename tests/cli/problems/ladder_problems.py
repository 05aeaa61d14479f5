"""Problems of three stages for the tests of the command, named as "ladder_problems:..."."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from coevo import Candidate, Context, Evaluator, Outcome, Pick, Problem, Space, Stage


def build(pick: Pick) -> dict[str, Any]:
    depth = pick.integer("depth", 1, 4)
    return {
        "widths": [pick.one(f"width{i}", (8, 16, 32)) for i in range(depth)],
        "places": pick.order("places", ("a", "b", "c")),
        "used": pick.some("used", ("x", "y", "z"), 2),
        "rate": pick.real("rate", 0.001, 0.1, log=True),
        "norm": pick.one("norm", (None, "batch", [1, 2])),
        "shift": pick.one("shift", (True, False)),
    }


class Judge(Evaluator):
    """The same truth seen through noise that falls from stage to stage. A rate over 0.05 fails in the second stage."""

    metrics: Mapping[str, str] = {"accuracy": "", "latency_ms": "ms"}

    def __init__(self, level: int, noise: float):
        self.id, self.level, self.noise = f"judge{level}", level, noise

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [self.judged(candidate) for candidate in candidates]

    def judged(self, candidate: Candidate) -> Outcome:
        value = candidate.value
        if self.level == 1 and value["rate"] > 0.05:
            return Outcome.failed(f"diverged at a rate of {value['rate']:.3f}")
        channels = sum(value["widths"])
        noise = self.noise * random.Random(f"{candidate.key}{self.level}").gauss(0, 1)
        accuracy = 1 - 1 / (1 + channels / 20) - abs(value["rate"] - 0.01) + noise
        return Outcome({"accuracy": accuracy, "latency_ms": 0.1 * channels + len(value["widths"])})


def problem(first: float = 0.2, share: float = 0.4) -> Problem:
    """`first` is the noise of the first stage, `share` what goes on from it."""
    stages = (Stage("proxy", Judge(0, first), share), Stage("short", Judge(1, 0.05), 0.5), Stage("full", Judge(2, 0.0)))
    return Problem(
        "ladder",
        Space("ladder/v1", build),
        stages,
        {"accuracy": "max", "latency_ms": "min"},
        options={"first": first, "share": share},
    )


def single() -> Problem:
    """The last stage alone."""
    objectives = {"accuracy": "max", "latency_ms": "min"}
    return Problem("single", Space("ladder/v1", build), (Stage("full", Judge(2, 0.0)),), objectives)


def lacking() -> Problem:
    """Its first stage measures one of the two objectives only."""
    cheap = Judge(0, 0.0)
    cheap.metrics = {"latency_ms": "ms"}
    stages = (Stage("proxy", cheap, 0.5), Stage("full", Judge(2, 0.0)))
    return Problem("lacking", Space("ladder/v1", build), stages, {"accuracy": "max", "latency_ms": "min"})
