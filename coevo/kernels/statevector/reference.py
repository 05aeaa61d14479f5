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

from coevo.errors import unknown_name

Complex = NDArray[np.complexfloating[Any, Any]]
Real = NDArray[np.floating[Any]]
Gate = tuple[str, tuple[int, ...], tuple[float, ...]]
"""(name, qubits, angles in radians)."""


_X: NDArray[np.complex128] = np.array([[0, 1], [1, 0]], dtype=complex)
_Y: NDArray[np.complex128] = np.array([[0, -1j], [1j, 0]])
_Z: NDArray[np.complex128] = np.diag([1, -1 + 0j])
_FIXED: dict[str, NDArray[np.complex128]] = {
    "x": _X,
    "y": _Y,
    "z": _Z,
    "h": (_X + _Z) / np.sqrt(2),
    "s": np.diag([1, 1j]),
    "sdg": np.diag([1, -1j]),
    "t": np.diag([1, np.exp(0.25j * np.pi)]),
    "tdg": np.diag([1, np.exp(-0.25j * np.pi)]),
    "sx": np.array([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]]),
    "cx": np.eye(4, dtype=complex)[[0, 3, 2, 1]],  # the control is bit 0
    "cz": np.diag([1, 1, 1, -1 + 0j]),
    "swap": np.eye(4, dtype=complex)[[0, 2, 1, 3]],
    # The root with eigenvalue +i on the singlet: (1 + i)/2 on, (1 - i)/2 off the diagonal.
    "sqrtswap": np.array([[1, 0, 0, 0], [0, 0.5 + 0.5j, 0.5 - 0.5j, 0], [0, 0.5 - 0.5j, 0.5 + 0.5j, 0], [0, 0, 0, 1]]),
}
_ROTATIONS = {  # exp(-i angle / 2 G); the first qubit is the less significant factor, written last in a product
    "rx": _X,
    "ry": _Y,
    "rz": _Z,
    "rxx": np.kron(_X, _X),
    "ryy": np.kron(_Y, _Y),
    "rzz": np.kron(_Z, _Z),
    "rzx": np.kron(_X, _Z),
}


def gate_matrix(name: str, angles: Sequence[float] = ()) -> NDArray[np.complex128]:
    """[2, 2] or [4, 4], complex128. `u1`, `u3` and `cu3` follow OpenQASM 2's qelib1.inc; controls are the first qubit;
    in `rzx` Z acts on the first qubit, as in Qiskit."""
    if name in _FIXED:
        return np.array(_FIXED[name])
    if name in _ROTATIONS:
        generator = _ROTATIONS[name]
        turned: NDArray[np.complex128] = (
            np.cos(angles[0] / 2) * np.eye(len(generator)) - 1j * np.sin(angles[0] / 2) * generator
        )
        return turned
    if name == "u1":
        return np.diag([1, np.exp(1j * angles[0])])
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
    raise unknown_name("gate", name, (*_FIXED, *_ROTATIONS, "u1", "u3", "cu3"))


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
