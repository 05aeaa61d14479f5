"""A device's noisy instructions as arrays, for kernels that know neither Qiskit nor calibrations.

A row of a program is four integers and an angle: (first qubit, second qubit or -1, rotation or -1, matrix or -1). It
means the rotation by its angle, then the matrix. A rotation is an index into `ONE_QUBIT_ROTATIONS` or
`TWO_QUBIT_ROTATIONS` (its PTM is constant + cos(angle) cosine + sin(angle) sine); a matrix is an index into the table's
`singles` or `doubles`: the error that follows a rotation, or a whole noisy gate without angle. -1 is the identity.
Every channel is built once a device and instruction; conventions: `coevo.hardware.quantum.pauli`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coevo.hardware.quantum.measurement import measured_pauli
from coevo.hardware.quantum.pauli import Matrix, rotation_basis

if TYPE_CHECKING:
    from coevo.hardware.quantum.device import QuantumDevice

Row = tuple[int, int, int, int]

ONE_QUBIT_ROTATIONS = ("rx", "ry", "rz")
TWO_QUBIT_ROTATIONS = ("rxx", "ryy", "rzz", "rzx")
SINGLE_BASIS: Matrix = np.array([rotation_basis(name) for name in ONE_QUBIT_ROTATIONS])
"""[rotation, (constant, cosine, sine), 4, 4]."""
DOUBLE_BASIS: Matrix = np.array([rotation_basis(name) for name in TWO_QUBIT_ROTATIONS])
"""[rotation, (constant, cosine, sine), 16, 16]."""

_CODES = {name: (code, 1) for code, name in enumerate(ONE_QUBIT_ROTATIONS)}
_CODES |= {name: (code, 2) for code, name in enumerate(TWO_QUBIT_ROTATIONS)}
_CODES |= {"p": _CODES["rz"], "u1": _CODES["rz"]}
_RY, _RZ = _CODES["ry"][0], _CODES["rz"][0]


class Instruction(NamedTuple):
    """One instruction on one place. `rows` are the numbers of its rows in order, and for each stands the index of the
    gate's parameter that is its angle, or None for a constant (`angles`). No rows: a gate whose matrix depends on its
    angles in another way."""

    rows: tuple[int, ...]
    parameter: tuple[int | None, ...]
    angles: tuple[float, ...]
    num_parameters: int


class ChannelTable:
    """The channels of one device, grown as instructions are asked for.

    Attributes:
        rows: every row that was ever asked for; `number` finds one, `rows_of` gives several as an array.
    """

    def __init__(self, device: QuantumDevice):
        self._device = device
        self._known: dict[tuple[str, tuple[int, ...]], Instruction] = {}
        self._delays: dict[tuple[int, float], int] = {}
        self._measured: dict[tuple[int, str, bool], Matrix] = {}
        self._readouts: dict[int, tuple[float, float]] = {}
        self.rows: list[Row] = []
        self._numbers: dict[Row, int] = {}
        self._row_array: NDArray[np.int32] = np.empty((0, 4), np.int32)
        self._lists: tuple[list[Matrix], list[Matrix]] = ([], [])
        self._stacked: list[Matrix] = [np.empty((0, 4, 4)), np.empty((0, 16, 16))]

    @property
    def singles(self) -> Matrix:
        """[S, 4, 4]."""
        return self._stack(0)

    @property
    def doubles(self) -> Matrix:
        """[D, 16, 16]."""
        return self._stack(1)

    def instruction(self, name: str, qubits: tuple[int, ...]) -> Instruction:
        """How to write a gate as rows. Raises InputError as `QuantumDevice.error_matrix` does."""
        key = (name, qubits)
        try:
            return self._known[key]
        except KeyError:
            self._known[key] = found = self._build(name, qubits)
            return found

    def delay(self, qubit: int, duration_s: float) -> int:
        """The number of a row of waiting."""
        key = (qubit, duration_s)
        if key not in self._delays:
            matrix = self._add(self._device.delay_matrix(qubit, duration_s))
            self._delays[key] = self.number((qubit, -1, -1, matrix))
        return self._delays[key]

    def measured(self, qubit: int, pauli: str, noise: bool = True) -> Matrix:
        """`measured_pauli` [4] of this device, computed once. Read-only."""
        key = (qubit, pauli, noise)
        if key not in self._measured:
            self._measured[key] = vector = measured_pauli(self._device, qubit, pauli, noise)
            vector.setflags(write=False)
        return self._measured[key]

    def readout(self, qubit: int) -> tuple[float, float]:
        """(a, b): the measured Z of a qubit is a I + b Z. Computed once; errors as `QuantumDevice.readout_matrix`."""
        if qubit not in self._readouts:
            (zero, zero_of_one), (one_of_zero, one) = self._device.readout_matrix(qubit).tolist()
            given_zero, given_one = zero - one_of_zero, zero_of_one - one
            self._readouts[qubit] = ((given_zero + given_one) / 2, (given_zero - given_one) / 2)
        return self._readouts[qubit]

    def number(self, row: Row) -> int:
        """The number of a row, new or old."""
        found = self._numbers.get(row)
        if found is None:
            found = self._numbers[row] = len(self.rows)
            self.rows.append(row)
        return found

    def rows_of(self, numbers: list[int] | NDArray[np.int32]) -> NDArray[np.int32]:
        """Rows int32 [n, 4] by their numbers."""
        if len(self._row_array) != len(self.rows):
            self._row_array = np.array(self.rows, np.int32)
        return self._row_array[numbers]

    def _build(self, name: str, qubits: tuple[int, ...]) -> Instruction:
        error = self._device.error_matrix(name, qubits)  # first: it checks name and qubits
        count = self._device.calibration.parameters[name]
        second = qubits[1] if len(qubits) == 2 else -1
        first = qubits[0]
        if count == 0:
            row = (first, second, -1, self._add(self._device.transfer_matrix(name, qubits)))
            return Instruction((self.number(row),), (None,), (0.0,), 0)
        after = -1 if error is None else self._add(error)
        if count == 1 and name in _CODES and _CODES[name][1] == len(qubits):
            return Instruction((self.number((first, second, _CODES[name][0], after)),), (0,), (0.0,), 1)
        if len(qubits) == 1 and (name, count) in (("u", 3), ("u3", 3), ("u2", 2)):
            # U(theta, phi, lambda) = RZ(phi) RY(theta) RZ(lambda) up to phase; U2 has theta = pi/2.
            turns = tuple(self.number((first, -1, axis, last)) for axis, last in ((_RZ, -1), (_RY, -1), (_RZ, after)))
            if count == 3:
                return Instruction(turns, (2, 0, 1), (0.0, 0.0, 0.0), 3)
            return Instruction(turns, (1, None, 0), (0.0, np.pi / 2, 0.0), 2)
        return Instruction((), (), (), count)

    def _add(self, matrix: Matrix) -> int:
        kind = int(len(matrix) == 16)
        self._lists[kind].append(np.array(matrix, dtype=np.float64))
        return len(self._lists[kind]) - 1

    def _stack(self, kind: int) -> Matrix:
        if len(self._stacked[kind]) != len(self._lists[kind]):
            self._stacked[kind] = np.array(self._lists[kind])
        return self._stacked[kind]
