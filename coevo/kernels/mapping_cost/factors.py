"""The factors that a loop may be split into, as tables: what is drawn from when mappings are sampled.

Of all tiles that leave the same outer bound only the smallest is offered: a loop of 56 in tiles of 10 needs 6 of them,
as tiles of 11 would, so 11 is not; padding is never more than a tile. What is left of a loop of n after any such
splits is ceil(n / k) for some k (nested quotients rounded up are one quotient rounded up), about 2 sqrt(n) numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Factors:
    """`root` int64 [8]: which remainder is the whole loop. Remainder k is `left[k]` (float64) iterations; its factors
    are `factor[start[k] : start[k + 1]]`, ascending from 1; each leaves remainder `after` of the same place, and
    `whole` of the same place says which of them, from 0, is the largest up to it that divides the remainder."""

    root: Array
    left: Array
    start: Array
    factor: Array
    after: Array
    whole: Array


def quotients(size: int) -> Array:
    """All ceil(size / k), ascending."""
    low = np.arange(1, math.isqrt(size) + 2)
    found = np.unique(np.concatenate([-(-size // low), low[low <= size]]))
    kept: Array = found[-(-size // -(-size // found)) == found]
    return kept


@lru_cache(maxsize=512)
def splits(size: int) -> tuple[Array, Array, Array, Array, Array]:
    """(left, start, factor, after, whole) of one loop of `size` iterations; the whole loop is the last remainder."""
    left = quotients(size)
    factors, after, whole, start = [], [], [], [0]
    for remainder in left.tolist():
        tile = quotients(remainder)  # the smallest for each number of tiles: ceil(remainder / that number)
        factors.append(tile)
        after.append(np.searchsorted(left, -(-remainder // tile)))
        divides = np.where(remainder % tile == 0, np.arange(len(tile)), 0)
        whole.append(np.maximum.accumulate(divides))
        start.append(start[-1] + len(tile))
    return left, np.array(start), np.concatenate(factors), np.concatenate(after), np.concatenate(whole)


def factors_of(sizes: Array) -> Factors:
    """The tables of a layer's eight loops, one after the other."""
    root, parts, begin, done = [], [], 0, 0
    for size in sizes.tolist():
        left, start, factor, after, whole = splits(int(size))
        root.append(begin + len(left) - 1)
        parts.append((left, start[:-1] + done, factor, after + begin, whole))
        begin, done = begin + len(left), done + len(factor)
    left, start, factor, after, whole = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Factors(
        root=np.array(root, dtype=np.int64),
        left=left.astype(np.float64),
        start=np.append(start, done).astype(np.int64),
        factor=factor.astype(np.float64),
        after=after.astype(np.int64),
        whole=whole.astype(np.int64),
    )
