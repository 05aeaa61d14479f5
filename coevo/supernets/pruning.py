"""Iterative magnitude pruning: how much is pruned when, by what magnitude, and which weights.

The weights pruned at one step stay candidates at the next: the mask is computed anew from the current magnitudes, so a
weight that has grown in the meantime comes back (QuantumNAS, HPCA 2022, and its artifact).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import InputError

Real = NDArray[np.floating[Any]]


def polynomial_ratio(step: float, begin: float, end: float, start_ratio: float, target_ratio: float) -> float:
    """The share to prune at a step: `start_ratio` up to `begin`, a cubic ramp, `target_ratio` from `end` on.

    The ramp is steep at first, while many weights are redundant (Zhu and Gupta, "To prune, or not to prune", 2017,
    equation 1). Steps may be counted in any unit. Raises InputError where end < begin or a ratio is outside 0 to 1.
    """
    if not begin <= end:
        raise InputError(f"expected begin <= end, got the steps {begin} to {end}")
    for name, ratio in (("start_ratio", start_ratio), ("target_ratio", target_ratio)):
        _check_ratio(name, ratio)
    if step >= end:
        return target_ratio
    left = 1.0 if step <= begin else (end - step) / (end - begin)
    return target_ratio + (start_ratio - target_ratio) * left**3


def wrapped_magnitude(angles: ArrayLike) -> Real:
    """How far every angle (radians, any shape) is from a whole turn: |angle wrapped to (-pi, pi]|, 0 to pi."""
    given = np.asarray(angles)
    values = given if np.issubdtype(given.dtype, np.floating) else given.astype(np.float64)
    turn = values.dtype.type(2 * np.pi)
    # Not np.mod, which would round an angle just below 0 at the size of a whole turn.
    wrapped: Real = np.abs(values - turn * np.round(values / turn))
    return np.minimum(wrapped, values.dtype.type(np.pi))


def global_mask(magnitudes: Real, ratio: ArrayLike, allowed: ArrayLike) -> NDArray[np.bool_]:
    """Which weights stay: False at the smallest floor(ratio * allowed weights) of the allowed ones.

    Every row is one candidate and is pruned by itself, over all its weights at once. Of equal magnitudes the first is
    pruned. A weight that is not allowed is never pruned, and True.

    Args:
        magnitudes: [..., A]; where not allowed, anything.
        ratio: a number, or [...] one a candidate; 0 to 1.
        allowed: bool, broadcast to [..., A].

    Returns:
        bool [..., A].

    Raises:
        InputError: a ratio outside 0 to 1, shapes that do not fit, a magnitude that is NaN, infinite or negative where
            allowed.
    """
    values = np.asarray(magnitudes)
    if not values.ndim:
        raise InputError("magnitudes: expected an array [..., A], got a single number")
    ratios = np.asarray(ratio, dtype=np.float64)
    for each in ratios.ravel():
        _check_ratio("ratio", float(each))
    try:
        open_ = np.broadcast_to(np.asarray(allowed, dtype=bool), values.shape)
        shares = np.broadcast_to(ratios, values.shape[:-1])
    except ValueError as error:
        raise InputError(
            f"magnitudes {values.shape}, ratio {ratios.shape} and allowed {np.shape(allowed)} do not fit; "
            "expected [..., A], [...] and [..., A]"
        ) from error
    if not (np.isfinite(values) & (values >= 0))[open_].all():
        raise InputError("magnitudes: expected finite numbers of at least 0 where allowed")
    # Products like 0.29 * 100 fall just short of the whole number that is meant.
    counts = np.floor(np.round(shares * open_.sum(axis=-1), 9)).astype(np.int64)
    order = np.argsort(np.where(open_, values, np.inf), axis=-1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(values.shape[-1]), order.shape), axis=-1)
    kept: NDArray[np.bool_] = ranks >= counts[..., None]
    return kept


def _check_ratio(name: str, ratio: float) -> None:
    if not 0 <= ratio <= 1:
        raise InputError(f"{name}: expected 0 to 1, got {ratio}")
