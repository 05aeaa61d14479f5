"""E6: Sana's own claims, each beside what it replaced.

    python experiments/sana/claims.py --folder runs/sana --seeds 3 [--parts autoencoder ...] [--minutes 9] [--out FILE]

`autoencoder`: f32c32 against f8c4 on the same images: PSNR, how many reconstructions the oracle still reads, and one
transformer on the latents of each, at equal updates and at equal seconds of training, with seconds a sample.
`samplers`: Flow-DPM-Solver against Flow-Euler at equal steps from the same noise: distance to the solution of very many
steps, and the oracle's share. `attention`: transformers with linear and with softmax self-attention on the same scenes
from 256 to 16,384 tokens: held-out loss and the oracle's share. `time`: a block of Sana-0.6B with either, plain and on
coevo's kernels, bfloat16 and random weights, at as many tokens. Every row is written when it is done.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _claims
import _depth
import _generation
from _depth import _bench
from _generation import Studio

EQUAL_STEPS = (4, 6, 8, 10, 14, 20, 28, 40)
PARTS: dict[str, Callable[[argparse.Namespace, Studio, int], None]] = {
    "autoencoder": _claims.autoencoder,
    "samplers": _claims.samplers,
    "attention": _claims.attention,
    "time": _claims.block_times,
}


def parsed(words: list[str] | None) -> argparse.Namespace:
    options = _generation.parser(__doc__)
    options.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument("--per-category", type=int, default=8, help="prompts; single_object has 6")
    options.add_argument("--samples", type=int, default=16, help="a prompt")
    options.add_argument("--sampling-batch", type=int, default=256)
    options.add_argument("--width", type=int, default=256)
    options.add_argument("--depth", type=int, default=8)
    options.add_argument("--steps", type=int, default=3000, help="updates of a transformer on latents")
    options.add_argument("--size-px", type=int, default=128, help="of the images of both autoencoders")
    options.add_argument("--held-out", type=int, default=512)
    options.add_argument("--sampling-steps", type=int, default=20)
    options.add_argument("--solver-steps", type=int, nargs="+", default=EQUAL_STEPS)
    options.add_argument("--reference-steps", type=int, default=500)
    options.add_argument(
        "--attention-sides", type=int, nargs="+", default=(16, 32, 64, 128), help="of the tokens' grid"
    )
    options.add_argument("--attention-steps", type=int, default=800)
    options.add_argument("--attention-tokens", type=int, default=131072, help="of a batch, all images together")
    options.add_argument("--attention-scenes", type=int, default=16384)
    options.add_argument("--attention-width", type=int, default=128)
    options.add_argument("--attention-depth", type=int, default=6)
    options.add_argument("--attention-samples", type=int, default=4, help="a prompt")
    options.add_argument("--time-model", default="sana-0.6b")
    options.add_argument("--time-repeats", type=int, default=20)
    return options.parse_args(words)


def paired(
    rows: _depth.Rows, seeds: int, first: str, second: str, key: str, how: Callable[[Any, Any], float]
) -> list[float]:
    """What `how` makes of two rows' columns, for the seeds that have both."""
    pairs = [(rows.find(seed, first), rows.find(seed, second)) for seed in range(seeds)]
    return [how(a[key], b[key]) for a, b in pairs if a is not None and b is not None]


def less(a: Any, b: Any) -> float:
    """The difference of oracle's shares."""
    return float(a["overall"] - b["overall"])


def bars_of(rows: _depth.Rows, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One bar a claim that all its seeds have rows for."""
    seeds = arguments.seeds
    found: list[tuple[dict[str, Any], int]] = []

    def add(made: Callable[[list[float]], dict[str, Any]], values: list[float]) -> None:
        if values:
            found.append((made(values), len(values)))

    f32, f8 = _claims.F32, _claims.F8_EQUAL_SECONDS
    add(lambda v: _bench.above_zero("f32 over f8 latents at equal training seconds", v, "share of prompts"),
        paired(rows, seeds, f32, f8, "accepted", less))  # fmt: skip
    add(lambda v: _bench.at_least("seconds a sample, f8 over f32", statistics.fmean(v), "", 1.0),
        paired(rows, seeds, f8, f32, "sample_s", lambda a, b: a / b))  # fmt: skip
    for steps in arguments.solver_steps:
        names = [_claims.solver_name(solver, steps) for solver in ("flow_euler", "flow_dpm")]
        add(lambda v, steps=steps: _bench.above_zero(
                f"log of Euler's over Flow-DPM-Solver's distance to the solution, {steps} steps", v, ""),
            paired(rows, seeds, *names, "distance", lambda a, b: math.log(a / b)))  # fmt: skip
    for dpm, euler in ((14, 28), (20, 40)):
        if {dpm, euler} <= set(arguments.solver_steps):
            add(lambda v, dpm=dpm, euler=euler: _bench.at_least(
                    f"Flow-DPM-Solver at {dpm} steps less Euler at {euler}, oracle", statistics.fmean(v),
                    "share of prompts", -0.02),
                paired(rows, seeds, _claims.solver_name("flow_dpm", dpm), _claims.solver_name("flow_euler", euler),
                       "accepted", less))  # fmt: skip
    for side in arguments.attention_sides:
        names = [_claims.attention_name(kind, side) for kind in ("linear", "softmax")]
        add(lambda v, side=side: _bench.at_most(
                f"held-out loss, linear over softmax, {side**2} tokens", statistics.fmean(v), "", 1.05),
            paired(rows, seeds, *names, "held_out_loss", lambda a, b: a / b))  # fmt: skip
    bars = [
        bar if count >= max(3, seeds) else _bench.not_met(bar, "fewer seeds than asked for, or than 3")
        for bar, count in found
    ]
    times = [rows.find(0, _claims.time_name(side)) for side in arguments.attention_sides]
    for row in times:
        if row is not None and row["tokens"] >= 4096:
            bars.append(_bench.at_least(
                f"time of a block forward, softmax over linear on kernels, {row['tokens']} tokens",
                row["softmax, kernels"]["forward_s"] / row["linear, kernels"]["forward_s"], "", 1.0,
            ))  # fmt: skip
    return bars


def main(words: list[str] | None = None) -> int:
    arguments = parsed(words)
    result = _bench.Result("sana_claims", ("torch",))
    configuration = _generation.configuration_of(arguments)
    del configuration["parts"]
    result.settings = {**configuration, "seeds": arguments.seeds}
    rows = _depth.Rows(arguments.folder / "claims.jsonl", configuration, 60 * arguments.minutes)
    studio = Studio(arguments, rows)
    try:
        for part in arguments.parts:
            for seed in range(1 if part == "time" else arguments.seeds):
                PARTS[part](arguments, studio, seed)
    except _depth.OutOfTime:
        print("the minutes are over; the same command goes on", flush=True)
    result.measurements = {"rows": rows.rows}
    result.bars = bars_of(rows, arguments)
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
