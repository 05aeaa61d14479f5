"""`Readout`, compiled: one call for all candidates.

Samples come in pieces of 64, the last one filled up with zeros: a piece is flat, [2, 2^n, 64], re and im of 64 states
side by side. What becomes of a piece stays in the first cache from the circuit to the gradient, and its constant width
spares the compiler's question of every loop whether its rows overlap (decision 021).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled, compiled_reordering
from coevo.kernels.softmax import cross_entropy
from coevo.kernels.statevector.adjoint import CODE, CONTROL, FIXED, make_matrices, run_backward, run_forward
from coevo.kernels.statevector.lanes import BRANCH, LANES, lanes_backward, lanes_forward, make_products

PIECE = 64
"""Samples of a piece."""
_WIDTH = np.uint64(PIECE)


@compiled
def gather_rows(re: Any, im: Any, targets: Any, rows: Any, pieces: Any, target_pieces: Any) -> None:
    """pieces [P, 2, 2^n, 64] and target_pieces [P, classes, 64] of samples `rows` [B] of re, im [S, 2^n] and targets
    [S, classes]; both enter as zeros."""
    for place in range(len(rows)):
        row, piece, n = rows[place], place // PIECE, place % PIECE
        for j in range(re.shape[1]):
            pieces[piece, 0, j, n] = re[row, j]
            pieces[piece, 1, j, n] = im[row, j]
        for c in range(targets.shape[1]):
            target_pieces[piece, c, n] = targets[row, c]


@compiled
def meet(u_re: Any, u_im: Any, x: Any, out: Any) -> None:
    """out = unitary [2^n, 2^n] times x; out and x are pieces."""
    dim = len(u_re)
    half = np.uint64(dim * PIECE)
    for j in range(0, dim, 2):
        for k in range(0, dim, 2):
            a, b, c, d = u_re[j, k], u_im[j, k], u_re[j, k + 1], u_im[j, k + 1]
            e, f, g, h = u_re[j + 1, k], u_im[j + 1, k], u_re[j + 1, k + 1], u_im[j + 1, k + 1]
            p, t = np.uint64(j * PIECE), np.uint64(k * PIECE)
            if k == 0:
                for n in range(_WIDTH):
                    x0, y0, x1, y1 = x[t + n], x[t + _WIDTH + n], x[half + t + n], x[half + t + _WIDTH + n]
                    out[p + n] = a * x0 - b * x1 + c * y0 - d * y1
                    out[half + p + n] = a * x1 + b * x0 + c * y1 + d * y0
                    out[p + _WIDTH + n] = e * x0 - f * x1 + g * y0 - h * y1
                    out[half + p + _WIDTH + n] = e * x1 + f * x0 + g * y1 + h * y0
            else:
                for n in range(_WIDTH):
                    x0, y0, x1, y1 = x[t + n], x[t + _WIDTH + n], x[half + t + n], x[half + t + _WIDTH + n]
                    out[p + n] = out[p + n] + a * x0 - b * x1 + c * y0 - d * y1
                    out[half + p + n] = out[half + p + n] + a * x1 + b * x0 + c * y1 + d * y0
                    out[p + _WIDTH + n] = out[p + _WIDTH + n] + e * x0 - f * x1 + g * y0 - h * y1
                    out[half + p + _WIDTH + n] = out[half + p + _WIDTH + n] + e * x1 + f * x0 + g * y1 + h * y0


@compiled_reordering
def meet_back(out: Any, x: Any, w_re: Any, w_im: Any) -> None:
    """w [2^n, 2^n] += out times the adjoint of x; out and x are pieces."""
    dim = len(w_re)
    half, zero = np.uint64(dim * PIECE), x.dtype.type(0)
    for i in range(0, dim, 2):
        for j in range(0, dim, 2):
            s, t = np.uint64(i * PIECE), np.uint64(j * PIECE)
            a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
            for n in range(_WIDTH):
                p, pi, q, qi = out[s + n], out[half + s + n], out[s + _WIDTH + n], out[half + s + _WIDTH + n]
                y, yi, z, zi = x[t + n], x[half + t + n], x[t + _WIDTH + n], x[half + t + _WIDTH + n]
                a = a + p * y + pi * yi
                b = b + pi * y - p * yi
                c = c + p * z + pi * zi
                d = d + pi * z - p * zi
                e = e + q * y + qi * yi
                f = f + qi * y - q * yi
                g = g + q * z + qi * zi
                h = h + qi * z - q * zi
            w_re[i, j] += a
            w_im[i, j] += b
            w_re[i, j + 1] += c
            w_im[i, j + 1] += d
            w_re[i + 1, j] += e
            w_im[i + 1, j] += f
            w_re[i + 1, j + 1] += g
            w_im[i + 1, j + 1] += h


@compiled
def read(out: Any, weights: Any, logits: Any, chances: Any) -> None:
    """logits [classes, 64] = weights [2^n, classes] transposed times |out|^2 of a piece; `chances` [128] is
    spare."""
    dim = len(weights)
    half = np.uint64(dim * PIECE)
    logits[:] = 0
    for j in range(0, dim, 2):
        p = np.uint64(j * PIECE)
        for n in range(np.uint64(2 * PIECE)):
            chances[n] = out[p + n] * out[p + n] + out[half + p + n] * out[half + p + n]
        for c in range(len(logits)):
            a, b = weights[j, c], weights[j + 1, c]
            for n in range(_WIDTH):
                logits[c, n] = logits[c, n] + a * chances[n] + b * chances[_WIDTH + n]


@compiled
def weigh(out: Any, weights: Any, by_logits: Any, factors: Any) -> None:
    """Rows j of a piece times the sum over classes of weights [j, classes] by_logits [classes, 64]; `factors` [2 * 64]
    is spare."""
    dim = len(weights)
    half = np.uint64(dim * PIECE)
    for j in range(0, dim, 2):
        p = np.uint64(j * PIECE)
        factors[:] = 0
        for c in range(len(by_logits)):
            a, b = weights[j, c], weights[j + 1, c]
            for n in range(_WIDTH):
                factors[n] = factors[n] + a * by_logits[c, n]
                factors[_WIDTH + n] = factors[_WIDTH + n] + b * by_logits[c, n]
        for n in range(np.uint64(2 * PIECE)):
            out[p + n] *= factors[n]
            out[half + p + n] *= factors[n]


@compiled
def unitary(groups: Any, products: Any, used: Any, lanes: Any, u_re: Any, u_im: Any) -> None:
    """u [2^n, 2^n]: the circuit. `lanes` [2^n / 16 rounded up, 2^n 4 16] keeps it for `lanes_backward`."""
    dim = len(u_re)
    for part in range(len(lanes)):
        a, begin = lanes[part].reshape((dim, 4, LANES)), part * LANES
        a[:] = 0
        for n in range(min(LANES, dim)):
            a[begin + n, 0, n] = 1
        lanes_forward(groups, products, used, lanes[part])
        for j in range(dim):
            for n in range(min(LANES, dim)):
                u_re[j, begin + n], u_im[j, begin + n] = a[j, 0, n], a[j, 1, n]


@compiled
def unitary_is_cheaper(gates: Any, active: Any, groups: Any, used: Any, dim: int, samples: int, backward: bool) -> bool:
    """Whether the circuit costs fewer arithmetic operations multiplied into one unitary that meets all samples than
    carried out on every sample; with or without the gradient. Columns that fill up lanes and pieces count.

    A pair of rows takes 28 a column forward, 56 to undo it in state and adjoint, 32 for the sums of a gate with angles
    or of a group; an entry of the unitary 8 a sample, and as many on the way back.
    """
    by_gates, by_groups = 0, 0
    for gate in range(len(gates)):
        if active[gate]:
            pairs = dim // 4 if gates[gate, CONTROL] else dim // 2
            each = 28
            if backward:
                each += 56 if gates[gate, CODE] == FIXED else 88
            by_gates += pairs * each
    for n in range(len(groups)):
        pairs = dim // 2 * int(used[n, 0])
        if groups[n, BRANCH]:
            pairs = dim // 4 * (int(used[n, 0]) + int(used[n, 1]))
        by_groups += pairs * (116 if backward else 28)
    wide, whole = (dim + LANES - 1) // LANES * LANES, (samples + PIECE - 1) // PIECE * PIECE
    return by_groups * wide + (16 if backward else 8) * dim * dim * whole < by_gates * whole


@compiled
def readout_all(
    gates: Any, slots: Any, groups: Any, members: Any, fixed: Any, angles: Any, active: Any, pieces: Any, targets: Any,
    count: int, weights: Any, limits: Any, integers: Any, loss: Any, gradient: Any,
) -> None:  # fmt: skip
    """Loss [C] and gradient [C, A] of `count` samples in pieces [P, 2, 2^n, 64] with targets [P, classes, 64].

    weights [2^n, classes] are signs @ head; `limits` and the type of `integers` are those of `coevo.kernels.softmax`.
    A circuit is multiplied into one unitary that meets all samples where that is cheaper.
    """
    dim, kind = pieces.shape[2], pieces.dtype
    matrices, products = np.empty((len(gates), 10), kind), np.empty((len(groups), 2, 8), kind)
    used = np.empty((len(groups), 2), np.uint8)
    parts = (dim + LANES - 1) // LANES
    lanes, spare = np.empty((0, dim * 4 * LANES), kind), np.empty(2 * PIECE, kind)
    out, state = np.empty((2, dim, PIECE), kind), np.empty((2, dim, PIECE), kind)
    logits = np.empty((weights.shape[1], PIECE), kind)
    bits = logits.view(integers.dtype)
    u_re, u_im = np.empty((0, dim), kind), np.empty((0, dim), kind)
    w_re, w_im = np.empty((0, dim), kind), np.empty((0, dim), kind)
    for candidate in range(len(angles)):
        make_matrices(gates, slots, angles[candidate], active[candidate], fixed, matrices)
        make_products(groups, members, gates, active[candidate], matrices, products, used)
        by_unitary = unitary_is_cheaper(gates, active[candidate], groups, used, dim, count, True)
        if by_unitary and len(u_re) == 0:
            lanes = np.empty((parts, dim * 4 * LANES), kind)
            u_re, u_im = np.empty((dim, dim), kind), np.empty((dim, dim), kind)
            w_re, w_im = np.empty((dim, dim), kind), np.empty((dim, dim), kind)
        if by_unitary:
            unitary(groups, products, used, lanes, u_re, u_im)
            w_re[:] = 0
            w_im[:] = 0
        total = 0.0
        for piece in range(len(pieces)):
            if by_unitary:
                meet(u_re, u_im, pieces[piece].ravel(), out.ravel())
            else:
                out[:] = pieces[piece]
                run_forward(gates, active[candidate], matrices, out[0].ravel(), out[1].ravel(), PIECE)
                state[:] = out
            read(out.ravel(), weights, logits, spare)
            total += cross_entropy(logits, bits, targets[piece], limits, count)
            weigh(out.ravel(), weights, logits, spare)
            if by_unitary:
                meet_back(out.ravel(), pieces[piece].ravel(), w_re, w_im)
                continue
            run_backward(
                gates, slots, active[candidate], matrices, state[0].ravel(), state[1].ravel(), out[0].ravel(),
                out[1].ravel(), PIECE, gradient[candidate],
            )  # fmt: skip
        loss[candidate] = total
        if not by_unitary:
            continue
        for part in range(parts):
            a, begin = lanes[part].reshape((dim, 4, LANES)), part * LANES
            for j in range(dim):
                for n in range(min(LANES, dim)):
                    a[j, 2, n], a[j, 3, n] = w_re[j, begin + n], w_im[j, begin + n]
            lanes_backward(
                groups, members, gates, slots, active[candidate], matrices, products, used, lanes[part],
                gradient[candidate],
            )  # fmt: skip


@compiled
def logits_all(
    gates: Any, slots: Any, groups: Any, members: Any, fixed: Any, angles: Any, active: Any, pieces: Any, count: int,
    weights: Any, logits: Any,
) -> None:  # fmt: skip
    """Logits [C, classes, count] of samples in pieces [P, 2, 2^n, 64]."""
    dim, kind = pieces.shape[2], pieces.dtype
    matrices, products = np.empty((len(gates), 10), kind), np.empty((len(groups), 2, 8), kind)
    used = np.empty((len(groups), 2), np.uint8)
    parts = (dim + LANES - 1) // LANES
    lanes, spare = np.empty((0, dim * 4 * LANES), kind), np.empty(2 * PIECE, kind)
    out, found = np.empty((2, dim, PIECE), kind), np.empty((logits.shape[1], PIECE), kind)
    u_re, u_im = np.empty((0, dim), kind), np.empty((0, dim), kind)
    for candidate in range(len(angles)):
        make_matrices(gates, slots, angles[candidate], active[candidate], fixed, matrices)
        make_products(groups, members, gates, active[candidate], matrices, products, used)
        by_unitary = unitary_is_cheaper(gates, active[candidate], groups, used, dim, count, False)
        if by_unitary and len(u_re) == 0:
            lanes = np.empty((parts, dim * 4 * LANES), kind)
            u_re, u_im = np.empty((dim, dim), kind), np.empty((dim, dim), kind)
        if by_unitary:
            unitary(groups, products, used, lanes, u_re, u_im)
        for piece in range(len(pieces)):
            if by_unitary:
                meet(u_re, u_im, pieces[piece].ravel(), out.ravel())
            else:
                out[:] = pieces[piece]
                run_forward(gates, active[candidate], matrices, out[0].ravel(), out[1].ravel(), PIECE)
            read(out.ravel(), weights, found, spare)
            begin = piece * PIECE
            for c in range(len(found)):
                for n in range(min(PIECE, count - begin)):
                    logits[candidate, c, begin + n] = found[c, n]
