"""E4: CAME with a first moment of eight bits, beside CAME in float32 and AdamW: bytes a parameter, and loss curves.

    python experiments/sana/came.py --folder runs/sana --seeds 3 [--seconds 300] [--out FILE]

Every seed has its own scenes, weights and noise, which all optimisers share. Each of them tries the learning rates of
`--rates` and is compared at the one with the lowest loss on images that do not judge. Eight-bit AdamW of torchao and of
bitsandbytes run where these are installed; where they are not, the result says so. `moment_error` is what eight bits
lose of the float32 CAME's first moments at the end: by blocks of 2048 entries (what CAME8bit does) and by 2048 rows
(what SANA-1.5's released optimiser does), relative root mean square over the matrices; and, over the quarter of the
rows whose moments are smallest, which shared scales drown.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _depth
import torch
from _depth import _bench

from coevo.kernels.came import CAME8bit
from coevo.kernels.came.blockwise import dequantized, quantized
from coevo.spaces.sana.training import Recipe, train
from coevo.spaces.sana.training.captured import learner_of
from coevo.spaces.sana.training.loop import make_optimizer

Maker = Callable[[torch.nn.Module, Recipe], torch.optim.Optimizer]
OURS, SINGLE, ADAM = "came8bit", "came", "adamw"
PEERS = {"torchao AdamW8bit": "torchao", "bitsandbytes AdamW8bit": "bitsandbytes"}


def parsed(words: list[str] | None) -> argparse.Namespace:
    options = _depth.parser(__doc__)
    options.add_argument("--depth", type=int, default=6)
    options.add_argument("--steps", type=int, default=600)
    options.add_argument("--rates", default="3e-4,1e-3", help="learning rates that every optimiser tries (%(default)s)")
    options.add_argument("--validate-every", type=int, default=50)
    arguments = options.parse_args(words)
    try:
        arguments.rates = [float(rate) for rate in arguments.rates.split(",")]
    except ValueError as error:
        options.error(f"--rates takes numbers with commas between them: {error}")
    return arguments


def makers() -> dict[str, Maker]:
    """By name; a peer where it is installed."""
    found: dict[str, Maker] = dict.fromkeys((OURS, SINGLE, ADAM), make_optimizer)
    for name, package in PEERS.items():
        if importlib.util.find_spec(package) is not None:
            found[name] = _peer(package)
    return found


def _peer(package: str) -> Maker:
    def make(net: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
        if package == "torchao":
            from torchao.optim import AdamW8bit as Peer
        else:
            from bitsandbytes.optim import AdamW8bit as Peer
        made: torch.optim.Optimizer = Peer(
            net.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay
        )
        return made

    return make


def bytes_of(optimizer: torch.optim.Optimizer) -> float:
    """Bytes of an optimiser's state over the parameters."""
    if isinstance(optimizer, CAME8bit):
        return optimizer.bytes_per_parameter()
    states = [(weight, state) for weight, state in optimizer.state.items() if state]
    held = sum(_bytes(each) for _, state in states for each in state.values() if torch.is_tensor(each) and each.dim())
    return held / sum(weight.numel() for weight, _ in states)


def _bytes(tensor: Any) -> int:
    """Of a tensor, or of the parts of a tensor of a subclass (torchao's)."""
    if hasattr(tensor, "__tensor_flatten__"):
        return sum(_bytes(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return int(tensor.numel() * tensor.element_size())


def moment_error(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """What eight bits lose of float32 moments, by blocks and by rows."""
    sums = {"blocks": [0.0, 0.0], "rows": [0.0, 0.0], "blocks, small rows": [0.0, 0.0], "rows, small rows": [0.0, 0.0]}
    for state in optimizer.state.values():
        moment = state["moment"]
        if "square_row" not in state or moment.numel() < 4096:
            continue
        by_rows = torch.cat([_by_tensor(part) for part in moment.split(2048)])
        size = moment.square().mean(dim=1)
        small = size <= size.quantile(0.25)
        for name, held in (("blocks", dequantized(*quantized(moment))), ("rows", by_rows)):
            for suffix, rows in (("", slice(None)), (", small rows", small)):
                away = (held - moment)[rows].square().sum().item()
                sums[name + suffix][0] += away
                sums[name + suffix][1] += moment[rows].square().sum().item()
    return {name: (away / max(whole, 1e-300)) ** 0.5 for name, (away, whole) in sums.items()}


def _by_tensor(part: torch.Tensor) -> torch.Tensor:
    """As the released code: 256 levels from the least to the largest of all that is given."""
    least, largest = part.min(), part.max()
    step = (largest - least) / 255
    return torch.round((part - least) / torch.where(step > 0, step, 1.0)) * step + least


def run(arguments: argparse.Namespace, rows: _depth.Rows, seed: int) -> None:
    """All trainings of a seed that are not there yet."""
    scenes: _depth.Scenes | None = None
    for name, make in makers().items():
        for rate in arguments.rates:
            label = f"{name}, {rate:g}"
            if rows.find(seed, label) is not None:
                continue
            rows.check_time()
            scenes = scenes or _depth.Scenes(arguments, seed)
            model = scenes.transformer(arguments.depth, seed)
            kind = name if name in (OURS, SINGLE) else ADAM
            recipe = scenes.recipe(arguments.steps, optimizer=kind, learning_rate=rate)
            kept: list[torch.optim.Optimizer] = []

            def keeping(
                net: torch.nn.Module, recipe: Recipe, make: Maker = make, kept: list[Any] = kept
            ) -> torch.optim.Optimizer:
                kept.append(make(net, recipe))
                return kept[-1]

            began = time.perf_counter()
            judge, at = scenes.judge, range(0, arguments.steps + 1, arguments.validate_every)
            curve = train(
                learner_of(model, recipe), scenes.drawn, recipe, checkpoint_every=arguments.validate_every,
                validate=lambda judge=judge, model=model: judge(model), validate_at=at, make=keeping,
            )  # fmt: skip
            found = {
                "optimizer": name, "rate": rate, "bytes_per_parameter": bytes_of(kept[0]),
                "final_loss": statistics.fmean(loss for _, loss in curve.validations[-3:]),
                "search_loss": scenes.search(model), "curve": curve.validations,
                "seconds": time.perf_counter() - began,
            }  # fmt: skip
            if name == SINGLE:
                found["moment_error"] = moment_error(kept[0])
            rows.add(seed, label, found)


def best(rows: _depth.Rows, arguments: argparse.Namespace, seed: int, name: str) -> dict[str, Any] | None:
    """The optimiser's training at its best rate; None where one is missing."""
    found = [rows.find(seed, f"{name}, {rate:g}") for rate in arguments.rates]
    if any(each is None for each in found):
        return None
    return min((each for each in found if each is not None), key=lambda row: row["search_loss"])


def bars_of(by_seed: list[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    ratios = [each[OURS]["final_loss"] / each[SINGLE]["final_loss"] for each in by_seed]
    held = statistics.fmean(each[OURS]["bytes_per_parameter"] for each in by_seed)
    errors = [each[SINGLE]["moment_error"] for each in by_seed]
    lost = statistics.fmean(each["blocks, small rows"] / each["rows, small rows"] for each in errors)
    note = f"per seed {', '.join(f'{each:.4f}' for each in ratios)}"
    return [
        _bench.at_most("held-out loss of CAME8bit over CAME in float32", statistics.fmean(ratios), "x", 1.01, note),
        _bench.at_most("bytes of state a parameter", held, "bytes", 1.25, "AdamW: 8"),
        _bench.at_most("error of small rows' moments, blocks over rows", lost, "x", 0.5),
    ]


def main(words: list[str] | None = None) -> int:
    arguments = parsed(words)
    result = _bench.Result("sana_came", ("torch", "triton", *PEERS.values()))
    configuration = _depth.configuration_of(arguments)
    there = makers()
    result.settings = {**configuration, "seeds": arguments.seeds}
    rows = _depth.Rows(arguments.folder / "came.jsonl", configuration, arguments.seconds)
    try:
        for seed in range(arguments.seeds):
            run(arguments, rows, seed)
    except _depth.OutOfTime:
        print("the seconds are over; the same command goes on", flush=True)
    by_seed = []
    for seed in range(arguments.seeds):
        row = {name: best(rows, arguments, seed, name) for name in there}
        if all(each is not None for each in row.values()):
            by_seed.append({name: each for name, each in row.items() if each is not None})
    result.measurements = {
        "absent": [name for name in PEERS if name not in there], "rows": rows.rows, "by_seed": by_seed,
    }  # fmt: skip
    if by_seed:
        head = ("optimizer", "rate", "bytes_per_parameter", "final_loss", "seconds")
        table = [(name, *(statistics.fmean(each[name][key] for each in by_seed) for key in head[1:])) for name in there]
        print(_bench.table(head, table), flush=True)
        result.bars = bars_of(by_seed)
        if len(by_seed) < max(3, arguments.seeds):
            result.bars = [_bench.not_met(each, "fewer seeds than asked for, or than 3") for each in result.bars]
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
