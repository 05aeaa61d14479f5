"""Run folders to make reports of: a synthetic co-search with conditional choices, an order, a ladder, failures and a
constraint, evaluated in microseconds. What it computes means nothing; its shapes are those of real runs."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from coevo import Outcome, Pick, Problem, Space, Stage, Study
from coevo.search.evaluator import FunctionEvaluator

WIDTHS = (16, 24, 32, 48, 64, 96, 128)
METRICS = {"accuracy": "1", "latency_ms": "ms", "memory_mb": "MB"}
OBJECTIVES = {"accuracy": "max", "latency_ms": "min", "memory_mb": "min"}
CONSTRAINT = {"memory_mb": "<= 60"}


def build(pick: Pick) -> dict[str, Any]:
    """Up to 6 blocks, each with choices of its own; 12 to 30 choices a design."""
    depth = pick.integer("depth", 2, 6)
    blocks = []
    for i in range(depth):
        kind = pick.one(f"block{i}.kind", ("conv", "attention", "mlp"))
        block = {"kind": kind, "width": pick.one(f"block{i}.width", WIDTHS)}
        if kind == "attention":
            block["heads"] = pick.one(f"block{i}.heads", (1, 2, 4, 8))
        elif kind == "conv":
            block["kernel"] = pick.one(f"block{i}.kernel", (3, 5, 7))
        blocks.append(block)
    return {
        "blocks": blocks,
        "layout": pick.order("layout", ("a", "b", "c", "d", "e", "f")),
        "quantised": pick.some("quantised", tuple(range(6)), 2),
        "rate": pick.real("rate", 1e-4, 1e-1, log=True),
        "bits": pick.one("bits", (4, 8, 16)),
    }


def measure(value: dict[str, Any], noise: float) -> Outcome:
    """Deterministic in the value: what looks like noise is drawn from a seed made of it."""
    blocks, rng = value["blocks"], random.Random(repr(value))
    if rng.random() < 0.02:
        return Outcome.failed(f"diverged at step {rng.randint(10, 9000)}: loss is NaN")
    if value["bits"] == 4 and rng.random() < 0.1:
        return Outcome.failed("the kernel for 4 bits does not take this width")
    size = sum(block["width"] * block.get("kernel", 2) for block in blocks) * value["bits"] / 16
    worth = sum(math.log2(block["width"]) * (1.3 if block["kind"] == "attention" else 1.0) for block in blocks)
    rate = abs(math.log10(value["rate"]) + 2.5)
    order = sum(abs(place - "abcdef".index(item)) for place, item in enumerate(value["layout"]))
    accuracy = 1 - math.exp(-worth / 12) - 0.03 * rate - 0.02 * (value["bits"] == 4) + rng.gauss(0, noise)
    latency = 1.5 + size / 90 + 0.06 * order + sum(block.get("heads", 0) for block in blocks) / 16
    return Outcome({"accuracy": accuracy, "latency_ms": latency + rng.gauss(0, 5 * noise), "memory_mb": size / 12})


def cheap(value: dict[str, Any]) -> Outcome:
    """The first stage: the same with more noise."""
    return measure(value, 0.03)


def full(value: dict[str, Any]) -> Outcome:
    """The last stage."""
    return measure(value, 0.003)


def problem(stages: int = 2) -> Problem:
    """The synthetic co-search, with the cheap stage before the full one or without it."""
    evaluators = {"estimate": cheap, "full": full}
    ladder = tuple(
        Stage(name, FunctionEvaluator(judge, METRICS), *(() if name == "full" else (0.5,)))
        for name, judge in list(evaluators.items())[-stages:]
    )
    return Problem("synthetic", Space("bench/report/v1", build), ladder, dict(list(OBJECTIVES.items())[:2]))


def make_run(
    folder: Path,
    trials: int,
    objectives: int = 2,
    stages: int = 2,
    algorithm: str = "nsga2",
    seed: int = 0,
    constraints: dict[str, str] | None = None,
) -> Path:
    """Searches the synthetic problem into `folder` and returns it."""
    with Study(
        problem(stages),
        objectives=dict(list(OBJECTIVES.items())[:objectives]),
        constraints=CONSTRAINT if constraints is None else constraints,
        algorithm=algorithm,
        seed=seed,
        folder=folder,
        runner="inline",
        settings={"search": {"trials": trials}, "units": METRICS},
    ) as study:
        study.run(trials=trials)
    return folder
