"""`Readout` and `Energy`, compiled: one call for all candidates. Sums run over samples, which lie side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled, compiled_reordering
from coevo.kernels.softmax import cross_entropy
from coevo.kernels.statevector.adjoint import CODE, CONTROL, FIXED, make_matrices, run_backward, run_forward


@compiled
def add_scaled(
    p: Any, q: Any, x_re: Any, x_im: Any, y_re: Any, y_im: Any, p_re: Any, p_im: Any, q_re: Any, q_im: Any
) -> None:
    """Two sums [B] of two columns' multiples: row p += p[0] x + p[1] y, row q += q[0] x + q[1] y; p and q [4] hold re
    and im of their two factors."""
    a, b, c, d = p[0], p[1], p[2], p[3]
    e, f, g, h = q[0], q[1], q[2], q[3]
    for s in range(len(p_re)):
        x, xi, y, yi = x_re[s], x_im[s], y_re[s], y_im[s]
        p_re[s] += a * x - b * xi + c * y - d * yi
        p_im[s] += a * xi + b * x + c * yi + d * y
        q_re[s] += e * x - f * xi + g * y - h * yi
        q_im[s] += e * xi + f * x + g * yi + h * y


@compiled
def meet(u_re: Any, u_im: Any, x_re: Any, x_im: Any, out_re: Any, out_im: Any) -> None:
    """out [2^n, B] = unitary [2^n, 2^n] times columns [2^n, B]."""
    dim = len(x_re)
    p, q = np.empty(4, x_re.dtype), np.empty(4, x_re.dtype)
    for j in range(0, dim, 2):
        to_re, to_im, also_re, also_im = out_re[j], out_im[j], out_re[j + 1], out_im[j + 1]
        to_re[:] = 0
        to_im[:] = 0
        also_re[:] = 0
        also_im[:] = 0
        for k in range(0, dim, 2):
            p[0], p[1], p[2], p[3] = u_re[j, k], u_im[j, k], u_re[j, k + 1], u_im[j, k + 1]
            q[0], q[1], q[2], q[3] = u_re[j + 1, k], u_im[j + 1, k], u_re[j + 1, k + 1], u_im[j + 1, k + 1]
            add_scaled(p, q, x_re[k], x_im[k], x_re[k + 1], x_im[k + 1], to_re, to_im, also_re, also_im)


@compiled_reordering
def four_products(p_re: Any, p_im: Any, q_re: Any, q_im: Any, x_re: Any, x_im: Any, y_re: Any, y_im: Any) -> Any:
    """Sums of p conj(x), p conj(y), q conj(x), q conj(y), real and imaginary parts."""
    zero = p_re.dtype.type(0)
    a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
    for s in range(len(p_re)):
        p, pi, q, qi, x, xi, y, yi = p_re[s], p_im[s], q_re[s], q_im[s], x_re[s], x_im[s], y_re[s], y_im[s]
        a += p * x + pi * xi
        b += pi * x - p * xi
        c += p * y + pi * yi
        d += pi * y - p * yi
        e += q * x + qi * xi
        f += qi * x - q * xi
        g += q * y + qi * yi
        h += qi * y - q * yi
    return a, b, c, d, e, f, g, h


@compiled
def meet_back(out_re: Any, out_im: Any, x_re: Any, x_im: Any, w_re: Any, w_im: Any) -> None:
    """w [2^n, 2^n] = out [2^n, B] times the adjoint of x [2^n, B]."""
    dim = len(x_re)
    for i in range(0, dim, 2):
        for j in range(0, dim, 2):
            (
                w_re[i, j], w_im[i, j], w_re[i, j + 1], w_im[i, j + 1], w_re[i + 1, j], w_im[i + 1, j],
                w_re[i + 1, j + 1], w_im[i + 1, j + 1],
            ) = four_products(
                out_re[i], out_im[i], out_re[i + 1], out_im[i + 1], x_re[j], x_im[j], x_re[j + 1], x_im[j + 1]
            )  # fmt: skip


@compiled
def add_chances(re: Any, im: Any, weights: Any, logits: Any) -> None:
    """logits [classes, B] += weights [classes] times |re + i im|^2 [B]."""
    for c in range(len(weights)):
        weight, row = weights[c], logits[c]
        for s in range(len(re)):
            row[s] += weight * (re[s] * re[s] + im[s] * im[s])


@compiled
def weigh(weights: Any, by_logits: Any, factor: Any) -> None:
    """factor [B] = sum over classes of weights [classes] by_logits [classes, B]."""
    factor[:] = 0
    for c in range(len(weights)):
        weight, row = weights[c], by_logits[c]
        for s in range(len(factor)):
            factor[s] += weight * row[s]


@compiled
def scale_by(factor: Any, row: Any) -> None:
    for s in range(len(row)):
        row[s] *= factor[s]


@compiled
def set_identity(re: Any, im: Any) -> None:
    re[:] = 0
    im[:] = 0
    for k in range(len(re)):
        re[k, k] = 1


@compiled
def unitary_is_cheaper(gates: Any, active: Any, dim: int, samples: int, backward: bool) -> bool:
    """Whether the circuit costs fewer arithmetic operations multiplied into one unitary that meets all samples than
    carried out on every sample; with or without the gradient.

    A pair of rows takes 28 a column forward, 56 to undo it in state and adjoint, 32 for the sums of a gate with angles;
    an entry of the unitary 8 a sample, and as many on the way back.
    """
    column = 0
    for gate in range(len(gates)):
        if active[gate]:
            pairs = dim // 4 if gates[gate, CONTROL] else dim // 2
            each = 28
            if backward:
                each += 56 if gates[gate, CODE] == FIXED else 88
            column += pairs * each
    meeting = (16 if backward else 8) * dim * dim
    return column * dim + meeting * samples < column * samples


@compiled
def readout_all(
    gates: Any, slots: Any, fixed: Any, angles: Any, active: Any, x_re: Any, x_im: Any, targets: Any, weights: Any,
    limits: Any, logits: Any, bits: Any, loss: Any, gradient: Any,
) -> None:  # fmt: skip
    """Loss [C] and gradient [C, A] of samples x [2^n, B] with targets [classes, B]; weights [2^n, classes] are signs @
    head. A circuit is multiplied into one unitary that meets all samples where that is cheaper."""
    dim, samples = x_re.shape
    kind = x_re.dtype
    matrices, factor = np.empty((len(gates), 10), kind), np.empty(samples, kind)
    u_re, u_im = np.empty((dim, 0), kind), np.empty((dim, 0), kind)
    w_re, w_im = np.empty((dim, 0), kind), np.empty((dim, 0), kind)
    out_re, out_im = np.empty((dim, 0), kind), np.empty((dim, 0), kind)
    for candidate in range(len(angles)):
        by_unitary = unitary_is_cheaper(gates, active[candidate], dim, samples, True)
        width = dim if by_unitary else samples
        if u_re.shape[1] != width:
            u_re, u_im = np.empty((dim, width), kind), np.empty((dim, width), kind)
            w_re, w_im = np.empty((dim, width), kind), np.empty((dim, width), kind)
        if by_unitary and out_re.shape[1] != samples:
            out_re, out_im = np.empty((dim, samples), kind), np.empty((dim, samples), kind)
        make_matrices(gates, slots, angles[candidate], active[candidate], fixed, matrices)
        if by_unitary:
            set_identity(u_re, u_im)
        else:
            u_re[:] = x_re
            u_im[:] = x_im
        run_forward(gates, active[candidate], matrices, u_re.ravel(), u_im.ravel(), width)
        state_re, state_im = u_re, u_im
        if by_unitary:
            meet(u_re, u_im, x_re, x_im, out_re, out_im)
            state_re, state_im = out_re, out_im
        logits[:] = 0
        for j in range(dim):
            add_chances(state_re[j], state_im[j], weights[j], logits)
        loss[candidate] = cross_entropy(logits, bits, targets, limits)
        if by_unitary:
            for j in range(dim):
                weigh(weights[j], logits, factor)
                scale_by(factor, out_re[j])
                scale_by(factor, out_im[j])
            meet_back(out_re, out_im, x_re, x_im, w_re, w_im)
        else:
            for j in range(dim):
                weigh(weights[j], logits, factor)
                w_re[j] = u_re[j]
                w_im[j] = u_im[j]
                scale_by(factor, w_re[j])
                scale_by(factor, w_im[j])
        run_backward(
            gates, slots, active[candidate], matrices, u_re.ravel(), u_im.ravel(), w_re.ravel(), w_im.ravel(), width,
            gradient[candidate],
        )  # fmt: skip


@compiled
def logits_all(
    gates: Any, slots: Any, fixed: Any, angles: Any, active: Any, x_re: Any, x_im: Any, weights: Any, logits: Any
) -> None:
    """Logits [C, classes, S] of samples x [2^n, S]."""
    dim, samples = x_re.shape
    kind = x_re.dtype
    matrices = np.empty((len(gates), 10), kind)
    u_re, u_im = np.empty((dim, 0), kind), np.empty((dim, 0), kind)
    out_re, out_im = np.empty((dim, 0), kind), np.empty((dim, 0), kind)
    for candidate in range(len(angles)):
        by_unitary = unitary_is_cheaper(gates, active[candidate], dim, samples, False)
        width = dim if by_unitary else samples
        if u_re.shape[1] != width:
            u_re, u_im = np.empty((dim, width), kind), np.empty((dim, width), kind)
        if by_unitary and out_re.shape[1] != samples:
            out_re, out_im = np.empty((dim, samples), kind), np.empty((dim, samples), kind)
        make_matrices(gates, slots, angles[candidate], active[candidate], fixed, matrices)
        if by_unitary:
            set_identity(u_re, u_im)
        else:
            u_re[:] = x_re
            u_im[:] = x_im
        run_forward(gates, active[candidate], matrices, u_re.ravel(), u_im.ravel(), width)
        state_re, state_im = u_re, u_im
        if by_unitary:
            meet(u_re, u_im, x_re, x_im, out_re, out_im)
            state_re, state_im = out_re, out_im
        logits[candidate] = 0
        for j in range(dim):
            add_chances(state_re[j], state_im[j], weights[j], logits[candidate])


@compiled
def apply_sum(flips: Any, d_re: Any, d_im: Any, re: Any, im: Any, out_re: Any, out_im: Any) -> None:
    """out = H psi: sum over flips x of diagonal [x, i] psi[i ^ x]; d_im may be empty for a real diagonal."""
    out_re[:] = 0
    out_im[:] = 0
    real = len(d_im) == 0
    for k in range(len(flips)):
        flip = flips[k]
        for i in range(len(re)):
            x, y = re[i ^ flip], im[i ^ flip]
            out_re[i] += d_re[k, i] * x
            out_im[i] += d_re[k, i] * y
            if not real:
                out_re[i] -= d_im[k, i] * y
                out_im[i] += d_im[k, i] * x


@compiled
def energy_all(
    gates: Any, slots: Any, fixed: Any, angles: Any, active: Any, flips: Any, d_re: Any, d_im: Any, values: Any,
    gradient: Any,
) -> None:  # fmt: skip
    """Energies [C] and their gradient [C, A] (left alone where it has no rows), from |0...0>."""
    kind, dim = d_re.dtype, d_re.shape[1]
    matrices = np.empty((len(gates), 10), kind)
    re, im, l_re, l_im = np.empty(dim, kind), np.empty(dim, kind), np.empty(dim, kind), np.empty(dim, kind)
    for candidate in range(len(angles)):
        make_matrices(gates, slots, angles[candidate], active[candidate], fixed, matrices)
        re[:] = 0
        im[:] = 0
        re[0] = 1
        run_forward(gates, active[candidate], matrices, re, im, 1)
        apply_sum(flips, d_re, d_im, re, im, l_re, l_im)
        total = 0.0
        for i in range(dim):
            total += re[i] * l_re[i] + im[i] * l_im[i]
        values[candidate] = total
        if len(gradient):
            for i in range(dim):
                l_re[i] *= 2
                l_im[i] *= 2
            run_backward(gates, slots, active[candidate], matrices, re, im, l_re, l_im, 1, gradient[candidate])
