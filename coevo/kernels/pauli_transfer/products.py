"""Products of small matrices with pieces of 64 columns, compiled.

A piece is [R, 64] in one flat array. Its width is a constant of the code, so the compiler knows that rows do not
overlap and needs no check of that for every loop: two to four times faster than the same loops over rows of any
length (decision 021).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


@compiled
def left_factor(a: Any, source: Any, out: Any) -> None:
    """out [16, 16] = (a kron 1) @ source, a [4, 4]; source and out are flat."""
    for i in range(4):
        p, q, r, s = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        for j in range(64):
            out[64 * i + j] = p * source[j] + q * source[64 + j] + r * source[128 + j] + s * source[192 + j]


@compiled
def right_factor(b: Any, source: Any, out: Any) -> None:
    """out [16, 16] = (1 kron b) @ source, b [4, 4]; source and out are flat."""
    for k in range(4):
        p, q, r, s = b[k, 0], b[k, 1], b[k, 2], b[k, 3]
        for i in range(0, 256, 64):
            for j in range(16):
                out[i + 16 * k + j] = (
                    p * source[i + j] + q * source[i + 16 + j] + r * source[i + 32 + j] + s * source[i + 48 + j]
                )
