"""Any list of one- and two-qubit gates on a batch of columns, and its gradient by adjoint differentiation, compiled.

Every gate of `Circuit` mixes pairs of rows (row, row ^ mask) by one [2, 2] matrix: a rotation about a product of Paulis
by its conjugate where the other qubit is 1, a controlled gate only where the control is 1. The backward pass undoes one
gate after the other, so memory does not grow with depth (Jones and Gacon, "Efficient calculation of gradients in
classical simulations of variational quantum algorithms", arXiv:2009.02823). A gate's derivative is an anti-Hermitian
matrix times the gate, so four real sums over its pairs give the gradient of all its angles. Qubit q is bit q of a
row's number, as everywhere in this package; columns (of a unitary, or states of a batch) lie side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled, compiled_reordering

FIXED, RX, RY, RZ, U1, U3, DIAGONAL, FLIP, TURNED = range(9)
"""How a gate's matrix comes from its angles; the last three are exp(-i theta / 2 P), P a product of two Paulis, with
the matrix of RZ, of RX, and of RX at -theta."""
PIVOT, MASK, CONTROL, VALUE, VARIANT, STRIDE, CODE, NUMBER = range(8)
"""Columns of `gates` int32 [G, 8]: pairs are (row, row ^ MASK) for rows with bit PIVOT 0 and row & CONTROL == VALUE;
where row & VARIANT the matrix is conjugated; rows within a STRIDE are treated alike; NUMBER is that of a fixed
matrix."""


@compiled
def all_finite(angles: Any) -> bool:
    """Whether angles [C, A] hold neither NaN nor infinity."""
    for c in range(len(angles)):
        for a in range(angles.shape[1]):
            if not np.isfinite(angles[c, a]):
                return False
    return True


@compiled
def make_matrices(gates: Any, slots: Any, angles: Any, active: Any, fixed: Any, matrices: Any) -> None:
    """matrices [G, 10]: re and im of entries 00, 01, 10, 11, then cos and sin of phi (U3).

    `slots` int32 [G, 3]: where a gate's angles stand in `angles`; `fixed` [K, 8]; `active` uint8 [G].
    """
    for gate in range(len(gates)):
        if not active[gate]:
            continue
        code = gates[gate, CODE]
        out = matrices[gate]
        if code == FIXED:
            for k in range(8):
                out[k] = fixed[gates[gate, NUMBER], k]
            continue
        theta = angles[slots[gate, 0]]
        if code == U1:
            cosine, sine, phi, lam = 1.0, 0.0, 0.0, theta
        else:
            cosine, sine = np.cos(theta / 2), np.sin(theta / 2)
            phi, lam = angles[slots[gate, 1]], angles[slots[gate, 2]]
        for k in range(8):
            out[k] = 0.0
        out[0] = cosine
        out[6] = cosine
        if code in (U1, U3):
            cos_phi, sin_phi, cos_lam, sin_lam = np.cos(phi), np.sin(phi), np.cos(lam), np.sin(lam)
            out[2] = -cos_lam * sine
            out[3] = -sin_lam * sine
            out[4] = cos_phi * sine
            out[5] = sin_phi * sine
            out[6] = (cos_phi * cos_lam - sin_phi * sin_lam) * cosine
            out[7] = (sin_phi * cos_lam + cos_phi * sin_lam) * cosine
            out[8] = cos_phi
            out[9] = sin_phi
        elif code == RY:
            out[2] = -sine
            out[4] = sine
        elif code in (RZ, DIAGONAL):
            out[1] = -sine
            out[7] = sine
        else:
            out[3] = sine if code == TURNED else -sine
            out[5] = out[3]


@compiled
def rotate(
    re: Any, im: Any, first: int, second: int, run: int, a: float, b: float, c: float, d: float, e: float, f: float,
    g: float, h: float,
) -> None:  # fmt: skip
    """`run` numbers from places first and second on: (p, q) -> [[a + ib, c + id], [e + if, g + ih]] (p, q).

    Unsigned places keep numba from looking for negative ones, which no vector instruction survives.
    """
    p, q = np.uint64(first), np.uint64(second)
    for k in range(np.uint64(run)):
        x, y, u, v = re[p + k], im[p + k], re[q + k], im[q + k]
        re[p + k] = a * x - b * y + c * u - d * v
        im[p + k] = a * y + b * x + c * v + d * u
        re[q + k] = e * x - f * y + g * u - h * v
        im[q + k] = e * y + f * x + g * v + h * u


@compiled_reordering
def pair_sums(re: Any, im: Any, l_re: Any, l_im: Any, first: int, second: int, run: int) -> Any:
    """Im(conj(l_p) u_p), Im(conj(l_q) u_q), Im(conj(l_p) u_q + conj(l_q) u_p), Re(conj(l_p) u_q - conj(l_q) u_p),
    summed over `run` numbers from places first (p) and second (q) on."""
    p, q = np.uint64(first), np.uint64(second)
    zero = re.dtype.type(0)
    own, others, mixed, turned = zero, zero, zero, zero
    for k in range(np.uint64(run)):
        x, y, u, v = re[p + k], im[p + k], re[q + k], im[q + k]
        r, s, t, w = l_re[p + k], l_im[p + k], l_re[q + k], l_im[q + k]
        own += r * y - s * x
        others += t * v - w * u
        mixed += r * v - s * u + t * y - w * x
        turned += r * u + s * v - t * x - w * y
    return own, others, mixed, turned


@compiled
def run_forward(gates: Any, active: Any, matrices: Any, re: Any, im: Any, width: int) -> None:
    """All active gates in order on flat arrays re, im [2^n * width]."""
    rows = len(re) // width
    plus, minus = re.dtype.type(1), re.dtype.type(-1)
    for gate in range(len(gates)):
        if not active[gate]:
            continue
        pivot, mask, control, value = gates[gate, PIVOT], gates[gate, MASK], gates[gate, CONTROL], gates[gate, VALUE]
        variant, stride = gates[gate, VARIANT], gates[gate, STRIDE]
        run, m = stride * width, matrices[gate]
        for row in range(0, rows, stride):
            if row & pivot or row & control != value:
                continue
            sign = minus if row & variant else plus
            b, d, f, h = sign * m[1], sign * m[3], sign * m[5], sign * m[7]
            rotate(re, im, row * width, (row ^ mask) * width, run, m[0], b, m[2], d, m[4], f, m[6], h)


@compiled
def run_backward(
    gates: Any, slots: Any, active: Any, matrices: Any, re: Any, im: Any, l_re: Any, l_im: Any, width: int,
    gradient: Any,
) -> None:  # fmt: skip
    """gradient [A] += dL / d angles, by undoing the circuit.

    re, im hold what `run_forward` left, and l_re, l_im the gradient of the loss by it in the sense dL = Re sum(conj(l)
    * d state); all four are used up.
    """
    rows = len(re) // width
    plus, minus = re.dtype.type(1), re.dtype.type(-1)
    zero = re.dtype.type(0)
    for gate in range(len(gates) - 1, -1, -1):
        if not active[gate]:
            continue
        pivot, mask, control, value = gates[gate, PIVOT], gates[gate, MASK], gates[gate, CONTROL], gates[gate, VALUE]
        variant, stride, code = gates[gate, VARIANT], gates[gate, STRIDE], gates[gate, CODE]
        run, m = stride * width, matrices[gate]
        s0, s1, s2, s3 = zero, zero, zero, zero
        for row in range(0, rows, stride):
            if row & pivot or row & control != value:
                continue
            p, q = row * width, (row ^ mask) * width
            sign = minus if row & variant else plus
            b, d, f, h = -sign * m[1], -sign * m[5], -sign * m[3], -sign * m[7]  # of the adjoint
            if code != FIXED:
                own, others, mixed, turned = pair_sums(re, im, l_re, l_im, p, q, run)
                s0 += sign * own
                s1 += sign * others
                s2 += sign * mixed
                s3 += turned
            rotate(re, im, p, q, run, m[0], b, m[4], d, m[2], f, m[6], h)
            rotate(l_re, l_im, p, q, run, m[0], b, m[4], d, m[2], f, m[6], h)
        if code == FIXED:
            continue
        # With dm = i [[a, b], [conj(b), d]] m, dL = -a s0 - d s1 - Re(b) s2 - Im(b) s3.
        theta = slots[gate, 0]
        if code == U1:
            gradient[theta] -= s1
        elif code == U3:
            gradient[theta] -= (m[9] * s2 + m[8] * s3) / 2
            gradient[slots[gate, 1]] -= s1
            gradient[slots[gate, 2]] -= (
                (m[2] * m[2] + m[3] * m[3]) * s0
                + (m[6] * m[6] + m[7] * m[7]) * s1
                + (m[2] * m[6] + m[3] * m[7]) * s2
                + (m[3] * m[6] - m[2] * m[7]) * s3
            )
        elif code == RY:
            gradient[theta] -= s3 / 2
        elif code in (RZ, DIAGONAL):
            gradient[theta] += (s0 - s1) / 2
        elif code == TURNED:
            gradient[theta] -= s2 / 2
        else:
            gradient[theta] += s2 / 2


@compiled
def forward_all(gates: Any, slots: Any, fixed: Any, angles: Any, active: Any, re: Any, im: Any, matrices: Any) -> None:
    """`run_forward` of every candidate: re, im [C, 2^n, width], matrices [C, G, 10]."""
    for c in range(len(angles)):
        make_matrices(gates, slots, angles[c], active[c], fixed, matrices[c])
        run_forward(gates, active[c], matrices[c], re[c].ravel(), im[c].ravel(), re.shape[2])


@compiled
def backward_all(
    gates: Any, slots: Any, active: Any, matrices: Any, re: Any, im: Any, l_re: Any, l_im: Any, gradient: Any
) -> None:
    """`run_backward` of every candidate: gradient [C, A]."""
    for c in range(len(gradient)):
        run_backward(
            gates, slots, active[c], matrices[c], re[c].ravel(), im[c].ravel(), l_re[c].ravel(), l_im[c].ravel(),
            re.shape[2], gradient[c],
        )  # fmt: skip
