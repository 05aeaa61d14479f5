"""What best-of-n gives, without bias, from one draw of N >= n samples.

To take the best of the first n samples, or of random groups of n, wastes samples or adds noise. The mean over all
subsets of n has a closed form: a sample of rank r (r - 1 score lower) is the best of C(r - 1, n - 1) of the C(N, n)
subsets. pass@k (Chen et al., arXiv 2107.03374) is the case in which the score is the value. Ties are broken by chance:
samples of one score share their places' weights alike.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import InputError


def best_of_n(scores: ArrayLike, values: ArrayLike, n: int) -> float:
    """The expected value of the sample that scores best among n drawn without replacement.

    Args:
        scores: [N], what chooses (a verifier's).
        values: [N], what counts (a held-out oracle's); the choice does not see them.
        n: 1 to N.

    Raises:
        InputError: unequal or empty columns, numbers that are not finite, or an n outside 1 to N.
    """
    return top_k_of_n(scores, values, n, 1)


def top_k_of_n(scores: ArrayLike, values: ArrayLike, n: int, k: int) -> float:
    """The expected mean value of the k samples that score best among n drawn without replacement; arguments as of
    `best_of_n`, 1 <= k <= n."""
    score, value = _columns(scores, values)
    if not 1 <= k <= n <= len(score):
        raise InputError(f"best of n: expected 1 <= k <= n <= {len(score)} samples, got k = {k} and n = {n}")
    weights = place_weights(len(score), n, k)
    order = np.argsort(score, kind="stable")
    _, first, counts = np.unique(score[order], return_index=True, return_counts=True)
    shared = np.repeat(np.add.reduceat(weights, first) / counts, counts)
    return float(shared @ value[order])


def place_weights(total: int, n: int, k: int = 1) -> NDArray[np.float64]:
    """The share of each place, from the lowest score to the highest, in the mean of the best k of n; float64 [total],
    sums to 1.

    A sample with b below and a above it is among the best k of n where j < k of the others drawn lie above it:
    sum over j of C(a, j) C(b, n - 1 - j), over k C(total, n).
    """
    below = np.arange(total)
    weights = np.zeros(total)
    logs = np.array([math.lgamma(each + 1) for each in range(total + 1)])
    whole = logs[total] - logs[n] - logs[total - n]
    for j in range(k):
        above = total - 1 - below
        there = (above >= j) & (below >= n - 1 - j)
        b, a = below[there], above[there]
        log = logs[a] - logs[j] - logs[a - j] + logs[b] - logs[n - 1 - j] - logs[b - n + 1 + j] - whole
        weights[there] += np.exp(log)
    found: NDArray[np.float64] = weights / weights.sum()  # what rounding leaves of k
    return found


def curve(scores: ArrayLike, values: ArrayLike, ns: list[int]) -> list[float]:
    """`best_of_n` at several n."""
    return [best_of_n(scores, values, n) for n in ns]


def _columns(scores: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    score, value = np.asarray(scores, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if score.ndim != 1 or score.shape != value.shape or not len(score):
        raise InputError(f"best of n: expected as many scores as values, at least one, got shapes {score.shape} and "
                         f"{value.shape}")  # fmt: skip
    if not (np.isfinite(score).all() and np.isfinite(value).all()):
        raise InputError("best of n: scores and values must be finite")
    return score, value
