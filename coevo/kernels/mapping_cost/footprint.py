"""How many words a tile of each tensor has, and how many of them the tile that follows it has too."""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.mapping_cost.tables import INPUTS, OUTPUTS, C, G, K, N, R, S, Tables, X, Y

Array = np.ndarray[Any, np.dtype[Any]]


def rows_of(outputs: Array, taps: Array, window: Array, step: Array, holes: bool) -> Array:
    """Rows of input that `outputs` rows of output and `taps` rows of the kernel touch.

    The values i*stride + j*dilation, each counted once: with a = stride/gcd and b = dilation/gcd, (i, j) and (i-b, j+a)
    are the same row, so one is left out for each pair that lies inside. With `holes` the rows between count too.
    """
    if holes:
        span: Array = (outputs - 1) * step[0] + (taps - 1) * step[1] + 1
        return span
    a, b = window
    touched: Array = outputs * taps - np.maximum(outputs - b, 0) * np.maximum(taps - a, 0)
    return touched


def footprint(tables: Tables, tensor: int, tile: Array) -> Array:
    """Words of `tensor` in `tile` [..., 8]."""
    t = [tile[..., loop] for loop in range(8)]
    if tensor == OUTPUTS:
        return t[N] * t[G] * t[K] * t[Y] * t[X]
    if tensor == INPUTS:
        rows = rows_of(t[Y], t[R], tables.window[0], tables.step[0], tables.fetch_holes)
        columns = rows_of(t[X], t[S], tables.window[1], tables.step[1], tables.fetch_holes)
        return t[N] * t[G] * t[C] * rows * columns
    return t[G] * t[K] * t[C] * t[R] * t[S]


def overlap_rows(outputs: Array, taps: Array, shift: Array, window: Array, step: Array,
                 holes: bool) -> Array:  # fmt: skip
    """Rows that a tile shares with the tile `shift` output rows further on.

    Exact where the next tile begins where this one ends (shift = outputs), where the dilation divides the stride
    (b = 1), and where holes are fetched. Elsewhere no reuse is claimed: 0.
    """
    if holes:
        common: Array = np.maximum(rows_of(outputs, taps, window, step, True) - shift * step[0], 0)
        return common
    a, b = window
    adjacent = 2 * rows_of(outputs, taps, window, step, False) - rows_of(2 * outputs, taps, window, step, False)
    if b != 1:
        return np.where(shift == outputs, adjacent, 0)
    # With b = 1 a tile is `outputs` runs of `taps` rows, each run a further on. For taps >= a they form one run.
    length = rows_of(outputs, taps, window, step, False)
    joined = np.maximum(length - shift * a, 0)
    return np.where(shift == outputs, adjacent, np.where(taps >= a, joined, 0))


def overlap(tables: Tables, loop: int, tile: Array, shift: Array) -> Array:
    """Words of inputs that `tile` [..., 8] shares with the tile `shift` steps further along `loop` (Y, X, R or S)."""
    t = [tile[..., position] for position in range(8)]
    across = loop in (X, S)
    window, step = tables.window[int(across)], tables.step[int(across)]
    outputs, taps = (t[X], t[S]) if across else (t[Y], t[R])
    if loop in (R, S):  # the same set with the two sums exchanged
        outputs, taps, window, step = taps, outputs, window[::-1], step[::-1]
    shared = overlap_rows(outputs, taps, shift, window, step, tables.fetch_holes)
    other = (
        rows_of(t[Y], t[R], tables.window[0], tables.step[0], tables.fetch_holes)
        if across
        else rows_of(t[X], t[S], tables.window[1], tables.step[1], tables.fetch_holes)
    )
    return t[N] * t[G] * t[C] * shared * other
