"""Choosing by comparisons: single elimination as Sana-1.5 has it (arXiv 2501.18427, section 2.3), and the best k."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import InputError

Pairs = NDArray[np.int64]
Compare = Callable[[Pairs], ArrayLike]
"""Of pairs [P, 2] of sample numbers, how likely (0 to 1) the first of each is the better one; bool will do."""


@dataclass(frozen=True)
class Outcome:
    """Of a tournament.

    Args:
        winner: a sample's number.
        comparisons: asked for, both orders counted.
        rounds: the samples still in, round by round, from all to the winner.
    """

    winner: int
    comparisons: int
    rounds: tuple[tuple[int, ...], ...]


def tournament(samples: int, compare: Compare, rng: np.random.Generator, *, both_orders: bool = False) -> Outcome:
    """Single elimination: pairs are drawn, losers leave, one of an odd number goes through; samples - 1 comparisons.

    Args:
        samples: at least 1.
        compare: asked once a round, about all its pairs.
        rng: of the pairs, and of whom a comparison of exactly one half lets go on.
        both_orders: ask each pair in both orders and take the mean, which cancels a judge's favour for what it sees
            first; twice the comparisons.

    Raises:
        InputError: no sample, or a comparison outside 0 to 1.
    """
    if samples < 1:
        raise InputError(f"a tournament needs at least one sample, got {samples}")
    left = rng.permutation(samples)
    rounds = [tuple(sorted(int(each) for each in left))]
    comparisons = 0
    while len(left) > 1:
        pairs = left[: len(left) // 2 * 2].reshape(-1, 2)
        first = _asked(compare, pairs)
        comparisons += len(pairs)
        if both_orders:
            first = (first + 1 - _asked(compare, pairs[:, ::-1])) / 2
            comparisons += len(pairs)
        coin = rng.random(len(pairs)) < 0.5
        wins = (first > 0.5) | ((first == 0.5) & coin)
        left = np.concatenate([np.where(wins, pairs[:, 0], pairs[:, 1]), left[len(pairs) * 2 :]])
        left = rng.permutation(left)
        rounds.append(tuple(sorted(int(each) for each in left)))
    return Outcome(int(left[0]), comparisons, tuple(rounds))


def _asked(compare: Compare, pairs: Pairs) -> NDArray[np.float64]:
    answers = np.asarray(compare(pairs), dtype=np.float64)
    if answers.shape != (len(pairs),) or not ((answers >= 0) & (answers <= 1)).all():
        raise InputError(f"a comparison gives a number from 0 to 1 for each of {len(pairs)} pairs, got {answers}")
    return answers


def by_scores(scores: ArrayLike) -> Compare:
    """Comparisons that scores [N] decide; equal ones are a half."""
    score = np.asarray(scores, dtype=np.float64)
    return lambda pairs: (1 + np.sign(score[pairs[:, 0]] - score[pairs[:, 1]])) / 2


def top_k(scores: ArrayLike, k: int, rng: np.random.Generator | None = None) -> list[int]:
    """The numbers of the k samples that score best, the best first; ties fall to the earlier one, or by chance with
    `rng`. InputError where there are fewer than k."""
    score = np.asarray(scores, dtype=np.float64)
    if not 1 <= k <= len(score):
        raise InputError(f"top k: expected 1 to {len(score)}, got {k}")
    ties = np.arange(len(score)) if rng is None else rng.permutation(len(score))
    return [int(each) for each in np.lexsort((ties, -score))[:k]]
