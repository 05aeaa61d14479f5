"""The energy of a variational state under a sum of Pauli strings, and its gradient, for many candidates at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from coevo.errors import InputError
from coevo.kernels.statevector.circuit import Circuit
from coevo.kernels.statevector.objective_reference import energy_and_gradient
from coevo.kernels.statevector.readout import float_type
from coevo.kernels.statevector.reference import Real

MAX_QUBITS = 14
"""A state of 14 qubits takes 256 KiB in double precision, the Hamiltonian 128 KiB for each set of flipped qubits."""


class Energy:
    """<psi| H |psi> of |psi> = circuit |0...0>, H = sum_k coefficients[k] labels[k].

    Args:
        circuit: of 1 to 14 qubits.
        labels: Pauli strings of n characters I, X, Y, Z as in Qiskit's SparsePauliOp (leftmost: the highest qubit).
        coefficients: float [K], in the unit of the energies.
        dtype: float64 or float32, of all arithmetic and results.
    """

    def __init__(self, circuit: Circuit, labels: Sequence[str], coefficients: ArrayLike, dtype: Any = np.float64):
        if circuit.n_qubits > MAX_QUBITS:
            raise InputError(f"expected 1 to {MAX_QUBITS} qubits, got {circuit.n_qubits}")
        numbers = np.asarray(coefficients)
        if np.iscomplexobj(numbers):
            raise InputError("expected real coefficients: a Hamiltonian is Hermitian; got complex ones")
        numbers = numbers.astype(np.float64)
        if not labels or numbers.shape != (len(labels),) or not np.isfinite(numbers).all():
            raise InputError(
                f"expected one finite coefficient a label, at least one; got {len(labels)} labels and coefficients of "
                f"shape {numbers.shape}"
            )
        for label in labels:
            if len(label) != circuit.n_qubits or set(label) - set("IXYZ"):
                raise InputError(f"expected labels of {circuit.n_qubits} characters I, X, Y, Z, got {label!r}")
        self.circuit = circuit
        self.dtype = float_type(dtype)
        self._labels, self._coefficients = tuple(labels), numbers

    def value_and_gradient(self, angles: ArrayLike, active: ArrayLike | None = None) -> tuple[Real, Real]:
        """(energy [C], its gradient [C, A]) at angles [C, A], radians; `active` uint8 [C, G] leaves gates out."""
        return energy_and_gradient(
            self.circuit, self._labels, self._coefficients, np.asarray(angles, dtype=self.dtype), active
        )

    def values(self, angles: ArrayLike, active: ArrayLike | None = None) -> Real:
        """Energies [C]."""
        return self.value_and_gradient(angles, active)[0]
