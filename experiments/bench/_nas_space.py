"""An analytic stand-in for architecture search: conditional, rugged, with two costs at odds with accuracy.

A network has 3 to 8 blocks at falling resolution (32, 16, 8 and 4 pixels a side). A block is a convolution, a
depthwise one, an inverted bottleneck, attention or pooling; kernel, expansion and heads are asked only where the
operator has them; from the second block on there may be a skip from the block before, from the third on a long one.

`accuracy` (percent) is a sum of diminishing returns with interactions, so that no choice is good by itself:
capacity saturates; a receptive field short of the image costs and one far beyond it does too; attention costs at high
resolution and helps at low; width that jumps more than twofold costs; depth without skips costs ever more; skips across
different widths cost; and neighbouring operators have a fixed, irregular synergy. `latency_ms` is a roofline
(compute with widths rounded up to 32, or memory traffic) plus a launch cost an operator; `energy_mj` counts
multiply-accumulates and traffic. `reward` is the single objective: accuracy minus a soft charge on latency, as in
MnasNet (Tan et al. 2019, section 3.1), here subtracted. All of it is deterministic; the numbers are made up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

OPERATORS = ("conv", "depthwise", "bottleneck", "attention", "pool")
WIDTHS = (16, 24, 32, 48, 64, 96, 128)
LATENCY_TARGET_MS = 1.5


@dataclass(frozen=True, slots=True)
class Block:
    operator: str
    width: int
    kernel: int = 1
    expansion: int = 1
    heads: int = 1
    skip: str = "none"


def build(pick: Any) -> tuple[Block, ...]:
    """3 to 8 blocks; at most 40 answers are asked, each only where it means something."""
    depth = pick.integer("depth", 3, 8)
    blocks = []
    for i in range(depth):
        operator = pick.one(f"operator{i}", OPERATORS)
        width = pick.one(f"width{i}", WIDTHS) if operator != "pool" else (blocks[-1].width if blocks else 16)
        kernel = pick.one(f"kernel{i}", (3, 5, 7)) if operator in {"conv", "depthwise", "bottleneck"} else 1
        expansion = pick.one(f"expansion{i}", (2, 3, 4, 6)) if operator == "bottleneck" else 1
        heads = pick.one(f"heads{i}", (1, 2, 4, 8)) if operator == "attention" else 1
        skips = ("none", "previous", "long")[: min(i, 2) + 1]
        skip = pick.one(f"skip{i}", skips) if len(skips) > 1 else "none"
        blocks.append(Block(operator, width, kernel, expansion, heads, skip))
    return tuple(blocks)


def resolution(i: int, depth: int) -> int:
    """Pixels a side that block i of so many sees."""
    return 32 >> min(3, 4 * i // depth)


def judge(blocks: tuple[Block, ...]) -> dict[str, float]:
    """accuracy (percent), latency_ms, energy_mj and reward of a network."""
    latency_us, energy_uj = 0.0, 0.0
    incoming = 3
    for i, block in enumerate(blocks):
        macs, words, rounded = _work(block, incoming, resolution(i, len(blocks)))
        latency_us += max(rounded / 25e3, words / 1.6e3) + 18.0 * (3 if block.operator == "bottleneck" else 1)
        energy_uj += macs * 1.4e-3 + words * 21e-3
        incoming = block.width
    accuracy = _accuracy(blocks)
    latency_ms = latency_us / 1e3
    return {
        "accuracy": accuracy,
        "latency_ms": latency_ms,
        "energy_mj": energy_uj / 1e3,
        "reward": accuracy - 6.0 * max(0.0, math.log2(latency_ms / LATENCY_TARGET_MS)),
    }


def _work(block: Block, incoming: int, side: int) -> tuple[float, float, float]:
    """Multiply-accumulates, words moved, and multiply-accumulates with widths rounded up to the vector length."""
    pixels, width, taps = side * side, block.width, block.kernel**2
    hidden = incoming * block.expansion
    factor = math.ceil(width / 32) * 32 / width * math.ceil(incoming / 8) * 8 / incoming
    if block.operator == "conv":
        macs, weights = pixels * incoming * width * taps, incoming * width * taps
    elif block.operator == "depthwise":
        macs, weights = pixels * incoming * (taps + width), incoming * (taps + width)
        factor *= 1.6  # a depthwise pass leaves most of a vector unit idle
    elif block.operator == "bottleneck":
        macs, weights = pixels * hidden * (incoming + taps + width), hidden * (incoming + taps + width)
    elif block.operator == "attention":
        macs, weights = pixels * width * (incoming + 3 * width) + 2 * pixels**2 * width, width * (incoming + 3 * width)
        factor *= 1.0 + 0.08 * block.heads
    else:
        macs, weights, factor = pixels * incoming, 0, 1.0
    words = weights + pixels * (incoming + width + (2 * hidden if block.operator == "bottleneck" else 0))
    words += 2 * pixels**2 * block.heads if block.operator == "attention" else 0
    words += pixels * width if block.skip != "none" else 0
    return float(macs), float(words), macs * factor


def _accuracy(blocks: tuple[Block, ...]) -> float:
    depth = len(blocks)
    capacity, receptive, stride, quality, chain = 0.0, 1.0, 1.0, 0.0, 0
    previous = None
    for i, block in enumerate(blocks):
        side = resolution(i, depth)
        if i and side < resolution(i - 1, depth):
            stride *= 2
        receptive += (block.kernel - 1) * stride + (6 * stride if block.operator == "attention" else 0)
        capacity += _capacity(block)
        quality += _fit(block, side)
        chain = 0 if block.skip != "none" else chain + 1
        quality -= 0.35 * max(0, chain - 2) ** 2
        if previous is not None:
            quality += 1.1 * _synergy(previous.operator, block.operator)
            ratio = block.width / previous.width
            quality -= 1.5 * max(0.0, abs(math.log2(ratio)) - 1.0) ** 2
            quality -= 0.7 if block.skip == "previous" and ratio != 1.0 else 0.0
        if block.skip == "long":
            quality += 0.9 if blocks[i - 2].width == block.width else -1.2
        previous = block
    span = math.log2(receptive / 40.0)
    quality -= 1.6 * span**2 if span < 0 else 0.5 * span**2
    return 94.0 - 42.0 * math.exp(-capacity / 9.0) + 1.3 * math.tanh(quality / 3.0) * 3.0


def _capacity(block: Block) -> float:
    size = math.log2(block.width / 8)
    gain = {"conv": 0.55, "depthwise": 0.40, "bottleneck": 0.50, "attention": 0.52, "pool": 0.05}[block.operator]
    if block.operator == "bottleneck":
        gain *= 1.0 + 0.16 * math.log2(block.expansion)
    if block.operator == "attention":
        per_head = block.width / block.heads
        gain *= 1.0 - 0.18 * abs(math.log2(per_head / 16.0)) / 2.0
    return gain * size


def _fit(block: Block, side: int) -> float:
    """How well an operator suits the resolution."""
    if block.operator == "attention":
        return {32: -2.2, 16: -0.4, 8: 0.9, 4: 1.1}[side]
    if block.operator == "pool":
        return {32: -0.8, 16: 0.2, 8: 0.1, 4: -0.6}[side]
    wanted = {32: 3, 16: 5, 8: 5, 4: 3}[side]
    return 0.5 - 0.25 * abs(block.kernel - wanted) + (0.3 if block.operator == "conv" and side == 32 else 0.0)


def _synergy(first: str, second: str) -> float:
    """A fixed, irregular number in [-1, 1] for two neighbouring operators."""
    a, b = OPERATORS.index(first), OPERATORS.index(second)
    return math.cos(2.9 * a + 5.3 * b + 1.7 * a * b)
