"""Encoders (columns of an example to rotations) and heads (readouts to logits), by the names of QuantumNAS's artifact.

Every preset of the artifact that has one rotation a column is `angle_encoder` of some size: a layer of RY on every
qubit, then RZ, RX, RY, until the columns are used up. Qubit q is the artifact's wire q. Arrays of the user's own, which
may have fewer columns than the circuit has qubits, are encoded by `covering_encoder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, unknown_name

if TYPE_CHECKING:
    from coevo.kernels.statevector import Rotation

LAYERS = ("ry", "rz", "rx", "ry")

PRESETS = {
    "4_ry": (4, 4),
    "10_ryzx": (4, 10),
    "4x4_ryzxy": (4, 16),
    "10_ry": (10, 10),
    "6x6_ryzxy": (10, 36),
    "15_ryrz": (15, 16),
    "16_ry": (16, 16),
    "25_ryrz": (21, 25),
    "25_ry": (25, 25),
    "6x6_ryrzrx": (16, 36),
    "6x6_ryrz": (21, 36),
}
"""Name of the artifact -> (qubits, columns). The scaling runs use those of 15, 16, 21 and 25 qubits."""


def angle_encoder(n_qubits: int, columns: int) -> tuple[Rotation, ...]:
    """Column c drives rotation RY, RZ, RX or RY (layer c // n_qubits) of qubit c % n_qubits.

    InputError for no column, or more than four a qubit.
    """
    if n_qubits < 1 or not 1 <= columns <= len(LAYERS) * n_qubits:
        raise InputError(
            f"an encoder of {n_qubits} qubits takes 1 to {len(LAYERS) * n_qubits} columns ({len(LAYERS)} a qubit), got "
            f"{columns}; use more qubits or fewer columns"
        )
    return tuple((LAYERS[column // n_qubits], column % n_qubits, column) for column in range(columns))


def covering_encoder(n_qubits: int, columns: int) -> tuple[Rotation, ...]:
    """`angle_encoder`, where fewer columns than qubits come again in the same order until no qubit is left without one:
    products of equal columns are what gives a circuit the higher harmonics of its inputs (Schuld, Sweke, Meyer 2021).

    InputError as `angle_encoder`.
    """
    again = range(columns, n_qubits)
    return angle_encoder(n_qubits, columns) + tuple((LAYERS[0], qubit, qubit % columns) for qubit in again)


def preset(name: str) -> tuple[int, tuple[Rotation, ...]]:
    """Qubits and rotations of a named encoder; UnknownName for another name."""
    if name not in PRESETS:
        raise unknown_name("encoder", name, PRESETS)
    n_qubits, columns = PRESETS[name]
    return n_qubits, angle_encoder(n_qubits, columns)


def readout_head(n_qubits: int, classes: int) -> NDArray[np.float64]:
    """The head of a task: `contiguous` where the qubits share out evenly over the classes, else `grouped`."""
    return grouped(n_qubits, classes) if not classes or n_qubits % classes else contiguous(n_qubits, classes)


def contiguous(n_qubits: int, classes: int) -> NDArray[np.float64]:
    """Head [n_qubits, classes]: class c sums the c-th run of neighbouring qubits.

    Four classes of four qubits are the identity, two of them q0 + q1 and q2 + q3.

    InputError unless every class gets as many qubits.
    """
    if classes < 1 or n_qubits < 1 or n_qubits % classes:
        raise InputError(f"{n_qubits} qubits do not fall into {classes} runs of equal length")
    return np.repeat(np.eye(classes), n_qubits // classes, axis=0)


def grouped(n_qubits: int, classes: int) -> NDArray[np.float64]:
    """Head [n_qubits, classes]: class c sums the qubits q with q % classes == c.

    Qubits over the largest multiple of `classes` are not read (12 of 15 are for four classes), as in the artifact's
    scaling runs. InputError for fewer qubits than classes.
    """
    if not 1 <= classes <= n_qubits:
        raise InputError(f"{classes} classes need at least as many qubits to be read out, got {n_qubits}; use more")
    qubits = np.arange(n_qubits)
    read = qubits < n_qubits - n_qubits % classes
    head: NDArray[np.float64] = ((qubits[:, None] % classes == np.arange(classes)) & read[:, None]).astype(np.float64)
    return head
