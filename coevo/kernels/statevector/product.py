"""Product states: what an encoder of one-qubit rotations makes of |0...0>, for all samples at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.kernels.statevector.reference import Real

Rotation = tuple[str, int, int]
"""(gate "rx", "ry" or "rz", qubit, column of the inputs that is its angle)."""


def product_states(inputs: Real, rotations: Sequence[Rotation], n_qubits: int) -> NDArray[np.complex128]:
    """States [samples, 2^n] after the rotations in order on |0...0>; inputs are angles [samples, columns], radians."""
    samples = len(inputs)
    qubits = np.zeros((n_qubits, samples, 2), dtype=complex)
    qubits[:, :, 0] = 1
    for name, qubit, column in rotations:
        cosine, sine = np.cos(inputs[:, column] / 2), np.sin(inputs[:, column] / 2)
        zero, one = qubits[qubit, :, 0].copy(), qubits[qubit, :, 1].copy()
        if name == "rz":
            qubits[qubit, :, 0] = (cosine - 1j * sine) * zero
            qubits[qubit, :, 1] = (cosine + 1j * sine) * one
        elif name == "ry":
            qubits[qubit, :, 0] = cosine * zero - sine * one
            qubits[qubit, :, 1] = sine * zero + cosine * one
        elif name == "rx":
            qubits[qubit, :, 0] = cosine * zero - 1j * sine * one
            qubits[qubit, :, 1] = cosine * one - 1j * sine * zero
        else:
            raise InputError(f"expected a rotation rx, ry or rz, got {name!r}")
    states = np.ones((samples, 1), dtype=complex)
    for qubit in range(n_qubits):  # qubit 0 is the least significant bit
        states = (qubits[qubit, :, :, None] * states[:, None, :]).reshape(samples, 2 ** (qubit + 1))
    return states
