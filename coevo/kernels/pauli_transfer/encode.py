"""Encoded samples, compiled: one-qubit rows with an angle a sample, applied to |0>.

The rows between two data-dependent rotations are merged beforehand (`merge`), and the matrix that follows a rotation is
multiplied into its three parts, so that a sample costs one product [4, 4] @ [4] a rotation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled


@compiled
def encode(steps: Any, first: Any, offsets: Any, terms: Any, slopes: Any, inputs: Any, turns: Any, out: Any) -> None:
    """out [4, samples] = the Pauli vector of one qubit for every sample.

    Args:
        steps: [K, 3, 4, 4], what rotation k and the constant rows after it amount to: its constant, cosine and sine
            parts.
        first: [4], the Pauli vector before the first rotation.
        offsets: [K], the constant of each rotation's angle.
        terms: int32 [T, 2], (rotation, index of the input), sorted by rotation; slopes [T].
        inputs: [P, samples], radians; `turns` [P, 2, samples] are its cosines and sines.
    """
    samples = out.shape[1]
    state = np.empty((4, samples), out.dtype)
    cosine, sine = np.empty(samples, out.dtype), np.empty(samples, out.dtype)
    for j in range(4):
        for s in range(samples):
            out[j, s] = first[j]
    term = 0
    for k in range(len(steps)):
        begin = term
        while term < len(terms) and terms[term, 0] == k:
            term += 1
        if term == begin + 1 and (slopes[begin] == 1.0 or slopes[begin] == -1.0):
            # cos(c +- x) from cos x and sin x: many qubits and rotations share an input
            c, d = np.cos(offsets[k]), np.sin(offsets[k])
            sign = slopes[begin]
            column = terms[begin, 1]
            for s in range(samples):
                x, y = turns[column, 0, s], sign * turns[column, 1, s]
                cosine[s] = c * x - d * y
                sine[s] = d * x + c * y
        else:
            for s in range(samples):
                angle = offsets[k]
                for t in range(begin, term):
                    angle += slopes[t] * inputs[terms[t, 1], s]
                cosine[s] = np.cos(angle)
                sine[s] = np.sin(angle)
        for j in range(4):
            for s in range(samples):
                state[j, s] = out[j, s]
        for i in range(4):
            for s in range(samples):
                out[i, s] = 0.0
            for j in range(4):
                a, b, c = steps[k, 0, i, j], steps[k, 1, i, j], steps[k, 2, i, j]
                if a == 0.0 and b == 0.0 and c == 0.0:
                    continue
                for s in range(samples):
                    out[i, s] += (a + cosine[s] * b + sine[s] * c) * state[j, s]
