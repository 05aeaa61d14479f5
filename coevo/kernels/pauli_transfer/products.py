"""Products of small matrices with pieces of 64 columns, compiled.

A piece is [R, 64] in one flat array. Its width is a constant of the code, so the compiler knows that rows do not
overlap and needs no check of that for every loop: two to four times faster than the same loops over rows of any
length (decision 021).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coevo.kernels.jit import compiled, compiled_reordering

PIECE = 64
"""Columns of a piece."""


@compiled
def mix(weights: Any, source: Any, out: Any) -> None:
    """out [16, 64] = weights [16, 16] @ source [16, 64]; source and out are flat."""
    for i in range(0, 16, 2):
        for j in range(0, 16, 4):
            a, b, c, d = weights[i, j], weights[i, j + 1], weights[i, j + 2], weights[i, j + 3]
            e, f, g, h = weights[i + 1, j], weights[i + 1, j + 1], weights[i + 1, j + 2], weights[i + 1, j + 3]
            s, t = j * PIECE, i * PIECE
            if j == 0:
                for n in range(PIECE):
                    w, x = source[s + n], source[s + PIECE + n]
                    y, z = source[s + 2 * PIECE + n], source[s + 3 * PIECE + n]
                    out[t + n] = a * w + b * x + c * y + d * z
                    out[t + PIECE + n] = e * w + f * x + g * y + h * z
            else:
                for n in range(PIECE):
                    w, x = source[s + n], source[s + PIECE + n]
                    y, z = source[s + 2 * PIECE + n], source[s + 3 * PIECE + n]
                    out[t + n] += a * w + b * x + c * y + d * z
                    out[t + PIECE + n] += e * w + f * x + g * y + h * z


def _outer(rows: int) -> Callable[[Any, Any, Any], None]:
    @compiled_reordering
    def add(left: Any, right: Any, out: Any) -> None:
        zero = out.dtype.type(0)
        for i in range(0, rows, 2):
            for j in range(0, rows, 4):
                a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
                s, t = i * PIECE, j * PIECE
                for n in range(PIECE):
                    p, q = left[s + n], left[s + PIECE + n]
                    w, x = right[t + n], right[t + PIECE + n]
                    y, z = right[t + 2 * PIECE + n], right[t + 3 * PIECE + n]
                    a += p * w
                    b += p * x
                    c += p * y
                    d += p * z
                    e += q * w
                    f += q * x
                    g += q * y
                    h += q * z
                out[i, j] += a
                out[i, j + 1] += b
                out[i, j + 2] += c
                out[i, j + 3] += d
                out[i + 1, j] += e
                out[i + 1, j + 1] += f
                out[i + 1, j + 2] += g
                out[i + 1, j + 3] += h

    return add


add_outer = _outer(16)
"""out [16, 16] += left [16, 64] @ right [16, 64]^T; left and right are flat."""
add_small_outer = _outer(4)
"""out [4, 4] += left [4, 64] @ right [4, 64]^T; left and right are flat."""


# Indices are unsigned: of signed ones it would be asked every time whether they count from the end.
_FOUR, _SIXTEEN, _WIDTH = np.uint64(4), np.uint64(16), np.uint64(PIECE)


@compiled
def left_factor(a: Any, at: Any, down: Any, across: Any, source: Any, s: Any, out: Any, o: Any) -> None:
    """out [16, 16] at o = (a kron 1) @ source [16, 16] at s. `a` [4, 4] begins at `at`; neighbours in its columns are
    `down` apart, those in its rows `across` (4 and 1; 1 and 4 for the transposed matrix)."""
    for i in range(_FOUR):
        k, t = at + i * down, o + i * _WIDTH
        p, q, r, u = a[k], a[k + across], a[k + across + across], a[k + across + across + across]
        for j in range(_WIDTH):
            out[t + j] = (
                p * source[s + j] + q * source[s + np.uint64(64) + j]
                + r * source[s + np.uint64(128) + j] + u * source[s + np.uint64(192) + j]
            )  # fmt: skip


@compiled
def right_factor(b: Any, at: Any, down: Any, across: Any, source: Any, s: Any, out: Any, o: Any) -> None:
    """out [16, 16] at o = (1 kron b) @ source [16, 16] at s; b as in `left_factor`."""
    for k in range(_FOUR):
        i = at + k * down
        p, q, r, u = b[i], b[i + across], b[i + across + across], b[i + across + across + across]
        for begin in range(np.uint64(0), np.uint64(256), _WIDTH):
            v, t = s + begin, o + begin + _SIXTEEN * k
            for j in range(_SIXTEEN):
                out[t + j] = (
                    p * source[v + j] + q * source[v + np.uint64(16) + j]
                    + r * source[v + np.uint64(32) + j] + u * source[v + np.uint64(48) + j]
                )  # fmt: skip
