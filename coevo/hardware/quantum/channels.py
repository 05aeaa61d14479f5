"""Error channels of calibrated gates, as Pauli transfer matrices (conventions: `pauli`).

The model is the one of qiskit-aer's `NoiseModel.from_backend` at temperature 0, in closed form: a gate with
average infidelity `error` that lasts `duration` seconds is followed by a depolarising channel and then by
T1/T2 relaxation of each of its qubits, with the depolarising strength chosen so that the whole has exactly
the calibrated average infidelity. Where relaxation alone is already worse than calibrated, there is no
depolarising part. T2 is cut at 2 T1, as physics and Aer do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coevo.hardware.quantum.pauli import Matrix


def relaxation(t1_s: float, t2_s: float, duration_s: float) -> Matrix:
    """PTM [4, 4] of T1/T2 relaxation towards |0> during `duration_s`; all three in seconds, inf allowed."""
    keep_population = np.exp(-duration_s / t1_s)
    keep_coherence = np.exp(-duration_s / min(t2_s, 2 * t1_s))
    matrix = np.diag([1.0, keep_coherence, keep_coherence, keep_population])
    matrix[3, 0] = 1 - keep_population
    return matrix


def average_infidelity(matrix: Matrix) -> float:
    """1 - average gate fidelity to the identity of a channel's PTM [d^2, d^2] (Nielsen 2002, eq. 3)."""
    dim = np.sqrt(len(matrix))
    return float(1 - (np.trace(matrix) / dim + 1) / (dim + 1))


def gate_error(error: float, duration_s: float, t1_t2_s: Sequence[tuple[float, float]]) -> Matrix:
    """PTM [4^n, 4^n] of the error channel that follows an n-qubit gate.

    `error` is the calibrated average infidelity of the gate, `duration_s` its length in seconds, `t1_t2_s`
    one pair (T1, T2) in seconds a qubit, in the order of the gate's qubits (first = most significant).
    """
    relax: Matrix = np.ones((1, 1))
    for t1_s, t2_s in t1_t2_s:
        relax = np.asarray(np.kron(relax, relaxation(t1_s, t2_s, duration_s)), dtype=np.float64)
    dim = 2 ** len(t1_t2_s)
    relax_infidelity = average_infidelity(relax)
    if error <= relax_infidelity:
        return relax
    # F(depolarising then relaxation) = (1 - p) F(relaxation) + p / dim, solved for p.
    worst = dim / (dim + 1)
    strength = dim * (min(error, worst) - relax_infidelity) / (dim * (1 - relax_infidelity) - 1)
    strength = min(strength, dim**2 / (dim**2 - 1))
    depolarising: Matrix = np.full(dim**2, 1 - strength)
    depolarising[0] = 1
    return relax * depolarising
