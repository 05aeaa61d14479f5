"""The energy of a variational state under a sum of Pauli strings, and its gradient, for many candidates at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from coevo.errors import InputError
from coevo.kernels.statevector.circuit import Circuit
from coevo.kernels.statevector.readout import float_type
from coevo.kernels.statevector.reference import Real
from coevo.kernels.threads import in_parts

MAX_QUBITS = 14
"""A state of 14 qubits takes 256 KiB in double precision, the Hamiltonian 128 KiB for each set of flipped qubits."""
MAX_ENTRIES = 2**26
"""Of the Hamiltonian's diagonals, see `Energy._by_flip`: 512 MiB in double precision."""


class Energy:
    """<psi| H |psi> of |psi> = circuit |0...0>, H = sum_k coefficients[k] labels[k].

    Args:
        circuit: of 1 to 14 qubits.
        labels: Pauli strings of n characters I, X, Y, Z as in Qiskit's SparsePauliOp (leftmost: the highest qubit).
        coefficients: float [K], in the unit of the energies.
        dtype: float64 or float32, of all arithmetic and results.
        threads: candidates of one call are spread over so many.
    """

    def __init__(
        self, circuit: Circuit, labels: Sequence[str], coefficients: ArrayLike, dtype: Any = np.float64,
        threads: int = 1,
    ):  # fmt: skip
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
        self.circuit, self.threads = circuit, threads
        self.dtype = float_type(dtype)
        self._flips, self._diagonals = self._by_flip(labels, numbers)

    def value_and_gradient(self, angles: ArrayLike, active: ArrayLike | None = None) -> tuple[Real, Real]:
        """(energy [C], its gradient [C, A]) at angles [C, A], radians; `active` uint8 [C, G] leaves gates out."""
        arguments = self.circuit.checked(angles, active, self.dtype)
        gradient = np.zeros(arguments[3].shape, self.dtype)
        return self._run(arguments, gradient), gradient[:, : self.circuit.n_angles]

    def values(self, angles: ArrayLike, active: ArrayLike | None = None) -> Real:
        """Energies [C]."""
        return self._run(self.circuit.checked(angles, active, self.dtype), np.zeros((0, 1), self.dtype))

    def _run(self, arguments: Any, gradient: Real) -> Real:
        from coevo.kernels.statevector.energy_kernels import energy_all

        gates, slots, fixed, numbers, mask = arguments
        values: Real = np.empty(len(numbers), self.dtype)

        def work(part: slice) -> None:
            energy_all(
                gates,
                slots,
                fixed,
                numbers[part],
                mask[part],
                self._flips,
                *self._diagonals,
                values[part],
                gradient[part],
            )

        in_parts(work, len(numbers), self.threads)
        return values

    def _by_flip(self, labels: Sequence[str], coefficients: Real) -> tuple[Any, tuple[Real, Real]]:
        """Strings that flip the same qubits add up to one diagonal: flips int64 [X], diagonals re, im [X, 2^n] by the
        row they lead to (im is empty where all are 0)."""
        index = np.arange(2**self.circuit.n_qubits)
        sums: dict[int, Any] = {}
        flips = [int(label.translate(str.maketrans("IXYZ", "0110")), 2) for label in labels]
        size = len(set(flips)) * len(index)
        if size > MAX_ENTRIES:
            raise InputError(
                f"the Hamiltonian flips {len(set(flips))} different sets of qubits, {size} entries; expected at most "
                f"{MAX_ENTRIES}: fewer terms or qubits"
            )
        for label, flip, coefficient in zip(labels, flips, coefficients, strict=True):
            odd = (index ^ flip) & int(label.translate(str.maketrans("IXYZ", "0011")), 2)
            for shift in (8, 4, 2, 1):
                odd = odd ^ odd >> shift
            # Y = i X Z
            term = coefficient * (1j ** label.count("Y")) * (1 - 2 * (odd & 1))
            sums[flip] = sums[flip] + term if flip in sums else term
        whole = np.array(list(sums.values()))
        real = np.ascontiguousarray(whole.real, dtype=self.dtype)
        imaginary = np.ascontiguousarray(whole.imag, dtype=self.dtype)
        return np.array(list(sums), np.int64), (real, imaginary if imaginary.any() else imaginary[:0])
