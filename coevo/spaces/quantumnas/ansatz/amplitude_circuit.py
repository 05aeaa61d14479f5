"""Circuits whose angles are multiples of fewer amplitudes: one amplitude drives many gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import InputError, missing_extra
from coevo.kernels.statevector import Circuit

Gate = tuple[str, tuple[int, ...], tuple[int, ...]]
"""(name, qubits, indices of its angles), as `coevo.kernels.statevector.Circuit` takes it."""


@dataclass(frozen=True, eq=False)
class AmplitudeCircuit:
    """Gates on |0...0> and how their angles follow from amplitudes: angle[a] = slopes[a] * amplitudes[drivers[a]].

    Attributes:
        n_qubits: 1 or more; `circuit` has the kernel's limit.
        gates: in the order of execution.
        drivers: int64 [A], which amplitude drives an angle, 0 to n_amplitudes - 1.
        slopes: float64 [A], radians for each unit of the amplitude.
        n_amplitudes: P.
    """

    n_qubits: int
    gates: tuple[Gate, ...]
    drivers: NDArray[np.int64]
    slopes: NDArray[np.float64]
    n_amplitudes: int

    @property
    def n_angles(self) -> int:
        return len(self.slopes)

    def angles(self, amplitudes: ArrayLike) -> NDArray[np.float64]:
        """Radians [..., A] from amplitudes [..., P]."""
        return np.asarray(self.slopes * self._checked(amplitudes)[..., self.drivers])

    def amplitude_gradient(self, angle_gradient: ArrayLike) -> NDArray[np.float64]:
        """d/d amplitudes [..., P] from d/d angles [..., A]."""
        given = np.asarray(angle_gradient, np.float64)
        if given.shape[-1:] != (self.n_angles,):
            raise InputError(f"expected gradients of {self.n_angles} angles, got shape {given.shape}")
        out = np.zeros((self.n_amplitudes, *given.shape[:-1]))
        np.add.at(out, self.drivers, np.moveaxis(given * self.slopes, -1, 0))
        return np.moveaxis(out, 0, -1)

    def circuit(self) -> Circuit:
        """The circuit for `coevo.kernels.statevector`, driven by `angles`."""
        return Circuit(self.n_qubits, self.gates)

    def then(self, other: AmplitudeCircuit) -> AmplitudeCircuit:
        """This circuit and then `other`, whose amplitudes follow this one's."""
        if other.n_qubits != self.n_qubits:
            raise InputError(f"a circuit of {other.n_qubits} qubits cannot follow one of {self.n_qubits}")
        shifted = [(name, qubits, tuple(s + self.n_angles for s in slots)) for name, qubits, slots in other.gates]
        return AmplitudeCircuit(
            self.n_qubits,
            (*self.gates, *shifted),
            np.concatenate([self.drivers, other.drivers + self.n_amplitudes]),
            np.concatenate([self.slopes, other.slopes]),
            self.n_amplitudes + other.n_amplitudes,
        )

    def to_qiskit(self, amplitudes: ArrayLike | None = None) -> Any:
        """The `QuantumCircuit`, bound to amplitudes [P], or with a `ParameterVector` "t" of P where none are given."""
        try:
            from qiskit import QuantumCircuit
            from qiskit.circuit import ParameterVector
        except ImportError as e:
            raise missing_extra("qiskit", "quantum") from e
        out = QuantumCircuit(self.n_qubits)
        if amplitudes is None:
            vector = ParameterVector("t", self.n_amplitudes)
            angles: Sequence[Any] = [
                float(slope) * vector[int(k)] for slope, k in zip(self.slopes, self.drivers, strict=True)
            ]
        else:
            if np.ndim(amplitudes) != 1:
                raise InputError(f"expected {self.n_amplitudes} amplitudes, got shape {np.shape(amplitudes)}")
            angles = self.angles(amplitudes).tolist()
        for name, qubits, slots in self.gates:
            getattr(out, name)(*(angles[slot] for slot in slots), *qubits)
        return out

    def _checked(self, amplitudes: ArrayLike) -> NDArray[np.float64]:
        given = np.asarray(amplitudes, np.float64)
        if given.shape[-1:] != (self.n_amplitudes,):
            raise InputError(f"expected amplitudes [..., {self.n_amplitudes}], got shape {given.shape}")
        if not np.isfinite(given).all():
            raise InputError(f"amplitude {int(np.argwhere(~np.isfinite(given))[0][-1])} is not finite")
        return given
