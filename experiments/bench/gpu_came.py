"""CAME8bit on a CUDA device: a step of the 1.6B transformer's parameters, beside CAME in plain torch and AdamW.

    python experiments/bench/gpu_came.py --out experiments/results/gpu_came.json

Parameters and gradients are bfloat16 and random; `--depth` blocks of 20 are taken, each of 77.8 million parameters.
Measured: milliseconds a step, bytes of state a parameter, gigabytes a second of the least traffic (what one pass over
gradient, weight and moment would move), whether two runs give the same bits, and how far the kernel's weights
are from plain torch's and from those of six launches, which are other programs of the compiler's.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import _bench


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--depth", type=int, default=4, help="blocks (%(default)s)")
    options.add_argument("--model", default="sana-1.5-1.6b")
    options.add_argument("--steps", type=int, default=5, help="timed (%(default)s)")
    arguments = options.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("gpu_came needs a CUDA device, and torch sees none", file=sys.stderr)
        return 2
    result = _bench.Result("gpu_came", ("torch", "triton", "torchao", "bitsandbytes"), vars(arguments) | {"out": None})
    result.measurements["accelerator"] = _bench.gpu()
    found: dict[str, dict[str, Any]] = {}
    kept: dict[str, list[torch.Tensor]] = {}
    for name, make in _makers().items():
        weights = _weights(arguments.model, arguments.depth)
        optimizer = make(weights)
        optimizer.step()
        torch.cuda.synchronize()
        kept[name] = [each.detach().clone() for each in weights]
        times = []
        for _ in range(arguments.steps):
            began = time.perf_counter()
            optimizer.step()
            torch.cuda.synchronize()
            times.append(1e3 * (time.perf_counter() - began))
        elements = sum(each.numel() for each in weights)
        state = [each for held in optimizer.state.values() for each in held.values() if torch.is_tensor(each)]
        held = sum(each.numel() * each.element_size() for each in state) / elements
        ms = statistics.median(times)
        least = elements * (2 + 2 * 2 + 2 * held)  # gradient, weight twice, state twice
        found[name] = {"ms": round(ms, 3), "bytes_per_parameter": round(held, 4), "gb_s": round(least / ms / 1e6, 1)}
        print(name, found[name], flush=True)
        del weights, optimizer, state
        torch.cuda.empty_cache()
    again = _weights(arguments.model, arguments.depth)
    _makers()["came8bit"](again).step()
    same = all(torch.equal(*pair) for pair in zip(kept["came8bit"], again, strict=True))

    def distance(one: str, other: str) -> float:
        return max(
            ((a.float() - b.float()).norm() / b.float().norm()).item()
            for a, b in zip(kept[one], kept[other], strict=True)
        )

    away = distance("came8bit", "came8bit, plain torch")
    result.measurements |= {
        "optimizers": found, "repeats_to_the_bit": same, "from_plain_torch": away,
        "one_launch_from_six": distance("came8bit", "came8bit, six launches"),
    }  # fmt: skip
    ours, plain = found["came8bit"], found["came8bit, plain torch"]
    result.bars = [
        _bench.at_most("bytes of state a parameter", ours["bytes_per_parameter"], "bytes", 1.05),
        _bench.at_least("one step beside plain torch", plain["ms"] / ours["ms"], "x", 2.0),
        _bench.bar("two runs give the same bits", float(same), "", "== 1", same),
        _bench.at_most("largest distance of a weight from plain torch", away, "", 1e-2),
    ]
    return result.finish(arguments)


def _weights(name: str, depth: int) -> list[Any]:
    import torch

    from coevo.spaces.sana.model.block import SanaBlock
    from coevo.spaces.sana.model.config import SanaConfig

    torch.manual_seed(0)
    config = SanaConfig.named(name)
    with torch.device("cuda"):
        blocks = [SanaBlock(config, index).to(torch.bfloat16) for index in range(depth)]
    weights = [each for block in blocks for each in block.parameters()]
    for each in weights:
        each.grad = torch.randn_like(each)
    return weights


def _makers() -> dict[str, Any]:
    import torch

    from coevo.kernels.came import CAME8bit

    return {
        "came8bit": lambda weights: CAME8bit(weights, lr=1e-4),
        "came8bit, six launches": lambda weights: CAME8bit(weights, lr=1e-4, one_launch=False),
        "came8bit, plain torch": lambda weights: CAME8bit(weights, lr=1e-4, backend="reference"),
        "came": lambda weights: CAME8bit(weights, lr=1e-4, bits=32),
        "adamw": lambda weights: torch.optim.AdamW(weights, lr=1e-4, fused=True),
    }


if __name__ == "__main__":
    sys.exit(main())
