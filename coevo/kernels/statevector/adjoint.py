"""Any list of one- and two-qubit gates as one unitary, and its gradient by adjoint differentiation, compiled.

Columns of the unitary (or the states of a batch) lie side by side, so that a gate is a few multiplications over runs of
neighbouring numbers. The backward pass undoes one gate after the other, so memory does not grow with depth
(Jones and Gacon, "Efficient calculation of gradients in classical simulations of variational quantum algorithms",
arXiv:2009.02823). Qubit q is bit q of a basis state's index, as everywhere in this package.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled, compiled_reordering

SINGLE, CONTROLLED, DOUBLE = 0, 1, 2  # kinds of gates: [2, 2] on a qubit, [2, 2] under a control, [4, 4] on two
FIXED, RX, RY, RZ, U1, U3, RZZ, RXX, RYY, RZX = range(10)  # how a matrix comes from angles


@compiled
def gate_entries(code: int, theta: float, phi: float, lam: float, re: Any, im: Any) -> None:
    """The entries of a gate with angles into re, im [4, 4]; [2, 2] gates use the upper left corner."""
    if code in (RX, RY, RZ):
        cosine, sine = np.cos(theta / 2), np.sin(theta / 2)
        for i in range(2):
            for j in range(2):
                re[i, j] = 0.0
                im[i, j] = 0.0
        re[0, 0] = cosine
        re[1, 1] = cosine
        if code == RX:
            im[0, 1] = -sine
            im[1, 0] = -sine
        elif code == RY:
            re[0, 1] = -sine
            re[1, 0] = sine
        else:
            im[0, 0] = -sine
            im[1, 1] = sine
    elif code in (U1, U3):
        cosine, sine = (1.0, 0.0) if code == U1 else (np.cos(theta / 2), np.sin(theta / 2))
        first = 0.0 if code == U1 else phi
        second = theta if code == U1 else lam
        re[0, 0] = cosine
        im[0, 0] = 0.0
        re[0, 1] = -np.cos(second) * sine
        im[0, 1] = -np.sin(second) * sine
        re[1, 0] = np.cos(first) * sine
        im[1, 0] = np.sin(first) * sine
        re[1, 1] = np.cos(first + second) * cosine
        im[1, 1] = np.sin(first + second) * cosine
    elif code != FIXED:  # exp(-i theta / 2 P), P a product of two Paulis
        cosine, sine = np.cos(theta / 2), np.sin(theta / 2)
        for i in range(4):
            for j in range(4):
                re[i, j] = cosine if i == j else 0.0
                im[i, j] = 0.0
        for i in range(4):
            if code == RZZ:
                im[i, i] = sine if i in (1, 2) else -sine
            elif code == RXX:
                im[i, 3 - i] = -sine
            elif code == RYY:
                im[i, 3 - i] = sine if i in (0, 3) else -sine
            else:  # Z on the first qubit (the low bit), X on the second
                im[i, i ^ 2] = sine if i & 1 else -sine


@compiled
def apply(kind: int, a: int, b: int, m_re: Any, m_im: Any, re: Any, im: Any, width: int, t_re: Any, t_im: Any) -> None:
    """A gate on flat arrays re, im [2^n * width]; t_re, t_im [4 * width] are spare. Qubit a is the controlled gate's
    control and the [4, 4] gate's low bit."""
    total = len(re)
    if kind in (SINGLE, CONTROLLED):
        target = a if kind == SINGLE else b
        half = width << target
        # Without a control a run holds all neighbours below the target's bit; with one below it, shorter runs.
        run = half if kind == SINGLE or a > target else width << a
        for base in range(0, total, 2 * half):
            for low in range(base, base + half, run):
                if kind == CONTROLLED and not (low // width) >> a & 1:
                    continue
                high = low + half
                rotate_rows(
                    re[low : low + run], im[low : low + run], re[high : high + run], im[high : high + run],
                    m_re[0, 0], m_im[0, 0], m_re[0, 1], m_im[0, 1], m_re[1, 0], m_im[1, 0], m_re[1, 1], m_im[1, 1],
                )  # fmt: skip
        return
    states = total // width
    low_bit, high_bit = 1 << a, 1 << b
    for state in range(states):
        if state & low_bit or state & high_bit:
            continue
        for k in range(4):
            row = (state | (low_bit if k & 1 else 0) | (high_bit if k & 2 else 0)) * width
            for c in range(width):
                t_re[k * width + c] = re[row + c]
                t_im[k * width + c] = im[row + c]
        for k in range(4):
            row = (state | (low_bit if k & 1 else 0) | (high_bit if k & 2 else 0)) * width
            mix_rows(m_re[k], m_im[k], t_re, t_im, re[row : row + width], im[row : row + width])


@compiled
def rotate_rows(
    re0: Any, im0: Any, re1: Any, im1: Any,
    a: float, b: float, c: float, d: float, e: float, f: float, g: float, h: float,
) -> None:  # fmt: skip
    """(row 0, row 1) -> [[a + ib, c + id], [e + if, g + ih]] (row 0, row 1)."""
    for k in range(len(re0)):
        x, y, u, v = re0[k], im0[k], re1[k], im1[k]
        re0[k] = a * x - b * y + c * u - d * v
        im0[k] = a * y + b * x + c * v + d * u
        re1[k] = e * x - f * y + g * u - h * v
        im1[k] = e * y + f * x + g * v + h * u


@compiled
def mix_rows(m_re: Any, m_im: Any, t_re: Any, t_im: Any, re: Any, im: Any) -> None:
    """re + i im = sum over k of (m_re + i m_im)[k] times row k of t."""
    width = len(re)
    for c in range(width):
        re[c] = 0.0
        im[c] = 0.0
    for k in range(4):
        a, b = m_re[k], m_im[k]
        if a == 0.0 and b == 0.0:
            continue
        for c in range(width):
            re[c] += a * t_re[k * width + c] - b * t_im[k * width + c]
            im[c] += a * t_im[k * width + c] + b * t_re[k * width + c]


@compiled_reordering
def overlap(l_re: Any, l_im: Any, u_re: Any, u_im: Any) -> Any:
    """sum of conj(l) * u."""
    real, imaginary = l_re[0] * 0, l_re[0] * 0
    for k in range(len(l_re)):
        real += l_re[k] * u_re[k] + l_im[k] * u_im[k]
        imaginary += l_re[k] * u_im[k] - l_im[k] * u_re[k]
    return real, imaginary


@compiled
def overlaps(
    kind: int, a: int, b: int, l_re: Any, l_im: Any, u_re: Any, u_im: Any, width: int, w_re: Any, w_im: Any
) -> None:
    """w[i, j] = sum over all rows of conj(l at the gate's index i) * (u at its index j)."""
    size = 4 if kind == DOUBLE else 2
    for i in range(size):
        for j in range(size):
            w_re[i, j] = 0.0
            w_im[i, j] = 0.0
    total = len(u_re)
    if kind == DOUBLE:
        half, run = width << b, width
        reach = width << max(a, b)
    else:
        target = a if kind == SINGLE else b
        half = width << target
        reach = half
        run = half if kind == SINGLE or a > target else width << a
    for base in range(0, total, 2 * reach):
        for low in range(base, base + reach, run):
            state = low // width
            if kind == CONTROLLED and not state >> a & 1:
                continue
            if kind == DOUBLE and ((state >> a & 1) or (state >> b & 1)):
                continue
            for i in range(size):
                for j in range(size):
                    p = low + (half if i == 1 else 0) if size == 2 else low + ((i & 1) << a) * width + (i >> 1) * half
                    q = low + (half if j == 1 else 0) if size == 2 else low + ((j & 1) << a) * width + (j >> 1) * half
                    x, y = overlap(l_re[p : p + run], l_im[p : p + run], u_re[q : q + run], u_im[q : q + run])
                    w_re[i, j] += x
                    w_im[i, j] += y


@compiled
def run_circuit(
    gates: Any, slots: Any, angles: Any, active: Any, fixed_re: Any, fixed_im: Any, re: Any, im: Any, m_re: Any,
    m_im: Any,
) -> None:  # fmt: skip
    """All gates in order on re, im [2^n, width]; their matrices stay in m_re, m_im [G, 4, 4].

    `gates` int32 [G, 5]: kind, first qubit, second qubit, code, number of the fixed matrix. `slots` int32 [G, 3]: where
    each of its angles stands in `angles`. `active` uint8 [G]: 0 leaves a gate out.
    """
    width = re.shape[1]
    t_re, t_im = np.empty(4 * width, re.dtype), np.empty(4 * width, re.dtype)
    flat_re, flat_im = re.ravel(), im.ravel()
    for gate in range(len(gates)):
        if not active[gate]:
            continue
        code = gates[gate, 3]
        if code == FIXED:
            for i in range(4):
                for j in range(4):
                    m_re[gate, i, j] = fixed_re[gates[gate, 4], i, j]
                    m_im[gate, i, j] = fixed_im[gates[gate, 4], i, j]
        else:
            gate_entries(
                code, angles[slots[gate, 0]], angles[slots[gate, 1]], angles[slots[gate, 2]], m_re[gate], m_im[gate]
            )
        apply(
            gates[gate, 0], gates[gate, 1], gates[gate, 2], m_re[gate], m_im[gate], flat_re, flat_im, width, t_re, t_im
        )


@compiled
def differentiate(
    gates: Any, slots: Any, angles: Any, active: Any, m_re: Any, m_im: Any, re: Any, im: Any, l_re: Any, l_im: Any,
    gradient: Any,
) -> None:  # fmt: skip
    """gradient [A] += dL / d angles, by undoing the circuit.

    re, im [2^n, width] hold what `run_circuit` left, and l_re, l_im the gradient of the loss by it in the sense
    dL = Re sum(conj(l) * d state); all four are used up.
    """
    width = re.shape[1]
    kind_of = re.dtype
    t_re, t_im = np.empty(4 * width, kind_of), np.empty(4 * width, kind_of)
    d_re, d_im = np.empty((4, 4), kind_of), np.empty((4, 4), kind_of)
    w_re, w_im = np.empty((4, 4), kind_of), np.empty((4, 4), kind_of)
    u_re, u_im, v_re, v_im = re.ravel(), im.ravel(), l_re.ravel(), l_im.ravel()
    for gate in range(len(gates) - 1, -1, -1):
        if not active[gate]:
            continue
        kind, a, b, code = gates[gate, 0], gates[gate, 1], gates[gate, 2], gates[gate, 3]
        size = 4 if kind == DOUBLE else 2
        for i in range(size):
            for j in range(size):
                d_re[i, j] = m_re[gate, j, i]
                d_im[i, j] = -m_im[gate, j, i]
        apply(kind, a, b, d_re, d_im, u_re, u_im, width, t_re, t_im)
        if code != FIXED:
            overlaps(kind, a, b, v_re, v_im, u_re, u_im, width, w_re, w_im)
            first, second, third = slots[gate, 0], slots[gate, 1], slots[gate, 2]
            if code == U1:
                # d / d theta of exp(i theta) at [1, 1]: times i
                gradient[first] -= m_im[gate, 1, 1] * w_re[1, 1] + m_re[gate, 1, 1] * w_im[1, 1]
            else:
                # Half angles: the derivative is half the matrix at theta + pi.
                gate_entries(code, angles[first] + np.pi, angles[second], angles[third], d_re, d_im)
                total = w_re[0, 0] * 0
                for i in range(size):
                    for j in range(size):
                        total += d_re[i, j] * w_re[i, j] - d_im[i, j] * w_im[i, j]
                gradient[first] += total / 2
                if code == U3:
                    # phi turns row 1, lambda column 1: times i
                    for j in range(2):
                        gradient[second] -= m_im[gate, 1, j] * w_re[1, j] + m_re[gate, 1, j] * w_im[1, j]
                        gradient[third] -= m_im[gate, j, 1] * w_re[j, 1] + m_re[gate, j, 1] * w_im[j, 1]
            for i in range(size):
                for j in range(size):
                    d_re[i, j] = m_re[gate, j, i]
                    d_im[i, j] = -m_im[gate, j, i]
        apply(kind, a, b, d_re, d_im, v_re, v_im, width, t_re, t_im)
