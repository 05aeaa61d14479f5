"""Ideal gates as Pauli transfer matrices (PTM): real, 4x4 for one qubit, 16x16 for two.

Conventions, used by every module that touches a Pauli vector:

- one qubit's Pauli basis is (I, X, Y, Z);
- a state is the vector r with r[j] = Tr(P_j rho); |0> is (1, 0, 0, 1);
- a channel E is R[i, j] = Tr(P_i E(P_j)) / 2^n, so that states go r -> R r (Schroedinger picture) and the
  coefficients c of an operator sum_j c[j] P_j go c -> R^T c (Heisenberg picture);
- for several qubits the FIRST qubit named is the most significant digit: the two-qubit index is
  4 * P(first) + P(second). Qiskit's own PTM is little-endian; `transfer_matrix_of_unitary` converts.

Source: Greenbaum, "Introduction to Quantum Gate Set Tomography", arXiv:1509.02921, section 2.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]

ZERO_STATE: Matrix = np.array([1.0, 0.0, 0.0, 1.0])
"""The Pauli vector of |0>."""

Unitary = NDArray[np.complex128]

_I = np.eye(2, dtype=complex)
_X = np.array([[0, 1], [1, 0]], dtype=complex)
_Y = np.array([[0, -1j], [1j, 0]], dtype=complex)
_Z = np.array([[1, 0], [0, -1]], dtype=complex)
_PAULIS = np.stack([_I, _X, _Y, _Z])

_S = np.diag([1, 1j])
_T = np.diag([1, np.exp(0.25j * np.pi)])
_SX = np.array([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]])

# Big-endian matrices (first qubit most significant) of the gates that take no parameter.
_FIXED: dict[str, Unitary] = {
    "id": _I,
    "x": _X,
    "y": _Y,
    "z": _Z,
    "h": (_X + _Z) / np.sqrt(2),
    "s": _S,
    "sdg": _S.conj(),
    "t": _T,
    "tdg": _T.conj(),
    "sx": _SX,
    "sxdg": _SX.conj().T,
    "cx": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], dtype=complex),
    "cy": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, -1j], [0, 0, 1j, 0]], dtype=complex),
    "cz": np.diag([1, 1, 1, -1 + 0j]),
    "swap": np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=complex),
    "ecr": np.array([[0, 0, 1, 1j], [0, 0, 1j, 1], [1, -1j, 0, 0], [-1j, 1, 0, 0]]) / np.sqrt(2),
}

# exp(-i angle/2 G) with G^2 = 1. `p` and `u1` equal `rz` up to a global phase, which a channel lacks.
_GENERATORS: dict[str, Unitary] = {
    "rx": _X,
    "ry": _Y,
    "rz": _Z,
    "p": _Z,
    "u1": _Z,
    "rxx": np.kron(_X, _X),
    "ryy": np.kron(_Y, _Y),
    "rzz": np.kron(_Z, _Z),
    "rzx": np.kron(_Z, _X),
}

ROTATIONS = frozenset(_GENERATORS)
"""Names of the gates that `rotation_matrices` knows: one angle, an involutory generator."""


@functools.cache
def pauli_strings(num_qubits: int) -> Unitary:
    """All Pauli strings [4^n, 2^n, 2^n]; the first factor is the most significant. Read-only."""
    strings = _PAULIS
    for _ in range(num_qubits - 1):
        strings = np.einsum("aij,bkl->abikjl", strings, _PAULIS).reshape(
            len(strings) * 4, 2 * strings.shape[1], 2 * strings.shape[2]
        )
    return strings


def transfer_matrix_of_unitary(unitary: ArrayLike, little_endian: bool = False) -> Matrix:
    """The PTM [4^n, 4^n] of a unitary [2^n, 2^n] on one or two qubits.

    `little_endian=True` is for matrices from Qiskit, where the first qubit is the least significant.
    """
    matrix = np.asarray(unitary, dtype=complex)
    num_qubits = matrix.shape[0].bit_length() - 1
    if little_endian and num_qubits == 2:
        matrix = matrix.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    paulis = pauli_strings(num_qubits)
    image = matrix @ paulis @ matrix.conj().T
    transfer: Matrix = np.ascontiguousarray(np.einsum("iab,jba->ij", paulis, image).real / matrix.shape[0])
    transfer[0], transfer[:, 0] = 0, 0  # a unitary keeps the trace and the identity: exactly, not to rounding
    transfer[0, 0] = 1
    return transfer


@functools.cache
def fixed_matrix(name: str) -> Matrix | None:
    """The PTM of a gate without parameters; None for a name that this table lacks. Read-only."""
    unitary = _FIXED.get(name)
    if unitary is None:
        return None
    matrix = transfer_matrix_of_unitary(unitary)
    matrix.setflags(write=False)
    return matrix


@functools.cache
def rotation_basis(name: str) -> tuple[Matrix, Matrix, Matrix]:
    """(C, A, B) [4^n, 4^n] with PTM(angle) = C + cos(angle) A + sin(angle) B, for a name in `ROTATIONS`.

    A generator with G^2 = 1 makes the PTM a trigonometric polynomial of degree one.
    """
    generator = _GENERATORS[name]
    identity = np.eye(len(generator))
    at_zero = np.eye(len(generator) ** 2)
    at_pi = transfer_matrix_of_unitary(generator)  # exp(-i pi/2 G) = -i G
    quarter = transfer_matrix_of_unitary((identity - 1j * generator) / np.sqrt(2))
    constant = (at_zero + at_pi) / 2
    return constant, (at_zero - at_pi) / 2, quarter - constant


def rotation_matrices(name: str, angles: ArrayLike) -> Matrix:
    """PTMs [..., 4^n, 4^n] of a rotation named in `ROTATIONS`; `angles` [...] in radians."""
    constant, cosine, sine = rotation_basis(name)
    theta = np.asarray(angles, dtype=float)[..., None, None]
    matrices: Matrix = constant + np.cos(theta) * cosine + np.sin(theta) * sine
    return matrices


def u_matrices(theta: ArrayLike, phi: ArrayLike, lam: ArrayLike) -> Matrix:
    """PTMs [..., 4, 4] of U(theta, phi, lam) = RZ(phi) RY(theta) RZ(lam) up to phase; radians."""
    return rotation_matrices("rz", phi) @ rotation_matrices("ry", theta) @ rotation_matrices("rz", lam)


@functools.cache
def gate_size(name: str) -> tuple[int, int] | None:
    """(qubits, angles) of a gate of this module, None for any other name."""
    for count in range(4):
        matrix = gate_matrices(name, (0.0,) * count)
        if matrix is not None:
            return (1 if len(matrix) == 4 else 2), count
    return None


def gate_matrices(name: str, params: tuple[ArrayLike, ...]) -> Matrix | None:
    """PTMs [..., 4^n, 4^n] of any gate of this module; None where name or parameter count do not fit."""
    if not params:
        return fixed_matrix(name)
    if len(params) == 1 and name in ROTATIONS:
        return rotation_matrices(name, params[0])
    if len(params) == 3 and name in ("u", "u3"):
        return u_matrices(*params)
    if len(params) == 2 and name == "u2":
        return u_matrices(np.pi / 2, *params)
    return None
