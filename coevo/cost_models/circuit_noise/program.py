"""Circuits as arrays: a transpiled circuit read once, so that kernels can run many of them without Qiskit.

A `Program` is a body (rows of integers and their angles, see `coevo.hardware.quantum.table`) behind an encoder: for
each qubit the one-qubit rows up to the last whose angle depends on the sample. After them every sample is still a
product state, noise included. It does not matter whether encoder and body come as two circuits, as one with a barrier,
or as one that the transpiler has fused across the border: the rows tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.cost_models.circuit_noise.checks import real_array, whole_numbers
from coevo.errors import InputError
from coevo.hardware.quantum.pauli import Matrix

if TYPE_CHECKING:
    from coevo.hardware.quantum import QuantumDevice

Integers = NDArray[np.int32]
NO_TERMS = np.empty((0, 2), np.int32)
NO_SLOPES: Matrix = np.empty(0)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with affine angles: angle[r] = angles[r] + sum of slopes[t] * values[terms[t, 1]] over terms with row r.

    Attributes:
        rows: int32 [G, 4]: first qubit, second qubit or -1, rotation or -1, matrix or -1.
        angles: float64 [G], radians.
        terms: int32 [T, 2]: (row, index of the value), sorted by row.
        slopes: float64 [T].
    """

    rows: Integers
    angles: Matrix
    terms: Integers
    slopes: Matrix


@dataclass(frozen=True, eq=False)
class Encoder:
    """What happens to each qubit before the body: `qubits[i]` undergoes `parts[i]`, whose angles are affine in a
    sample's inputs. Qubits that are not named start as |0>. Parts with equal keys are equal, and a batch
    prepares each once."""

    qubits: tuple[int, ...]
    parts: tuple[Rows, ...]
    keys: tuple[bytes, ...]
    matrices: tuple[Matrix, ...]  # those of this encoder alone, named by -2 - index in its rows
    num_inputs: int
    device: QuantumDevice


@dataclass(frozen=True, eq=False)
class Program:
    """One noisy circuit, ready for a kernel.

    Attributes:
        device: whose channels the rows name.
        encoder: the sample-dependent beginning; its angles are affine in the inputs [num_inputs].
        body: everything else; its angles are affine in the weights [num_weights], if any.
        read: the physical qubits that are read out, in order.
        readout: float64 [n_obs, 2]: each is read out as a I + b Z, readout error included.
        matrices: matrices of the body alone (gates that no rotation describes), named by -2 - index in its rows.
    """

    device: QuantumDevice
    encoder: Encoder
    body: Rows
    read: tuple[int, ...]
    readout: Matrix
    matrices: tuple[Matrix, ...]
    num_weights: int

    @property
    def num_inputs(self) -> int:
        """Columns of the inputs."""
        return self.encoder.num_inputs


@dataclass(frozen=True)
class Input:
    """An angle that differs by sample: slope * inputs[:, column] + offset, radians."""

    column: int
    slope: float = 1.0
    offset: float = 0.0


def bind_weights(program: Program, values: ArrayLike) -> Program:
    """The program at given weights [num_weights], radians."""
    numbers = real_array(values, "the weights")
    if numbers.shape != (program.num_weights,) or not np.isfinite(numbers).all():
        raise InputError(f"expected {program.num_weights} finite weights, got an array of shape {numbers.shape}")
    angles = affine_angles(program.body, numbers)
    return replace(program, body=Rows(program.body.rows, angles, NO_TERMS, NO_SLOPES), num_weights=0)


def affine_angles(part: Rows, values: Matrix) -> Matrix:
    """The angles [G] of rows at given inputs or weights."""
    angles = part.angles.copy()
    np.add.at(angles, part.terms[:, 0], part.slopes * values[part.terms[:, 1]])
    return angles


def check_readout(qubits: Sequence[int], device: QuantumDevice) -> list[int]:
    """The readout qubits as distinct integers of the device, or InputError."""
    read = list(whole_numbers(qubits, "the readout qubits"))
    if not read:
        raise InputError("no qubit to read out: give `qubits`, or measure at the end of the circuit")
    if len(set(read)) != len(read):
        raise InputError(f"the readout qubits {read} repeat one; expected distinct physical qubits")
    for qubit in read:
        if not 0 <= qubit < device.num_qubits:
            raise InputError(f"readout of qubit {qubit}, but {device.name} has qubits 0 to {device.num_qubits - 1}")
    return read


def readout_coefficients(device: QuantumDevice, qubit: int) -> tuple[float, float]:
    """(a, b): the measured Z of a qubit is a I + b Z, readout error included."""
    return device.channels.readout(qubit)
