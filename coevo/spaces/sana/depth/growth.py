"""A deeper transformer from a trained one (Sana-1.5, arXiv 2501.18427, section 2.1).

The source keeps everything but its last blocks: those are tied to the head, so that blocks put behind them learn
slowly (the paper drops two of 20). What the blocks beyond them begin as is the strategy; the six of the released code
are here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coevo.errors import InputError, unknown_name
from coevo.spaces.sana.depth.identity import close_gates, draw_identity, is_fused, normal
from coevo.spaces.sana.model.block import SanaBlock
from coevo.spaces.sana.model.config import BlockConfig
from coevo.spaces.sana.model.transformer import SanaTransformer

PROGRESSIVE_NOISE = 0.01


@dataclass(frozen=True)
class Origin:
    """Where a grown block's weights are from.

    Attributes:
        lower, upper: blocks of the source that are mixed; equal where it is one.
        share: of `upper`, 0 to 1.
        is_copy: whether it is the source's block in its first place, which no strategy changes.
    """

    lower: int
    upper: int
    share: float = 0.0
    is_copy: bool = False


def kept_first(kept: int, depth: int) -> list[Origin]:
    """The source's blocks at the bottom, new ones above that copy nothing but the last one's shape."""
    return [Origin(min(i, kept - 1), min(i, kept - 1), is_copy=i < kept) for i in range(depth)]


def cyclic(kept: int, depth: int) -> list[Origin]:
    """Block i is the source's block i mod kept."""
    return [Origin(i % kept, i % kept, is_copy=i < kept) for i in range(depth)]


def block_expand(kept: int, depth: int) -> list[Origin]:
    """Every block of the source as many times in a row; InputError where that does not come out even."""
    if depth % kept:
        raise InputError(
            f"block_expand repeats every block equally often: {kept} kept blocks do not divide a depth of {depth}. "
            f"Choose a depth of {depth - depth % kept} or {depth + kept - depth % kept}, or another drop_last"
        )
    times = depth // kept
    return [Origin(i // times, i // times, is_copy=i % times == 0) for i in range(depth)]


def interpolation(kept: int, depth: int) -> list[Origin]:
    """New block i, at the place i kept / depth in the source, is between the blocks on either side of that place."""
    found = kept_first(kept, depth)
    for i in range(kept, depth):
        lower = i * kept // depth
        found[i] = Origin(lower, min(lower + 1, kept - 1), i * kept / depth - lower)
    return found


STRATEGIES: dict[str, Callable[[int, int], list[Origin]]] = {
    "partial_preservation": kept_first,
    "cyclic": cyclic,
    "block_expand": block_expand,
    "progressive": kept_first,
    "interpolation": interpolation,
    "random": kept_first,
}
"""By name; the released code calls partial preservation `constant`."""
GATED = ("cyclic", "block_expand")
"""Those whose repeated blocks may begin with closed gates."""


def grow(
    source: SanaTransformer,
    depth: int,
    strategy: str = "partial_preservation",
    *,
    drop_last: int = 2,
    zero_gate: bool = False,
    generator: torch.Generator | None = None,
) -> SanaTransformer:
    """A transformer of `depth` blocks that begins with what the source has learnt; the source is not touched.

    With `partial_preservation`, and with `zero_gate`, it computes what the source without its last `drop_last` blocks
    computes, and what is zero learns: output layers from the first step, what is before them from the second.

    Args:
        depth: of the grown model, at least the source's.
        strategy:
            partial_preservation: new blocks on top whose outputs are zero (`draw_identity`); the paper's choice.
            cyclic: block i is the source's block i mod kept.
            block_expand: every block repeated in its place.
            progressive: a new block is the one below it, with noise of deviation 0.01.
            interpolation: a new block is a mixture of two of the source's.
            random: new blocks on top as a new model's.
        drop_last: blocks of the source that are left out, from its end.
        zero_gate: of `cyclic` and `block_expand`: repeats begin with outputs and time rows of zero.
        generator: on the CPU, of whatever is drawn; seeded with 0 where it is None.

    Returns:
        on the source's device, in its dtype and mode.

    Raises:
        InputError: a depth below the source's; no block left; blocks of unlike shapes that would be mixed; `zero_gate`
            with another strategy; a depth that block_expand cannot reach.
        UnknownName: no such strategy.
    """
    kept = _check(source, depth, strategy, drop_last, zero_gate)
    origins = STRATEGIES[strategy](kept, depth)
    config = source.config.with_blocks(_shapes(source.config.blocks, origins))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    like = next(source.parameters())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        grown = SanaTransformer(config).to(like.device, like.dtype)
    _copy_stem(source, grown)
    for index, origin in enumerate(origins):
        block = grown.blocks[index]
        assert isinstance(block, SanaBlock)
        if origin.is_copy or strategy in GATED:
            _mix(block, source, origin)
            if zero_gate and not origin.is_copy:
                close_gates(block)
        elif strategy == "partial_preservation":
            draw_identity(block, generator)
        elif strategy == "progressive":
            _load(block, {k: v + PROGRESSIVE_NOISE * normal(v, generator)
                          for k, v in grown.blocks[index - 1].state_dict().items()})  # fmt: skip
        elif strategy == "interpolation":
            _mix(block, source, origin)
    for parameter, given in zip(_stem(grown), _stem(source), strict=True):
        parameter.requires_grad_(given.requires_grad)
    return grown.use_fused(is_fused(source)).train(source.training)


def truncated(source: SanaTransformer, drop_last: int) -> SanaTransformer:
    """The source without its last blocks, on copies of its weights: what a grown model equals as it begins.

    Raises:
        InputError: none would be left.
    """
    from coevo.spaces.sana.depth.pruning import pruned

    depth = len(source.blocks)
    if not 0 <= drop_last < depth:
        raise InputError(f"drop_last is {drop_last}: expected 0 to {depth - 1}, so that a block is left")
    return pruned(source, (True,) * (depth - drop_last) + (False,) * drop_last)


def _check(source: SanaTransformer, depth: int, strategy: str, drop_last: int, zero_gate: bool) -> int:
    have = len(source.blocks)
    if strategy not in STRATEGIES:
        raise unknown_name("growth strategy", strategy, STRATEGIES)
    if zero_gate and strategy not in GATED:
        raise InputError(f"zero_gate belongs to {' and '.join(GATED)}, got it with {strategy!r}; leave it out")
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < have:
        raise InputError(
            f"a transformer of {have} blocks grows to a depth of {have} or more, got {depth!r}; for fewer blocks use "
            "coevo.spaces.sana.depth.pruned"
        )
    if not isinstance(drop_last, int) or isinstance(drop_last, bool) or not 0 <= drop_last < have:
        raise InputError(f"drop_last is {drop_last!r}: expected 0 to {have - 1}, so that a block of the source is left")
    return have - drop_last


def _shapes(blocks: Sequence[BlockConfig], origins: Sequence[Origin]) -> list[BlockConfig]:
    for index, origin in enumerate(origins):
        lower, upper = blocks[origin.lower], blocks[origin.upper]
        if lower != upper:
            raise InputError(
                f"block {index} would be a mixture of the source's blocks {origin.lower} and {origin.upper}, which are "
                f"{lower} and {upper}: interpolation needs blocks of one kind and one ffn_ratio. Use another strategy"
            )
    return [blocks[origin.lower] for origin in origins]


def _copy_stem(source: SanaTransformer, grown: SanaTransformer) -> None:
    """Everything but the blocks."""
    rest = {name: each for name, each in source.state_dict().items() if not name.startswith("blocks.")}
    grown.load_state_dict({**grown.state_dict(), **rest})


def _stem(model: SanaTransformer) -> list[Tensor]:
    return [each for name, each in model.named_parameters() if not name.startswith("blocks.")]


def _mix(block: SanaBlock, source: SanaTransformer, origin: Origin) -> None:
    lower, upper = (source.blocks[each].state_dict() for each in (origin.lower, origin.upper))
    if origin.share == 0:
        _load(block, lower)
    else:
        _load(block, {k: (1 - origin.share) * v + origin.share * upper[k] for k, v in lower.items()})


def _load(block: SanaBlock, weights: dict[str, Tensor]) -> None:
    block.load_state_dict({name: each.detach() for name, each in weights.items()})
