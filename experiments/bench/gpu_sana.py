"""Sana's kernels and a whole step of its transformer on a CUDA device, beside eager torch and torch.compile.

    python experiments/bench/gpu_sana.py --out experiments/results/gpu_sana.json
    python experiments/bench/gpu_sana.py --parts attention,convolution,norms --tokens 1024,4096 --no-compile

Everything is bfloat16 with random numbers, of the shapes of the 1.6B model (width 2240, 70 heads of 32, Mix-FFN of
5600). Single operations run over copies of their inputs that together exceed the L2 cache several times, as one CUDA
graph; GB/s are those of the least traffic (inputs once, outputs once) beside a measured copy of 1 GiB. A whole step is
one CUDA graph, too, for every contender; `_sana_step.py` says of what.

torch.compile is max-autotune. To keep its tuning within a minute, blocks are compiled once for all of them (they share
their code), single operations at `--compiled-tokens` alone, shapes are fixed, and the products of the steps are tuned
among cuBLAS and Triton's templates at `--templates` and among cuBLAS's at the other resolutions.

Parts: attention, convolution, norms (with eager and compiled torch), gradients (forward and backward), plans (the
convolution's and the attention's plans), step1024 and step4096 (images of 1024 and 4096 pixels at a 32-fold
autoencoder). Every part is written as soon as it is measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import _bench

PARTS = ("attention", "convolution", "norms", "step1024", "step4096", "gradients", "plans")
SIDES = {"step1024": 32, "step4096": 128}
TOKENS = (256, 1024, 4096, 16384)


def arguments_of(given: list[str] | None = None) -> argparse.Namespace:
    """What was asked for; errors end the program with a line that says what was expected."""
    options = _bench.parser(__doc__)
    options.add_argument("--parts", default=",".join(PARTS), help="(%(default)s)")
    options.add_argument("--tokens", default=",".join(map(str, TOKENS)), help="squares (%(default)s)")
    options.add_argument("--batch", type=int, default=1, help="images at once (%(default)s)")
    options.add_argument("--model", default="sana-1.5-1.6b", help="of the steps (%(default)s)")
    options.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options.add_argument("--compiled-tokens", default="1024,4096,16384", help="(%(default)s)")
    options.add_argument("--templates", default="step1024,step4096", help="where templates are tuned (%(default)s)")
    options.add_argument("--repeats", type=int, default=10, help="of a step (%(default)s)")
    options.add_argument("--seconds", type=float, default=140.0, help="what begins later is left out (%(default)s)")
    arguments = options.parse_args(given)
    try:
        arguments.tokens = [int(each) for each in arguments.tokens.split(",")]
        arguments.compiled_tokens = [int(each) for each in arguments.compiled_tokens.split(",") if each]
    except ValueError as error:
        options.error(f"--tokens and --compiled-tokens take numbers with commas between them: {error}")
    if any(round(each**0.5) ** 2 != each or each < 1 for each in arguments.tokens):
        options.error(f"--tokens takes squares, got {arguments.tokens}")
    arguments.parts, arguments.templates = arguments.parts.split(","), arguments.templates.split(",")
    if unknown := set(arguments.parts) - set(PARTS):
        options.error(f"--parts takes some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    if arguments.batch < 1 or arguments.repeats < 1:
        options.error("--batch and --repeats must be positive")
    return arguments


def bars(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """The issue's bars; what was not measured is not met."""
    made = []
    for tokens in (4096, 16384):
        row = measured.get("attention", {}).get(str(tokens), {}).get("coevo", {})
        name = f"linear attention of {tokens} tokens: share of copy bandwidth"
        made.append(_bench.at_least(name, row.get("of_copy"), "", 0.6))
    for tokens in (1024, 4096, 16384):
        row = measured.get("convolution", {}).get(str(tokens), {})
        ours, theirs = row.get("coevo", {}).get("us"), row.get("compiled", {}).get("us")
        ratio = theirs / ours if ours and theirs else None
        made.append(_bench.at_least(f"GLU convolution of {tokens} tokens beside torch.compile", ratio, "x", 1.5))
    for part in SIDES:
        row = measured.get(part, {})
        ours, theirs, products = (row.get(key, {}).get("median_ms") for key in ("coevo", "compiled", "products"))
        ratio = theirs / ours if ours and theirs else None
        made.append(_bench.at_least(f"{part}: step beside torch.compile", ratio, "x", 1.15))
        ratio = ours / products if ours and products else None
        made.append(_bench.at_most(f"{part}: step over its matrix products alone", ratio, "x", 1.25))
    for part in ("attention", "convolution", "norms"):
        found = [row["coevo"].get("relative_error", 0.0) for row in measured.get(part, {}).values() if "coevo" in row]
        made.append(_bench.at_most(f"{part}: worst distance from float64", max(found, default=None), "", 1e-2))
    return made


def main() -> int:
    began = time.perf_counter()
    arguments = arguments_of()
    import torch

    if not torch.cuda.is_available():
        print("gpu_sana needs a CUDA device, and torch sees none", file=sys.stderr)
        return 2
    import _sana_kernels as single
    import _sana_step
    from _sana_timing import copy_gb_s

    shown = {name: value for name, value in vars(arguments).items() if name not in ("out", "json")}
    result = _bench.Result("gpu_sana", ("torch", "triton"), shown)
    deadline = began + arguments.seconds
    ceiling = copy_gb_s(2**30)
    result.measurements["accelerator"] = {**_bench.gpu(), "copy_gb_s": round(ceiling, 1)}
    print(f"copy of 1 GiB: {ceiling:.0f} GB/s", flush=True)
    for part in arguments.parts:
        started = time.perf_counter()
        rows: dict[str, Any] = {}
        result.measurements[part] = rows
        if part in SIDES and started < deadline:
            rows.update(
                _sana_step.step(
                    arguments.model, SIDES[part], arguments.batch, arguments.repeats, part in arguments.templates,
                    not arguments.no_compile, deadline,
                )
            )  # fmt: skip
            print({key: value for key, value in rows.items() if key != "coevo_kernels"}, flush=True)
        for tokens in arguments.tokens if part not in SIDES else ():
            if time.perf_counter() > deadline:
                rows["left_out"] = "no time was left"
                break
            compile_it = tokens in arguments.compiled_tokens and not arguments.no_compile
            rows[str(tokens)] = _row(single, part, tokens, arguments.batch, compile_it, ceiling)
            print(part, tokens, rows[str(tokens)], flush=True)
        torch.cuda.empty_cache()
        print(f"== {part}: {time.perf_counter() - started:.1f} s", flush=True)
        result.bars = bars(result.measurements)
        result.keep(arguments)
    return result.finish(arguments)


def _row(single: Any, part: str, tokens: int, batch: int, compile_it: bool, ceiling: float) -> dict[str, Any]:
    side = round(tokens**0.5)
    if part == "attention":
        row: dict[str, Any] = single.attention(tokens, batch, compile_it, ceiling)
    elif part == "convolution":
        row = single.convolution(side, batch, compile_it, ceiling)
    elif part == "norms":
        row = single.norms(tokens, batch, compile_it, ceiling)
    elif part == "gradients":
        row = single.gradients(tokens, batch)
    else:
        row = {"convolution": single.plans(side, batch), "attention": single.attention_plans(tokens, batch)}
    return row


if __name__ == "__main__":
    sys.exit(main())
