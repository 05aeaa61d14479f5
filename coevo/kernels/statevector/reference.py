"""The plain reference: one gate after the other on a dense state, as a textbook writes it.

Everything here and beside it counts qubits as Qiskit does: qubit q is bit q of a basis state's index, so qubit 0 is
the least significant bit; for a two-qubit gate the first of its qubits is the less significant bit of its matrix.
`apply_gate` is the one place where that order meets the axes of an array.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError

Complex = NDArray[np.complexfloating[Any, Any]]
Real = NDArray[np.floating[Any]]
Gate = tuple[str, tuple[int, ...], tuple[float, ...]]
"""(name, qubits, angles in radians)."""


def gate_matrix(name: str, angles: Sequence[float] = ()) -> NDArray[np.complex128]:
    """[2, 2] or [4, 4], complex128. `u3` and `cu3` follow OpenQASM 2's qelib1.inc; controls are the first qubit."""
    if name in ("rx", "ry", "rz"):
        cosine, sine = np.cos(angles[0] / 2), np.sin(angles[0] / 2)
        if name == "rx":
            return np.array([[cosine, -1j * sine], [-1j * sine, cosine]])
        if name == "ry":
            return np.array([[cosine, -sine], [sine, cosine]], dtype=complex)
        return np.array([[cosine - 1j * sine, 0], [0, cosine + 1j * sine]])
    if name == "u3":
        theta, phi, lam = angles
        cosine, sine = np.cos(theta / 2), np.sin(theta / 2)
        return np.array(
            [
                [cosine, -np.exp(1j * lam) * sine],
                [np.exp(1j * phi) * sine, np.exp(1j * (phi + lam)) * cosine],
            ]
        )
    if name == "cu3":
        matrix = np.eye(4, dtype=complex)
        matrix[np.ix_([1, 3], [1, 3])] = gate_matrix("u3", angles)  # the control is bit 0
        return matrix
    raise InputError(f"expected a gate rx, ry, rz, u3 or cu3, got {name!r}")


def apply_gate(states: Complex, matrix: Complex, qubits: Sequence[int]) -> Complex:
    """States [..., 2^n] after a gate [2^k, 2^k] on k of their qubits."""
    n_qubits = int(states.shape[-1]).bit_length() - 1
    k = len(qubits)
    lead = states.ndim - 1
    tensor = states.reshape(*states.shape[:-1], *[2] * n_qubits)
    # Axis lead + n - 1 - q holds qubit q; the gate's own axes run from its most significant qubit down.
    axes = [lead + n_qubits - 1 - qubit for qubit in reversed(qubits)]
    gate = matrix.reshape([2] * (2 * k))
    tensor = np.tensordot(tensor, gate, axes=(axes, range(k, 2 * k)))
    tensor = np.moveaxis(tensor, range(tensor.ndim - k, tensor.ndim), axes)
    return np.ascontiguousarray(tensor).reshape(states.shape)


def run_gates(gates: Iterable[Gate], states: Complex) -> Complex:
    """States [..., 2^n] after all gates in order."""
    for name, qubits, angles in gates:
        states = apply_gate(states, gate_matrix(name, angles), qubits)
    return states


def zero_state(n_qubits: int) -> NDArray[np.complex128]:
    """[2^n]: every qubit |0>."""
    state = np.zeros(2**n_qubits, dtype=complex)
    state[0] = 1
    return state


def expectations_z(states: Complex) -> Real:
    """<Z> of every qubit [..., n] in states [..., 2^n]."""
    n_qubits = int(states.shape[-1]).bit_length() - 1
    return (np.abs(states) ** 2) @ z_signs(n_qubits)


def z_signs(n_qubits: int) -> NDArray[np.float64]:
    """[2^n, n]: the eigenvalue of Z on qubit q for every basis state."""
    index = np.arange(2**n_qubits)[:, None]
    return (1 - 2 * ((index >> np.arange(n_qubits)) & 1)).astype(float)
