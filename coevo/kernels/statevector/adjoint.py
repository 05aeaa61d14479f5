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
from coevo.kernels.trigonometry import cosines_sines

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

    `slots` int32 [G, 3]: where a gate's angles stand in `angles` [A]; `fixed` [K, 8]; `active` uint8 [G].
    """
    kind = matrices.dtype
    cosines, sines = np.empty(len(angles), kind), np.empty(len(angles), kind)
    cosines_sines(angles, 0.5, cosines, sines)  # of half the angles; those of whole ones follow
    one, two = kind.type(1), kind.type(2)
    for gate in range(len(gates)):
        if not active[gate]:
            continue
        code = gates[gate, CODE]
        if code == FIXED:
            for k in range(8):
                matrices[gate, k] = fixed[gates[gate, NUMBER], k]
            continue
        theta = slots[gate, 0]
        cosine, sine = cosines[theta], sines[theta]
        for k in range(8):
            matrices[gate, k] = 0.0
        if code == U1:
            matrices[gate, 0] = one
            matrices[gate, 6] = cosine * cosine - sine * sine
            matrices[gate, 7] = two * sine * cosine
            continue
        matrices[gate, 0] = cosine
        matrices[gate, 6] = cosine
        if code == U3:
            phi, lam = slots[gate, 1], slots[gate, 2]
            cos_phi, sin_phi = cosines[phi] * cosines[phi] - sines[phi] * sines[phi], two * sines[phi] * cosines[phi]
            cos_lam, sin_lam = cosines[lam] * cosines[lam] - sines[lam] * sines[lam], two * sines[lam] * cosines[lam]
            matrices[gate, 2] = -cos_lam * sine
            matrices[gate, 3] = -sin_lam * sine
            matrices[gate, 4] = cos_phi * sine
            matrices[gate, 5] = sin_phi * sine
            matrices[gate, 6] = (cos_phi * cos_lam - sin_phi * sin_lam) * cosine
            matrices[gate, 7] = (sin_phi * cos_lam + cos_phi * sin_lam) * cosine
            matrices[gate, 8] = cos_phi
            matrices[gate, 9] = sin_phi
        elif code == RY:
            matrices[gate, 2] = -sine
            matrices[gate, 4] = sine
        elif code in (RZ, DIAGONAL):
            matrices[gate, 1] = -sine
            matrices[gate, 7] = sine
        else:
            matrices[gate, 3] = sine if code == TURNED else -sine
            matrices[gate, 5] = matrices[gate, 3]


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
def add_derivative(gates: Any, slots: Any, gate: int, m: Any, sums: Any, gradient: Any) -> None:
    """gradient [A] += dL / d the angles of a gate that has some; m [G, 10] are the gates' matrices.

    `sums` [4] over the gate's pairs of rows (p, q), after the gate: Im(conj(l_p) u_p), Im(conj(l_q) u_q), Im(conj(l_p)
    u_q + conj(l_q) u_p), Re(conj(l_p) u_q - conj(l_q) u_p); of a conjugated matrix the first three count negative.
    """
    # With dm = i [[a, b], [conj(b), d]] m, dL = -a s0 - d s1 - Re(b) s2 - Im(b) s3.
    s0, s1, s2, s3 = sums[0], sums[1], sums[2], sums[3]
    half = m.dtype.type(0.5)
    code, theta = gates[gate, CODE], slots[gate, 0]
    if code == U1:
        gradient[theta] -= s1
    elif code == U3:
        gradient[theta] -= half * (m[gate, 9] * s2 + m[gate, 8] * s3)
        gradient[slots[gate, 1]] -= s1
        gradient[slots[gate, 2]] -= (
            (m[gate, 2] * m[gate, 2] + m[gate, 3] * m[gate, 3]) * s0
            + (m[gate, 6] * m[gate, 6] + m[gate, 7] * m[gate, 7]) * s1
            + (m[gate, 2] * m[gate, 6] + m[gate, 3] * m[gate, 7]) * s2
            + (m[gate, 3] * m[gate, 6] - m[gate, 2] * m[gate, 7]) * s3
        )
    elif code == RY:
        gradient[theta] -= half * s3
    elif code in (RZ, DIAGONAL):
        gradient[theta] += half * (s0 - s1)
    elif code == TURNED:
        gradient[theta] -= half * s2
    else:
        gradient[theta] += half * s2


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
    zero, sums = re.dtype.type(0), np.empty(4, re.dtype)
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
        if code != FIXED:
            sums[0], sums[1], sums[2], sums[3] = s0, s1, s2, s3
            add_derivative(gates, slots, gate, matrices, sums, gradient)


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
