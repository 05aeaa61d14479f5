"""A shallower transformer from a trained one: which blocks stay, and the smaller model on its own.

Sana-1.5 (arXiv 2501.18427, section 2.2) keeps the blocks of largest importance and fine-tunes 100 steps; its code was
not released. The loss right after pruning says little about the loss after the fine-tune (TinyFusion, CVPR 2025, arXiv
2412.01199), so `search_keep` scores masks after one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from coevo.errors import InputError
from coevo.spaces.sana.depth.identity import is_fused
from coevo.spaces.sana.depth.masks import Keep, check_keep, check_kept, crossed, moved, random_keep
from coevo.spaces.sana.model.transformer import SanaTransformer

ATTEMPTS = 100
"""Draws of a new mask before a search takes what it has for all there is near."""


def pruned(model: SanaTransformer, keep: Sequence[bool]) -> SanaTransformer:
    """The kept blocks as a transformer of its own, on copies of the weights; it computes what the model computes with
    this mask, to the bit.

    Returns:
        on the model's device, in its dtype and mode.

    Raises:
        InputError: a mask of another length than the depth, or one that keeps nothing.
    """
    keep = check_keep(keep, len(model.blocks))
    places = [index for index, stays in enumerate(keep) if stays]
    like = next(model.parameters())
    with torch.random.fork_rng(devices=[]):
        smaller = SanaTransformer(model.config.with_blocks([model.config.blocks[i] for i in places]))
    smaller.to(like.device, like.dtype)
    weights = {name: each for name, each in model.state_dict().items() if not name.startswith("blocks.")}
    for to, place in enumerate(places):
        weights |= {f"blocks.{to}.{name}": each for name, each in model.blocks[place].state_dict().items()}
    smaller.load_state_dict({name: each.detach() for name, each in weights.items()})
    theirs = dict(model.named_parameters())
    for name, each in smaller.named_parameters():
        if name.startswith("blocks."):
            _, to_, rest = name.split(".", 2)
            name = f"blocks.{places[int(to_)]}.{rest}"
        each.requires_grad_(theirs[name].requires_grad)
    return smaller.use_fused(is_fused(model)).train(model.training)


def most_important(scores: npt.ArrayLike, kept: int) -> Keep:
    """The blocks of the largest scores [depth]; of equal ones the first. InputError where a score is not finite."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError(f"expected one finite score a block, got {values.tolist()}")
    check_kept(kept, len(values))
    places = set(np.argsort(-values, kind="stable")[:kept].tolist())
    return tuple(i in places for i in range(len(values)))


@dataclass
class Searched:
    """What a search over masks found.

    Attributes:
        keep: the best mask.
        score: its score.
        history: every mask that was scored, in order.
    """

    keep: Keep
    score: float
    history: list[tuple[Keep, float]] = field(default_factory=list)


def search_keep(
    depth: int,
    kept: int,
    score: Callable[[Keep], float],
    *,
    evaluations: int,
    rng: np.random.Generator,
    begin: Sequence[Sequence[bool]] = (),
    population: int = 8,
    crossover: float = 0.25,
) -> Searched:
    """The best mask of `kept` blocks that an evolution over moves of runs finds; no mask is scored twice.

    The population begins with `begin` and random masks. A child is a move, or a crossing and a move, of the better of
    two; the best `population` of all stay (mu + 1).

    Args:
        score: of a mask, to be made small; a score that is not finite loses to every other.
        evaluations: masks to score; fewer where there are no more.
        begin: masks to score first, such as those of several measures of importance.
        crossover: share of children with two parents.

    Raises:
        InputError: a mask of `begin` of another length or number of kept blocks; no evaluation; a share outside 0 to 1.
    """
    check_kept(kept, depth)
    if evaluations < 1 or population < 1 or not 0 <= crossover <= 1:
        raise InputError(
            f"a search needs evaluations and a population from 1 up and a crossover of 0 to 1, got {evaluations}, "
            f"{population} and {crossover}"
        )
    first = [check_keep(each, depth, "a mask to begin with") for each in begin]
    for each in first:
        if sum(each) != kept:
            raise InputError(f"a mask to begin with keeps {sum(each)} blocks, expected {kept}: {each}")
    scores: dict[Keep, float] = {}

    def draw() -> Keep | None:
        while first:
            each = first.pop(0)
            if each not in scores:
                return each
        for _ in range(ATTEMPTS):
            each = random_keep(depth, kept, rng) if len(scores) < population else child()
            if each not in scores:
                return each
        return None

    def child() -> Keep:
        alive = sorted(scores, key=lambda each: scores[each])[:population]
        one, other = (alive[int(rng.integers(len(alive), size=2).min())] for _ in range(2))
        return moved(crossed(one, other, rng) if rng.random() < crossover else one, rng)

    while len(scores) < evaluations and (mask := draw()) is not None:
        found = float(score(mask))
        scores[mask] = found if np.isfinite(found) else float("inf")
    best = min(scores, key=lambda each: scores[each])
    return Searched(best, scores[best], list(scores.items()))
