"""Pauli sums as they are measured: which strings, on which qubits, and what each Pauli becomes on a noisy device.

Every string is measured in a setting of its own: each of its qubits goes through a change of basis in the device's own
gates (`coevo.hardware.quantum.measurement`: X after H, Y after S-dagger and H, nothing for Z), then through the
readout; a qubit on which it has I is left alone. The estimate is the product of the outcomes, +1 or -1, readout error
not mitigated, no shots. Basis changes are taken to run right after the circuit's last gate on their qubit, without
waiting. So a Pauli on a qubit is a vector over I, X, Y, Z, a string the tensor product of such vectors, and a whole sum
one dense operator that is swept back through the circuit once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.cost_models.circuit_noise.program import Program
from coevo.errors import InputError

Array = NDArray[Any]
PAULIS = "IXYZ"


@dataclass(frozen=True, eq=False)
class PauliSums:
    """Hermitian sums of Pauli strings over the read qubits of a program.

    Args:
        labels: K strings of I, X, Y and Z, as `qiskit.quantum_info.SparsePauliOp` has them: the rightmost character
            belongs to the first qubit that is read, read[0]. The same string may stand twice; no string is the sum 0.
        coefficients: real, [n_obs, K]: observable o is the sum of coefficients[o, k] times string k.
        readout_error: whether the readout's confusion counts.
        basis_change_noise: whether the errors of the basis changes count.

    Attributes:
        digits: int64 [K, qubits], 0 to 3 for I, X, Y, Z; column t belongs to read[t].
        supports: for each observable the places in `read` that one of its strings (of a coefficient other than 0) acts
            on, ascending.

    Raises:
        InputError: labels of different lengths or with other characters, coefficients of another shape, complex, NaN
            or infinite.
    """

    labels: tuple[str, ...]
    coefficients: Array
    readout_error: bool = True
    basis_change_noise: bool = True
    digits: NDArray[np.int64] = field(init=False, repr=False)
    supports: tuple[tuple[int, ...], ...] = field(init=False, repr=False)

    def __init__(
        self,
        labels: Sequence[str],
        coefficients: ArrayLike,
        *,
        readout_error: bool = True,
        basis_change_noise: bool = True,
    ):
        if isinstance(labels, str):
            raise InputError(f"expected a sequence of Pauli labels, got the one string {labels!r}; give ({labels!r},)")
        labels = tuple(labels)
        lengths: dict[int, str] = {}
        for label in labels:
            if not isinstance(label, str) or not label or set(label) - set(PAULIS):
                raise InputError(f"the Pauli label {label!r}; expected one character of I, X, Y and Z a read qubit")
            lengths.setdefault(len(label), label)
        if len(lengths) > 1:
            first, second = list(lengths.values())[:2]
            raise InputError(
                f"the Pauli labels {first!r} and {second!r} have {len(first)} and {len(second)} characters; expected "
                "one a read qubit in every label"
            )
        set_ = object.__setattr__
        set_(self, "labels", labels)
        set_(self, "coefficients", _real(coefficients, labels))
        set_(self, "readout_error", bool(readout_error))
        set_(self, "basis_change_noise", bool(basis_change_noise))
        listed = [[PAULIS.index(letter) for letter in reversed(label)] for label in labels]
        digits = np.array(listed, np.int64).reshape(len(labels), max(lengths, default=0))
        set_(self, "digits", digits)
        acts = [(digits[row != 0] != 0).any(axis=0) for row in self.coefficients]
        set_(self, "supports", tuple(tuple(np.flatnonzero(each).tolist()) for each in acts))

    @property
    def touched(self) -> tuple[int, ...]:
        """The places in `read` that any observable acts on, ascending."""
        return tuple(sorted(set().union(*map(set, self.supports))))

    def check(self, program: Program) -> None:
        """InputError unless the labels have one character a qubit that the program reads."""
        if self.labels and self.digits.shape[1] != len(program.read):
            raise InputError(
                f"the Pauli label {self.labels[0]!r} has {self.digits.shape[1]} characters and the program reads "
                f"{len(program.read)} qubits, {program.read}; expected one character a qubit, the rightmost for "
                f"qubit {program.read[0]}"
            )

    def operator(self, observable: int, places: Sequence[int]) -> Array:
        """One sum as a dense tensor float64 [4] * len(places) over places in `read` that contain its support."""
        row = self.coefficients[observable]
        strings = np.flatnonzero(row)
        tensor = np.zeros([4] * len(places))
        if len(places):
            np.add.at(tensor, tuple(self.digits[np.ix_(strings, np.array(places))].T), row[strings])
        else:
            tensor[...] = row[strings].sum()
        return tensor

    def measured(self, program: Program, places: Sequence[int]) -> Array:
        """float64 [len(places), 4, 4]: the row of a Pauli holds the Pauli coefficients of what is measured for it.

        Rows that no string asks for are 0. Raises InputError where the device cannot change the basis.
        """
        made = np.zeros((len(places), 4, 4))
        asked = (self.coefficients != 0).any(axis=0)
        for matrix, place in zip(made, places, strict=True):
            identity, z = program.readout[place] if self.readout_error else (0.0, 1.0)
            matrix[0, 0] = 1
            for digit in set(self.digits[asked, place].tolist()) - {0}:
                vector = program.device.channels.measured(program.read[place], PAULIS[digit], self.basis_change_noise)
                matrix[digit] = z * vector
                matrix[digit, 0] += identity
        return made


def _real(coefficients: ArrayLike, labels: tuple[str, ...]) -> Array:
    given = np.asarray(coefficients)
    if given.dtype.kind not in "iufc":
        raise InputError(f"expected real coefficients [n_obs, {len(labels)}], got an array of {given.dtype}")
    if given.ndim != 2 or given.shape[1] != len(labels):
        raise InputError(
            f"expected coefficients [n_obs, {len(labels)}], one column a Pauli label, got shape {given.shape}"
        )
    bad = np.argwhere(~np.isfinite(given) | (given.imag != 0))
    if len(bad):
        row, column = bad[0].tolist()
        raise InputError(
            f"the coefficient of {labels[column]!r} in observable {row} is {given[row, column]}; expected a finite "
            "real number (a sum with complex coefficients is not Hermitian)"
        )
    return np.ascontiguousarray(given.real, dtype=np.float64)


def transformed(tensor: Array, matrices: Sequence[Array]) -> Array:
    """A tensor [4] * k with every axis taken through its matrix: new[j] = sum_p old[p] matrix[p, j]."""
    for matrix in matrices:  # each contraction moves its axis to the end, so that after all of them the order is back
        tensor = np.tensordot(tensor, matrix, axes=(0, 0))
    return tensor
