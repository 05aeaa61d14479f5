"""E1: a transformer grown from a shallow one, against one from scratch and against other ways to grow.

    python experiments/sana/growth.py --folder runs/sana --seeds 3 [--seconds 540] [--out FILE]

Every seed has its own scenes, weights and noise. A source of a third of the depth is trained; every strategy grows it
to the full depth, and is trained with the batches and noise that the transformer from scratch has, as many updates at
most. Counted are the updates and FLOPs until the held-out loss is that of the transformer from scratch at its end (the
mean of its last three validations): once without the source's training, as Sana-1.5 counts (60 % less), and once with.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _depth
import torch
from _depth import _bench

from coevo.spaces.sana.depth import grow
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training import Curve, NonFiniteLoss
from coevo.supernets.reproducibility import seed_of

SCRATCH, SOURCE = "scratch", "source"
DEFAULT = "partial_preservation, drop 2"
ARMS: dict[str, dict[str, Any]] = {
    "partial_preservation, drop 0": {"strategy": "partial_preservation", "drop_last": 0},
    "partial_preservation, drop 1": {"strategy": "partial_preservation", "drop_last": 1},
    DEFAULT: {"strategy": "partial_preservation", "drop_last": 2},
    "cyclic": {"strategy": "cyclic", "drop_last": 0},
    "cyclic, zero gate": {"strategy": "cyclic", "drop_last": 0, "zero_gate": True},
    "block_expand": {"strategy": "block_expand", "drop_last": 0},
    "block_expand, zero gate": {"strategy": "block_expand", "drop_last": 0, "zero_gate": True},
    "progressive": {"strategy": "progressive", "drop_last": 0},
    "interpolation": {"strategy": "interpolation", "drop_last": 0},
    "random": {"strategy": "random", "drop_last": 0},
}
LAST = 3
"""Validations that make the loss at the end."""


def parsed(words: list[str] | None) -> argparse.Namespace:
    options = _depth.parser(__doc__)
    options.add_argument("--source-depth", type=int, default=6)
    options.add_argument("--depth", type=int, default=18)
    options.add_argument("--source-steps", type=int, default=1500)
    options.add_argument("--steps", type=int, default=1500)
    options.add_argument("--validate-every", type=int, default=50)
    return options.parse_args(words)


def end_of(curve: Curve) -> float:
    """The loss at the end of a curve."""
    return statistics.fmean(loss for _, loss in curve.validations[-LAST:])


class Seed:
    """The trainings of one seed."""

    def __init__(self, arguments: argparse.Namespace, rows: _depth.Rows, seed: int) -> None:
        self.arguments, self.rows, self.seed = arguments, rows, seed
        self.scenes = _depth.Scenes(arguments, seed)
        self._source: SanaTransformer | None = None

    def row(self, name: str, model: SanaTransformer, steps: int) -> dict[str, Any]:
        """A training of its own; the model is trained in place."""
        began, curve, diverged = time.perf_counter(), Curve(steps), None
        try:
            curve = self.scenes.train(model, self.scenes.recipe(steps), self.arguments.validate_every)
        except NonFiniteLoss as error:
            if name in (SCRATCH, SOURCE):
                raise  # nothing to compare with
            diverged = error.update
        found = {"steps": steps, "final_loss": None if diverged else end_of(curve),
                 "first_loss": None if diverged else curve.validations[0][1], "diverged_at": diverged,
                 "step_flops": self.scenes.step_flops(model.config), "curve": curve.validations,
                 **_depth.costs(model.config, self.scenes.parts["train"].text.shape[1]),
                 "seconds": time.perf_counter() - began}  # fmt: skip
        return self.rows.find(self.seed, name) or self.rows.add(self.seed, name, found)

    def source(self) -> SanaTransformer:
        """The shallow one, trained again where a stopped run goes on."""
        if self._source is None:
            self.rows.check_time()
            self._source = self.scenes.transformer(self.arguments.source_depth, self.seed)
            self.row(SOURCE, self._source, self.arguments.source_steps)
        return self._source

    def run(self) -> None:
        """All that is not there yet, scratch first."""
        if self.rows.find(self.seed, SCRATCH) is None:
            self.rows.check_time()
            self.row(SCRATCH, self.scenes.transformer(self.arguments.depth, self.seed), self.arguments.steps)
        for name, how in ARMS.items():
            if self.rows.find(self.seed, name) is None:
                source = self.source()
                self.rows.check_time()
                generator = torch.Generator().manual_seed(seed_of(self.seed, "growth", name))
                grown = grow(source, self.arguments.depth, generator=generator, **how)
                self.row(name, grown, self.arguments.steps)


def compared(rows: _depth.Rows, seed: int) -> dict[str, dict[str, Any]] | None:
    """By arm, what it took to reach the loss of scratch; None where a row of the seed is missing."""
    scratch, source = rows.find(seed, SCRATCH), rows.find(seed, SOURCE)
    if scratch is None or source is None or any(rows.find(seed, name) is None for name in ARMS):
        return None
    target = scratch["final_loss"]
    own = Curve(scratch["steps"], validations=scratch["curve"]).reached(target)
    assert own is not None  # a mean of its validations
    whole = own * scratch["step_flops"]
    found: dict[str, dict[str, Any]] = {}
    for name in (SCRATCH, *ARMS):
        row = rows.find(seed, name)
        assert row is not None
        reached = Curve(row["steps"], validations=row["curve"]).reached(target)
        flops = None if reached is None else reached * row["step_flops"]
        before = 0.0 if name == SCRATCH else source["steps"] * source["step_flops"]
        found[name] = {
            "steps": reached,
            "tflops": None if flops is None else flops / 1e12,
            "saved": None if flops is None else 1 - flops / whole,
            "tflops_with_source": None if flops is None else (flops + before) / 1e12,
            "saved_with_source": None if flops is None else 1 - (flops + before) / whole,
            "final_loss": row["final_loss"],
            "loss_over_scratch": None if row["final_loss"] is None else row["final_loss"] - target,
        }
    return found


def summary(by_seed: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Means over the seeds, by arm; None where a seed did not reach the loss."""
    found: dict[str, dict[str, Any]] = {}
    for name in by_seed[0]:
        columns = {key: [each[name][key] for each in by_seed] for key in by_seed[0][name]}
        found[name] = {k: None if None in v else statistics.fmean(v) for k, v in columns.items()}
        found[name]["reached_of_seeds"] = sum(each is not None for each in columns["steps"])
    return found


def bars_of(by_seed: list[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Unreached counts as nothing saved."""

    def saved(key: str, name: str = DEFAULT) -> list[float]:
        return [each[name][key] if each[name][key] is not None else -math.inf for each in by_seed]

    def above(name: str, values: list[float], note: str = "") -> dict[str, Any]:
        if not all(map(math.isfinite, values)):
            return _bench.bar(name, None, "", "lower end of the 95 % t-interval > 0", False, "a seed did not get there")
        return _bench.above_zero(name, values, "share of FLOPs", note)

    mean = statistics.fmean(saved("saved"))
    others = [name for name in ARMS if ARMS[name]["strategy"] != ARMS[DEFAULT]["strategy"]]
    worst = [
        each[DEFAULT]["saved"] - max(each[n]["saved"] for n in others if each[n]["saved"] is not None)
        if each[DEFAULT]["saved"] is not None and any(each[n]["saved"] is not None for n in others)
        else (math.inf if each[DEFAULT]["saved"] is not None else -math.inf)
        for each in by_seed
    ]
    return [
        above("FLOPs saved by growing, source not counted", saved("saved")),
        _bench.at_least("the paper's 60 % less, source not counted", mean if math.isfinite(mean) else None,
                        "share of FLOPs", 0.6),
        above("FLOPs saved by growing, source counted", saved("saved_with_source")),
        above("partial preservation against the best other strategy of a seed", worst),
    ]  # fmt: skip


def main(words: list[str] | None = None) -> int:
    arguments = parsed(words)
    result = _bench.Result("sana_growth", ("torch",))
    configuration = _depth.configuration_of(arguments)
    result.settings = {**configuration, "seeds": arguments.seeds, "arms": ARMS, "paper": "60 % less (Sana-1.5, 2.1)"}
    rows = _depth.Rows(arguments.folder / "growth.jsonl", configuration, arguments.seconds)
    try:
        for seed in range(arguments.seeds):
            if compared(rows, seed) is None:
                Seed(arguments, rows, seed).run()
    except _depth.OutOfTime:
        print("the seconds are over; the same command goes on", flush=True)
    by_seed = [found for seed in range(arguments.seeds) if (found := compared(rows, seed)) is not None]
    result.measurements = {"seeds": len(by_seed), "rows": rows.rows, "by_seed": by_seed}
    if by_seed:
        result.measurements["summary"] = summary(by_seed)
        head = ("arm", "steps", "saved", "saved_with_source", "final_loss", "reached_of_seeds")
        table = [(name, *(row[key] for key in head[1:])) for name, row in result.measurements["summary"].items()]
        print(_bench.table(head, table), flush=True)
        result.bars = bars_of(by_seed)
        if len(by_seed) < max(3, arguments.seeds):
            result.bars = [_bench.not_met(each, "fewer seeds than asked for, or than 3") for each in result.bars]
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
