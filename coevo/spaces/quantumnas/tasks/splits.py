"""Disjoint, stratified parts of a data set, drawn by one seed.

A part's size is a number of rows over all classes. Each part takes its share of every class in proportion to the rows
that the parts before it left, so a smaller later part leaves the earlier ones as they are. A rare class gives every
part a row, where it has as many.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError

Rows = NDArray[np.int64]


def stratified(labels: Rows, classes: Sequence[str], sizes: Sequence[int], seed: int, what: str) -> list[Rows]:
    """Row numbers of each part, ordered by class; `labels` int64 [rows], 0 to classes - 1; `what` names the data.

    InputError that names the class when it has no rows, or too few for every part to hold one.
    """
    members = [np.flatnonzero(labels == label) for label in range(len(classes))]
    asked = " + ".join(map(str, sizes))
    for name, rows in zip(classes, members, strict=True):
        if not len(rows):
            raise InputError(f"{what}: class {name!r} has no rows; every class needs some")
    if sum(sizes) > len(labels):
        raise InputError(f"{what}: parts of {asked} rows were asked for, but there are {len(labels)}; lower one")
    if min(sizes) < len(classes):
        raise InputError(
            f"{what}: parts of {asked} rows were asked for; each needs at least one row of {len(classes)} classes"
        )
    rng = np.random.default_rng(seed)
    orders = [rows[rng.permutation(len(rows))] for rows in members]
    begins = [0] * len(classes)
    parts = []
    for name, rows in zip(classes, members, strict=True):
        if len(rows) < len(sizes):
            raise InputError(
                f"{what}: class {name!r} has {len(rows)} rows of {len(labels)}, too few for each of the parts of "
                f"{asked} rows to hold one; give more rows of it, or leave the class out"
            )
    for place, size in enumerate(sizes):
        left = [len(order) - begin for order, begin in zip(orders, begins, strict=True)]
        shares = _shares(size, left, len(sizes) - 1 - place)
        parts.append(
            np.concatenate([order[b : b + share] for order, b, share in zip(orders, begins, shares, strict=True)])
        )
        begins = [begin + share for begin, share in zip(begins, shares, strict=True)]
    return parts


def part_sizes(rows: int, classes: int, asked: Sequence[int | None], shares: Sequence[float]) -> list[int]:
    """Sizes of the parts: as asked, or (None) the part's own share of the rows.

    `shares` sum to 1, and the first part takes what rounding leaves. A part of its own size holds a row a class where
    it can, and gives way where the parts that were asked for leave too little room.
    """
    own = [max(classes, round(rows * share)) for share in shares]
    own[0] = max(0, rows - sum(own[1:]))
    free = max(0, rows - sum(size for size in asked if size is not None))
    wanted = sum(size for size, given in zip(own, asked, strict=True) if given is None)
    if wanted > free:
        own = [free * size // wanted for size in own]
    sizes = [size if given is None else given for size, given in zip(own, asked, strict=True)]
    if wanted > free and sum(sizes) < rows:
        sizes[list(asked).index(None)] += rows - sum(sizes)
    return sizes


def _shares(size: int, left: Sequence[int], later: int) -> list[int]:
    """`size` rows over classes with `left` rows: proportional, but one or more of each, and one is kept for each of the
    `later` parts. There are enough: every class has more than `later` rows, every part at least a row a class."""
    exact = [size * rows / sum(left) for rows in left]
    shares = [min(max(share, 1), rows - later) for share, rows in zip(_proportional(size, left), left, strict=True)]
    while (over := sum(shares) - size) != 0:
        step = 1 if over < 0 else -1
        free = [c for c, rows in enumerate(left) if 1 <= shares[c] + step <= rows - later]
        shares[max(free, key=lambda c: step * (exact[c] - shares[c]))] += step
    return shares


def _proportional(size: int, left: Sequence[int]) -> list[int]:
    """`size` rows over classes with `left` rows, by largest remainder; equal remainders go to the earlier class."""
    total = sum(left)
    shares = [size * rows // total for rows in left]
    by_remainder = sorted(range(len(left)), key=lambda label: -(size * left[label] % total))
    for label in by_remainder[: size - sum(shares)]:
        shares[label] += 1
    return shares
