"""Small problems for the tests of the command, named as "toy_problems:...": quick, and each with one thing to show."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coevo import Candidate, Context, Design, Evaluator, Outcome, Pick, Problem, Space, Stage, WorkContext
from coevo.errors import missing_extra


def build(pick: Pick) -> dict[str, Any]:
    depth = pick.integer("depth", 1, 4)
    widths = [pick.one(f"width{i}", (8, 16, 32)) for i in range(depth)]
    return {
        "widths": widths,
        "order": pick.order("order", ("a", "b", "c")),
        "rate": pick.real("rate", 0.001, 0.1, log=True),
    }


def check(value: dict[str, Any]) -> str | None:
    return None if sum(value["widths"]) <= 100 else f"{sum(value['widths'])} channels are over 100"


class Judge(Evaluator):
    """Accuracy grows with the channels, so does latency; an order that ends in "a" at depth 4 fails."""

    id = "toy-judge"
    metrics: Mapping[str, str] = {"accuracy": "", "latency_ms": "ms", "channels": ""}

    def __init__(self, sleep_s: float = 0.0):
        self.sleep_s = sleep_s

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [self.judged(candidate.value) for candidate in candidates]

    def judged(self, value: dict[str, Any]) -> Outcome:
        time.sleep(self.sleep_s)
        channels = sum(value["widths"])
        if len(value["widths"]) == 4 and value["order"][-1] == "a":
            return Outcome.failed(f"diverged <b>at</b> {channels} channels")
        accuracy = 1 - 1 / (1 + channels / 20) - abs(value["rate"] - 0.01)
        return Outcome(
            {"accuracy": accuracy, "latency_ms": 0.1 * channels + len(value["widths"]), "channels": channels}
        )


def problem(sleep_s: float = 0.0, note: str = "", prepare_steps: int = 2) -> Problem:
    def prepare(context: WorkContext) -> dict[str, Path]:
        for step in range(prepare_steps):
            context.progress(step + 1, prepare_steps, f"step {step + 1} of {prepare_steps}")
        path = context.folder / "net.json"
        path.write_text(json.dumps({"seed": context.seed}))
        return {"net": path}

    def export(design: Design, context: WorkContext) -> dict[str, float]:
        context.progress(1, 1, "writing")
        net = json.loads(context.artifact("net").read_text())
        (context.folder / "parts").mkdir()
        (context.folder / "parts" / "model.json").write_text(json.dumps({**net, "answers": dict(design.answers)}))
        return {"accuracy_int8": context.measured["accuracy"] - 0.01, "not_measured": float("nan")}

    def verify(folder: Path) -> list[str]:
        model = json.loads((folder / "parts" / "model.json").read_text())
        return [] if model["seed"] >= 0 else ["the seed is negative"]

    return Problem(
        "toy",
        Space("toy/v1", build, check),
        (Stage("full", Judge(sleep_s)),),
        {"accuracy": "max", "latency_ms": "min"},
        options={"sleep_s": sleep_s, "note": note, "prepare_steps": prepare_steps},
        prepare=prepare,
        export=export,
        verify=verify,
        draw=lambda value: "-".join(str(width) for width in value["widths"]),
        description="A toy with widths, an order and a rate.",
    )


def plain() -> Problem:
    """Nothing but a space and a judge."""
    return Problem("plain", Space("toy/v1", build, check), (Stage("full", Judge()),), {"accuracy": "max"})


def small() -> Problem:
    """Six designs, one objective, and nothing else."""

    def six(pick: Pick) -> dict[str, Any]:
        return {"widths": [pick.one("width", (8, 16, 32))] * pick.integer("depth", 1, 2), "order": "b", "rate": 0.01}

    return Problem("small", Space("small/v1", six), (Stage("full", Judge()),), {"accuracy": "max"})


def impossible() -> Problem:
    """No design is ever valid."""
    space = Space("impossible/v1", build, lambda value: "nothing is good enough")
    return Problem("impossible", space, (Stage("full", Judge()),), {"accuracy": "max"})


def needs_extra(level: int = 1) -> Problem:
    raise missing_extra("qiskit", "quantum")


def half_export() -> Problem:
    """Its export fails after it wrote a file."""

    def export(design: Design, context: WorkContext) -> dict[str, float]:
        (context.folder / "begun.txt").write_text("half")
        raise RuntimeError("out of luck")

    space = Space("toy/v1", build, check)
    return Problem("half", space, (Stage("full", Judge()),), {"accuracy": "max"}, export=export)


class BadSetup(Judge):
    def setup(self, context: Context) -> None:
        raise RuntimeError("the device is on fire")


def bad_setup() -> Problem:
    return Problem("bad", Space("toy/v1", build, check), (Stage("full", BadSetup()),), {"accuracy": "max"})
