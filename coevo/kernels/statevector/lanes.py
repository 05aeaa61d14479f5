"""Circuits on pieces of 16 columns, and their gradient by adjoint differentiation, compiled.

Does for unitaries what `coevo.kernels.statevector.adjoint` does for any number of columns, in three quarters of the
time on four qubits (decision 024): gates that mix the same rows are one pass (`coevo.kernels.statevector.fusion`), and
a row's numbers stand in constant distances, so that the compiler asks less of every loop whether its rows overlap. A
piece is flat, [2^n, 4, 16]: re and im of the states, then re and im of the gradient by them.

Undoing a group needs no more of its members than eight sums. With J = (Q - Q^dagger) / 2i, Q = sum over columns of the
state times the conjugated gradient, a gate's derivative is a trace of J over pairs of rows, and before the gate g J is
g^dagger J g: of every branch the [2, 2] J, summed over pairs, goes through the members backwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled, compiled_reordering
from coevo.kernels.statevector.adjoint import CODE, CONTROL, FIXED, VARIANT, add_derivative

LANES = 16
"""Columns of a piece."""
_LANES, _TWO, _THREE = np.uint64(LANES), np.uint64(2 * LANES), np.uint64(3 * LANES)
_ROW = 4 * LANES
PIVOT, MASK, BRANCH, BEGIN, END = range(5)
"""Columns of `groups` int32 [N, 5], see `fusion`."""


@compiled
def multiply(m: Any, gate: int, conjugated: bool, products: Any, n: int, b: int) -> None:
    """products[n, b] = m[gate] @ products[n, b], or conj(m[gate]) @: [2, 2], re and im of 00, 01, 10, 11."""
    sign = m.dtype.type(-1 if conjugated else 1)
    p, r, s, t = m[gate, 0], sign * m[gate, 1], m[gate, 2], sign * m[gate, 3]
    e, f, g, h = m[gate, 4], sign * m[gate, 5], m[gate, 6], sign * m[gate, 7]
    for k in range(0, 4, 2):
        x, y, u, v = products[n, b, k], products[n, b, k + 1], products[n, b, k + 4], products[n, b, k + 5]
        products[n, b, k] = p * x - r * y + s * u - t * v
        products[n, b, k + 1] = p * y + r * x + s * v + t * u
        products[n, b, k + 4] = e * x - f * y + g * u - h * v
        products[n, b, k + 5] = e * y + f * x + g * v + h * u


@compiled
def make_products(groups: Any, members: Any, gates: Any, active: Any, matrices: Any, products: Any, used: Any) -> None:
    """products [N, 2, 8]: a group's matrix in both branches; used uint8 [N, 2]: whether an active gate is in them."""
    for n in range(len(groups)):
        for b in range(2):
            used[n, b] = 0
            for place in range(groups[n, BEGIN], groups[n, END]):
                gate = members[place]
                if not active[gate] or (b == 0 and gates[gate, CONTROL]):
                    continue
                conjugated = b == 1 and gates[gate, VARIANT] != 0
                if used[n, b]:
                    multiply(matrices, gate, conjugated, products, n, b)
                    continue
                used[n, b] = 1
                for k in range(8):
                    products[n, b, k] = -matrices[gate, k] if conjugated and k % 2 else matrices[gate, k]


@compiled
def mix(a: Any, first: int, second: int, m: Any, group: int, branch: int) -> None:
    """The states' rows at places first and second: m[group, branch] times them.

    A view m[group, branch] would be counted as a reference, which takes as long as many products.
    """
    p, q = np.uint64(first), np.uint64(second)
    s, b, c, d = m[group, branch, 0], m[group, branch, 1], m[group, branch, 2], m[group, branch, 3]
    e, f, g, h = m[group, branch, 4], m[group, branch, 5], m[group, branch, 6], m[group, branch, 7]
    for n in range(_LANES):
        x, y, u, v = a[p + n], a[p + _LANES + n], a[q + n], a[q + _LANES + n]
        a[p + n] = s * x - b * y + c * u - d * v
        a[p + _LANES + n] = s * y + b * x + c * v + d * u
        a[q + n] = e * x - f * y + g * u - h * v
        a[q + _LANES + n] = e * y + f * x + g * v + h * u


@compiled
def unmix(a: Any, first: int, second: int, m: Any, group: int, branch: int, sums: Any) -> None:
    """Adds to part `branch` of `sums` [2 * 4 * 16] what `add_derivative` takes, of the rows at places first and second,
    by column; then the adjoint of m[group, branch] times the rows, states and gradient.

    Three loops: one would have more places than the compiler compares, and be no vector instructions.
    """
    p, q = np.uint64(first), np.uint64(second)
    s, b, c, d = m[group, branch, 0], -m[group, branch, 1], m[group, branch, 4], -m[group, branch, 5]
    e, f, g, h = m[group, branch, 2], -m[group, branch, 3], m[group, branch, 6], -m[group, branch, 7]
    t = np.uint64(branch * _ROW)
    for n in range(_LANES):
        x, y, u, v = a[p + n], a[p + _LANES + n], a[q + n], a[q + _LANES + n]
        i, j, k, l = a[p + _TWO + n], a[p + _THREE + n], a[q + _TWO + n], a[q + _THREE + n]  # noqa: E741
        sums[t + n] = sums[t + n] + i * y - j * x
        sums[t + _LANES + n] = sums[t + _LANES + n] + k * v - l * u
        sums[t + _TWO + n] = sums[t + _TWO + n] + i * v - j * u + k * y - l * x
        sums[t + _THREE + n] = sums[t + _THREE + n] + i * u + j * v - k * x - l * y
    for n in range(_LANES):
        x, y, u, v = a[p + n], a[p + _LANES + n], a[q + n], a[q + _LANES + n]
        a[p + n] = s * x - b * y + c * u - d * v
        a[p + _LANES + n] = s * y + b * x + c * v + d * u
        a[q + n] = e * x - f * y + g * u - h * v
        a[q + _LANES + n] = e * y + f * x + g * v + h * u
    for n in range(_LANES):
        x, y, u, v = a[p + _TWO + n], a[p + _THREE + n], a[q + _TWO + n], a[q + _THREE + n]
        a[p + _TWO + n] = s * x - b * y + c * u - d * v
        a[p + _THREE + n] = s * y + b * x + c * v + d * u
        a[q + _TWO + n] = e * x - f * y + g * u - h * v
        a[q + _THREE + n] = e * y + f * x + g * v + h * u


@compiled_reordering
def add_up(by_column: Any, part: int, sums: Any) -> None:
    """sums[part] [4] of by_column [2 * 4 * 16], that part."""
    zero, t = by_column.dtype.type(0), np.uint64(part * _ROW)
    a, b, c, d = zero, zero, zero, zero
    for n in range(_LANES):
        a += by_column[t + n]
        b += by_column[t + _LANES + n]
        c += by_column[t + _TWO + n]
        d += by_column[t + _THREE + n]
    sums[part, 0], sums[part, 1], sums[part, 2], sums[part, 3] = a, b, c, d


@compiled
def lanes_forward(groups: Any, products: Any, used: Any, a: Any) -> None:
    """All groups in order on a piece."""
    for n in range(len(groups)):
        pivot, mask, branch = groups[n, PIVOT], groups[n, MASK], groups[n, BRANCH]
        for row in range(len(a) // _ROW):
            b = 1 if row & branch else 0
            if row & pivot or not used[n, b]:
                continue
            mix(a, row * _ROW, (row ^ mask) * _ROW, products, n, b)


@compiled
def pull_back(m: Any, gate: int, conjugated: bool, sums: Any, part: int) -> None:
    """J of a branch before a gate, from that after it: m^dagger J m with m = m[gate], or with conj(m). `sums[part]` [4]
    are J's entries 00, 11 and twice re and im of 01."""
    sign, half, two = m.dtype.type(-1 if conjugated else 1), m.dtype.type(0.5), m.dtype.type(2)
    a, b, c, d = m[gate, 0], sign * m[gate, 1], m[gate, 2], sign * m[gate, 3]
    e, f, g, h = m[gate, 4], sign * m[gate, 5], m[gate, 6], sign * m[gate, 7]
    p, q, r, i = sums[part, 0], sums[part, 1], half * sums[part, 2], half * sums[part, 3]
    # columns of J m
    x, xi = p * a + r * e - i * f, p * b + r * f + i * e
    y, yi = r * a + i * b + q * e, r * b - i * a + q * f
    u, ui = p * c + r * g - i * h, p * d + r * h + i * g
    v, vi = r * c + i * d + q * g, r * d - i * c + q * h
    sums[part, 0] = a * x + b * xi + e * y + f * yi
    sums[part, 1] = c * u + d * ui + g * v + h * vi
    sums[part, 2] = two * (a * u + b * ui + e * v + f * vi)
    sums[part, 3] = two * (a * ui - b * u + e * vi - f * v)


@compiled
def lanes_backward(
    groups: Any, members: Any, gates: Any, slots: Any, active: Any, matrices: Any, products: Any, used: Any, a: Any,
    gradient: Any,
) -> None:  # fmt: skip
    """gradient [A] += dL / d angles, by undoing the circuit on a piece, which is used up. As `run_backward`."""
    kind = a.dtype
    by_column, sums = np.empty(2 * _ROW, kind), np.empty((2, 4), kind)
    both, zero = np.empty(4, kind), kind.type(0)
    for n in range(len(groups) - 1, -1, -1):
        pivot, mask, branch = groups[n, PIVOT], groups[n, MASK], groups[n, BRANCH]
        if not used[n, 0] and not used[n, 1]:
            continue
        by_column[:] = 0
        for row in range(len(a) // _ROW):
            b = 1 if row & branch else 0
            if row & pivot or not used[n, b]:
                continue
            unmix(a, row * _ROW, (row ^ mask) * _ROW, products, n, b, by_column)
        add_up(by_column, 0, sums)
        add_up(by_column, 1, sums)
        for place in range(groups[n, END] - 1, groups[n, BEGIN] - 1, -1):
            gate = members[place]
            if not active[gate]:
                continue
            controlled, variant = gates[gate, CONTROL] != 0, gates[gate, VARIANT] != 0
            if gates[gate, CODE] != FIXED:
                for k in range(4):
                    one, other = sums[0, k], sums[1, k]
                    both[k] = (zero if controlled else one) + (-other if variant and k < 3 else other)
                add_derivative(gates, slots, gate, matrices, both, gradient)
            if place == groups[n, BEGIN]:
                break
            if not controlled:
                pull_back(matrices, gate, False, sums, 0)
            if branch:
                pull_back(matrices, gate, variant, sums, 1)
