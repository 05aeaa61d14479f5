"""Hamiltonians as sums of Pauli strings: files, exact energies, and their action on states without matrices.

The JSON file that `PauliSum.read` takes is an object with at least these keys; further keys are left alone
(`molecule.py` keeps a molecule's provenance in them):

    {"n_qubits": 2, "unit": "Ha", "terms": [["II", -1.05], ["XX", 0.18]]}

Labels are those of Qiskit's `SparsePauliOp`: the leftmost character acts on the highest qubit, and qubit q is bit q of
a basis state's index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, missing_extra
from coevo.spaces.quantumnas.tasks.pauli_strings import (
    Masks,
    check_labels,
    pauli_masks,
    read_document,
    read_terms,
    real_coefficients,
)

MAX_MATRIX_QUBITS = 12
"""`PauliSum.matrix` of 12 qubits takes 256 MiB."""
_DENSE_QUBITS = 10  # `ground_energy` diagonalises up to here and iterates beyond
_KEPT_ENTRIES = 2**22  # numbers of the operator's diagonals that stay in memory (64 MiB at most)

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class PauliSum:
    """H = sum_k coefficients[k] P(labels[k]), Hermitian by construction: every coefficient is real.

    `labels` has K strings over I, X, Y, Z, each as long as there are qubits (1 to 14), and `coefficients` is float64
    [K] in `unit` ("Ha" for molecules). Equal labels are merged, in the order in which they first appear; terms that
    are exactly zero are dropped, the identity's is kept.
    """

    labels: tuple[str, ...]
    coefficients: Real
    unit: str

    def __post_init__(self) -> None:
        if not isinstance(self.unit, str):
            raise InputError(f"the unit of a Hamiltonian is a string such as 'Ha', got {self.unit!r}")
        labels = tuple(self.labels)
        check_labels(labels)
        numbers = real_coefficients(labels, self.coefficients)
        merged: dict[str, float] = {}
        for label, number in zip(labels, numbers, strict=True):
            merged[label] = merged.get(label, 0.0) + number
        kept = {label: number for label, number in merged.items() if number != 0 or set(label) == {"I"}}
        if not kept:
            raise InputError(f"the Hamiltonian is empty: its {len(labels)} terms add up to nothing")
        coefficients = np.array(list(kept.values()), np.float64)
        coefficients.setflags(write=False)
        object.__setattr__(self, "labels", tuple(kept))
        object.__setattr__(self, "coefficients", coefficients)

    def __reduce__(self) -> tuple[Any, ...]:
        return PauliSum, (self.labels, np.array(self.coefficients), self.unit)  # without what is kept for speed

    @property
    def n_qubits(self) -> int:
        return len(self.labels[0])

    @property
    def touched(self) -> tuple[int, ...]:
        """The qubits on which some string has X, Y or Z, ascending."""
        n = self.n_qubits
        return tuple(q for q in range(n) if any(label[n - 1 - q] != "I" for label in self.labels))

    @property
    def identity(self) -> float:
        """The identity's coefficient: the trace over 2^n, and the energy of a state that noise has mixed fully."""
        return float(dict(zip(self.labels, self.coefficients, strict=True)).get("I" * self.n_qubits, 0.0))

    @cached_property
    def masks(self) -> Masks:
        """x [K], z [K] of the labels; see `pauli_masks`."""
        return pauli_masks(self.labels)

    @classmethod
    def from_terms(cls, terms: Mapping[str, complex] | Iterable[tuple[str, complex]], unit: str) -> PauliSum:
        """From {label: coefficient} or pairs; complex numbers are taken where their imaginary part is rounding."""
        pairs = list(terms.items() if isinstance(terms, Mapping) else terms)
        return cls(tuple(label for label, _ in pairs), np.array([number for _, number in pairs], object), unit)

    @classmethod
    def from_sparse_pauli_op(cls, op: Any, unit: str) -> PauliSum:
        """From a Qiskit `SparsePauliOp`; one that is not Hermitian is refused with its first complex coefficient."""
        if not hasattr(op, "paulis") or not hasattr(op, "to_list"):
            raise InputError(f"expected a SparsePauliOp, got {type(op).__name__}")
        return cls.from_terms(op.to_list(), unit)

    def to_sparse_pauli_op(self) -> Any:
        """The Qiskit `SparsePauliOp` with the same labels in the same order."""
        try:
            from qiskit.quantum_info import SparsePauliOp
        except ImportError as e:
            raise missing_extra("qiskit", "quantum") from e
        return SparsePauliOp(list(self.labels), np.array(self.coefficients))

    @classmethod
    def read(cls, path: str | Path) -> PauliSum:
        """The Hamiltonian of a JSON file; see the module for its keys."""
        return cls.from_document(read_document(path), str(path))

    @classmethod
    def from_document(cls, document: Mapping[str, Any], where: str) -> PauliSum:
        """The Hamiltonian of a JSON file's contents; `where` names the file in errors."""
        for key in ("n_qubits", "unit", "terms"):
            if key not in document:
                raise InputError(f"{where} is no Hamiltonian: it lacks the key {key!r} (n_qubits, unit, terms)")
        try:
            found = cls.from_terms(read_terms(document["terms"], "terms"), document["unit"])
        except InputError as e:
            raise InputError(f"{where}: {e}") from e
        if document["n_qubits"] != found.n_qubits:
            raise InputError(
                f"{where}: n_qubits is {document['n_qubits']!r}, but the labels of its terms have {found.n_qubits}"
            )
        return found

    def to_document(self) -> dict[str, Any]:
        """The file's keys."""
        terms = [[label, float(number)] for label, number in zip(self.labels, self.coefficients, strict=True)]
        return {"n_qubits": self.n_qubits, "unit": self.unit, "terms": terms}

    def write(self, path: str | Path) -> None:
        """Write the file that `read` takes; coefficients survive to the last bit."""
        Path(path).write_text(json.dumps(self.to_document(), indent=1) + "\n", encoding="utf-8")

    def matrix(self) -> Complex:
        """The operator as complex128 [2^n, 2^n], up to 12 qubits."""
        if self.n_qubits > MAX_MATRIX_QUBITS:
            raise InputError(
                f"expected at most {MAX_MATRIX_QUBITS} qubits for a matrix, got {self.n_qubits}; `apply` needs none"
            )
        columns = np.arange(2**self.n_qubits)
        out = np.zeros((len(columns), len(columns)), np.complex128)
        for x, diagonal in self.flips():
            out[columns ^ x, columns] = diagonal
        return out

    def apply(self, states: NDArray[Any]) -> Complex:
        """H|state> for states [..., 2^n], without a matrix."""
        states = self._checked(states)
        columns = np.arange(2**self.n_qubits)
        out = np.zeros(states.shape, np.complex128)
        for x, diagonal in self.flips():
            out += (states * diagonal)[..., columns ^ x]
        return out

    def expectation(self, states: NDArray[Any]) -> Real:
        """<state|H|state> [...] of states [..., 2^n], which are taken as they come (not normalised)."""
        states = self._checked(states)
        return np.asarray((states.conj() * self.apply(states)).sum(-1).real)

    def ground_energy(self) -> float:
        """The lowest eigenvalue: dense up to 10 qubits, Lanczos iterations to machine precision beyond."""
        if self.n_qubits <= _DENSE_QUBITS:
            matrix = self.matrix()
            return float(np.linalg.eigvalsh(matrix if np.any(matrix.imag) else matrix.real)[0])
        return self.lanczos_ground_energy()

    def lanczos_ground_energy(self) -> float:
        """The lowest eigenvalue by `scipy.sparse.linalg.eigsh` on `apply`, from a fixed random start."""
        try:
            from scipy.sparse.linalg import LinearOperator, eigsh
        except ImportError as e:
            raise missing_extra("scipy", "quantum") from e
        dim = 2**self.n_qubits
        if dim < 4:
            raise InputError(f"Lanczos iterations need at least 2 qubits, got {self.n_qubits}")
        # Random, hence not orthogonal to the ground state whatever the symmetries are
        start = np.random.default_rng(0).standard_normal(dim).astype(np.complex128)
        operator = LinearOperator((dim, dim), matvec=lambda v: self.apply(v.reshape(-1)), dtype=np.complex128)
        return float(eigsh(operator, k=1, which="SA", v0=start, return_eigenvectors=False)[0])

    def _checked(self, states: NDArray[Any]) -> Complex:
        states = np.asarray(states, np.complex128)
        if not states.ndim or states.shape[-1] != 2**self.n_qubits:
            raise InputError(f"expected states [..., {2**self.n_qubits}], got shape {states.shape}")
        return states

    @cached_property
    def _by_flip(self) -> dict[int, NDArray[np.int64]]:
        """x mask -> the numbers of its terms: terms that flip the same qubits differ by signs on the diagonal."""
        x, _ = self.masks
        order = np.argsort(x, kind="stable")
        values, starts = np.unique(x[order], return_index=True)
        return {int(v): part for v, part in zip(values, np.split(order, starts[1:]), strict=True)}

    def flips(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """(x, diagonal [2^n]) for each set of flipped qubits x: H|b> = sum over x of diagonal[b] |b ^ x>."""
        if len(self._by_flip) * 2**self.n_qubits <= _KEPT_ENTRIES:
            yield from self._kept_flips
        else:
            yield from ((x, self._diagonal(part)) for x, part in self._by_flip.items())

    @cached_property
    def _kept_flips(self) -> tuple[tuple[int, NDArray[Any]], ...]:
        return tuple((x, self._diagonal(part)) for x, part in self._by_flip.items())

    def _diagonal(self, part: NDArray[np.int64]) -> NDArray[Any]:
        """sum_k c_k i^|x & z_k| (-1)^|z_k & b| at every b: one Walsh-Hadamard transform, however many terms."""
        factors = np.array([1j ** self.labels[k].count("Y") for k in part])
        out = np.zeros(2**self.n_qubits, np.complex128)
        np.add.at(out, self.masks[1][part], self.coefficients[part] * factors)
        for qubit in range(self.n_qubits):
            pairs = out.reshape(-1, 2, 2**qubit)
            pairs[:, 0], pairs[:, 1] = pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]
        return out
