"""A quantum device: its instructions, its couplings and the noise of its calibration snapshot."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coevo.errors import InputError, missing_extra, unknown_name
from coevo.hardware.quantum.calibration import (
    NOT_GATES,
    Calibration,
    Properties,
    readout_probabilities,
)
from coevo.hardware.quantum.channels import gate_error, relaxation
from coevo.hardware.quantum.pauli import Matrix, gate_matrices, transfer_matrix_of_unitary
from coevo.hardware.quantum.snapshot import read_snapshot, write_snapshot
from coevo.hardware.quantum.table import ChannelTable

if TYPE_CHECKING:
    from qiskit.providers import BackendV2
    from qiskit.transpiler import Target
    from qiskit_aer.noise import NoiseModel


class QuantumDevice:
    """A calibrated device. Build it with `from_name`, `from_backend`, `from_target` or `from_snapshot`; no account, no
    network. From a snapshot it works without Qiskit.

    The noise is that of qiskit-aer's `NoiseModel.from_backend` at temperature 0: depolarising + thermal relaxation
    after every calibrated gate, and readout error. It has no crosstalk, no coherent errors and no drift. An idle qubit
    suffers only where the circuit says that it waits: a `delay` relaxes its qubit for its duration, so that a circuit
    scheduled with delays has idle noise and an unscheduled one has none.

    Attributes:
        name: the backend's own name, such as "fake_quito".
        num_qubits: physical qubits, numbered from 0.
        calibration: the numbers, free of Qiskit.
        basis: sorted names of the gates (no measure, reset, delay or control flow).
        edges: sorted pairs (a, b), a < b, of qubits that share a two-qubit gate in either direction.
        channels: the arrays that the kernels read, filled as circuits are read; see `ChannelTable`.
    """

    def __init__(self, calibration: Calibration, target: Target | None = None, backend: BackendV2 | None = None):
        self.calibration = calibration
        self.name = calibration.name
        self.num_qubits = calibration.num_qubits
        self._target = target
        self._backend = backend
        self._gates = {name: places for name, places in calibration.instructions.items() if name not in NOT_GATES}
        self.basis = tuple(sorted(self._gates))
        pairs = {tuple(sorted(place)) for places in self._gates.values() for place in places if len(place) == 2}
        self.edges: tuple[tuple[int, int], ...] = tuple(sorted((a, b) for a, b in pairs))
        self._errors: dict[tuple[str, tuple[int, ...]], Matrix | None] = {}
        self._fixed: dict[tuple[str, tuple[int, ...]], Matrix] = {}
        self.channels = ChannelTable(self)

    def __repr__(self) -> str:
        return f"QuantumDevice({self.name!r}, num_qubits={self.num_qubits})"

    @classmethod
    def from_name(cls, name: str) -> QuantumDevice:
        """A fake backend of qiskit-ibm-runtime by its exact class name, such as "FakeQuitoV2".

        Raises UnknownName with the nearest name, MissingExtra where the extra `quantum` is not installed.
        """
        try:
            from qiskit_ibm_runtime import fake_provider
            from qiskit_ibm_runtime.fake_provider.fake_backend import FakeBackendV2
        except ImportError as error:
            raise missing_extra((error.name or "qiskit-ibm-runtime").replace("_", "-"), "quantum") from error
        classes = {
            key: value
            for key, value in vars(fake_provider).items()
            if isinstance(value, type) and issubclass(value, FakeBackendV2) and key.startswith("Fake")
        }
        if name not in classes:
            raise unknown_name("quantum device", name, classes)
        return cls.from_backend(classes[name]())

    @classmethod
    def from_backend(cls, backend: BackendV2) -> QuantumDevice:
        """Any Qiskit BackendV2 whose target carries a calibration."""
        if getattr(backend, "target", None) is None or not backend.target.num_qubits:
            raise InputError(
                f"expected a qiskit BackendV2 with a target of one qubit or more, got {backend!r}; "
                "for a bare Target use QuantumDevice.from_target"
            )
        date = None
        properties = getattr(backend, "properties", None)
        if callable(properties) and (snapshot := properties()) is not None:
            stamp = snapshot.last_update_date
            date = stamp.isoformat() if hasattr(stamp, "isoformat") else str(stamp)
        calibration = Calibration.from_target(
            backend.target,
            str(backend.name or type(backend).__name__),
            backend.dt,
            str(getattr(backend, "backend_version", None) or "unknown"),
            date,
        )
        return cls(calibration, backend.target, backend)

    @classmethod
    def from_target(cls, target: Target, name: str = "target") -> QuantumDevice:
        """A bare `qiskit.transpiler.Target` that carries a calibration."""
        if not getattr(target, "num_qubits", None) or not hasattr(target, "operation_names"):
            raise InputError(f"expected a qiskit Target of one qubit or more, got {target!r}")
        return cls(Calibration.from_target(target, name), target)

    @classmethod
    def from_snapshot(cls, path: str | Path) -> QuantumDevice:
        """A JSON snapshot (its format: `coevo.hardware.quantum.snapshot`), without Qiskit."""
        return cls(read_snapshot(path))

    def write_snapshot(self, path: str | Path) -> None:
        """The calibration as a JSON file that `from_snapshot` reads back, equal to the last bit."""
        write_snapshot(self.calibration, path)

    def scaled(self, factor: float) -> QuantumDevice:
        """The device with `factor` times the noise; see `Calibration.scaled`."""
        return QuantumDevice(self.calibration.scaled(factor))

    def perturbed(self, spread: float, seed: int) -> QuantumDevice:
        """The device with every calibrated number drifted; see `Calibration.perturbed`."""
        return QuantumDevice(self.calibration.perturbed(spread, seed))

    def require_calibration(self, qubits: Sequence[int] | None = None) -> None:
        """InputError that names what was never calibrated on these qubits (all by default). Ask before paying for
        anything: a device may lack numbers on qubits that a search never touches."""
        for qubit in qubits or ():
            self._check_qubits("calibration", (qubit,))
        found = self.calibration.missing(qubits)
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            raise InputError(
                f"{self.name} has no calibrated {'; no '.join(found[:5])}{more}. Choose other qubits, or complete the "
                "snapshot"
            )

    @functools.cached_property
    def target(self) -> Target:
        """The `qiskit.transpiler.Target`; for a snapshot it is built from the numbers."""
        if self._target is not None:
            return self._target
        from coevo.hardware.quantum.targets import target_of

        return target_of(self.calibration)

    @functools.cached_property
    def noise_model(self) -> NoiseModel:
        """The qiskit-aer NoiseModel of this device; built at first use (0.3 to several seconds)."""
        try:
            from qiskit_aer.noise import NoiseModel
        except ImportError as error:
            raise missing_extra("qiskit-aer", "quantum") from error
        if self._backend is not None:
            return NoiseModel.from_backend(self._backend)
        from coevo.hardware.quantum.targets import backend_of

        return NoiseModel.from_backend(backend_of(self.target, self.calibration))

    def error_matrix(self, name: str, qubits: Sequence[int]) -> Matrix | None:
        """PTM [4^n, 4^n] of the error that follows an instruction, or None where it is error-free.

        Cached by (name, qubits); the first of `qubits` is the most significant digit. Raises InputError for
        a gate that the target lacks there, or whose calibration is incomplete.
        """
        key = (name, tuple(qubits))
        try:
            return self._errors[key]
        except KeyError:
            self._errors[key] = matrix = self._build_error(*key)
            return matrix

    def transfer_matrix(self, name: str, qubits: Sequence[int], params: Sequence[float] = ()) -> Matrix:
        """PTM [4^n, 4^n] of the noisy instruction: the ideal gate followed by its error channel.

        The first of `qubits` is the most significant digit (index 4 * P(first) + P(second)); `params` are
        angles in radians. Conventions: `coevo.hardware.quantum.pauli`. Treat the result as read-only.
        """
        key = (name, tuple(qubits))
        if not params and key in self._fixed:
            return self._fixed[key]
        error = self.error_matrix(*key)  # first: it checks name and qubits
        ideal = self._ideal(name, tuple(float(value) for value in params))
        matrix = ideal if error is None else error @ ideal
        if not params:
            matrix.setflags(write=False)
            self._fixed[key] = matrix
        return matrix

    def readout_matrix(self, qubit: int) -> Matrix:
        """[2, 2] with entry [measured, prepared] = P(measured | prepared); columns sum to one."""
        self._check_qubits("readout", (qubit,))
        pair = readout_probabilities(self.calibration.instructions.get("measure", {}).get((qubit,), Properties()))
        if pair is None:
            raise InputError(f"{self.name}: qubit {qubit} has no calibrated readout error; choose another qubit")
        one_given_zero, zero_given_one = pair
        return np.array([[1 - one_given_zero, zero_given_one], [one_given_zero, 1 - zero_given_one]])

    def delay_matrix(self, qubit: int, duration_s: float) -> Matrix:
        """PTM [4, 4] of a qubit that waits for `duration_s` seconds: relaxation with its T1 and T2."""
        self._check_qubits("delay", (qubit,))
        if not (math.isfinite(duration_s) and duration_s >= 0):
            raise InputError(f"{self.name}: a delay of {duration_s} s on qubit {qubit}; expected 0 or more")
        return relaxation(*self.relaxation_times(qubit, "delay"), duration_s)

    def fingerprint(self) -> dict[str, Any]:
        """What identifies the snapshot: name, version, date of the calibration, digest, noise model."""
        return {
            "name": self.name,
            "version": self.calibration.backend_version,
            "snapshot": self.calibration.date,
            "calibration_sha256": self.calibration.digest,
            "noise": "depolarising + thermal relaxation (T = 0) + readout, idle noise where a delay stands; "
            "no crosstalk, no drift",
        }

    def _ideal(self, name: str, params: tuple[float, ...]) -> Matrix:
        matrix = gate_matrices(name, params)
        if matrix is not None:
            return matrix.copy()
        count = self.calibration.parameters[name]
        if count != len(params):
            raise InputError(f"{self.name}: gate {name!r} takes {count} parameters, got {len(params)}")
        template = self.target.operation_from_name(name)
        try:
            gate = template.base_class(*params) if params else template
            return transfer_matrix_of_unitary(gate.to_matrix(), little_endian=True)
        except Exception as error:
            raise InputError(f"{self.name}: gate {name!r} has no matrix, so it cannot be simulated") from error

    def _check_qubits(self, what: str, qubits: tuple[int, ...]) -> None:
        for qubit in qubits:
            if not 0 <= qubit < self.num_qubits:
                raise InputError(f"{self.name}: {what} on qubit {qubit}, but its qubits are 0 to {self.num_qubits - 1}")

    def _build_error(self, name: str, qubits: tuple[int, ...]) -> Matrix | None:
        self._check_qubits(f"gate {name!r}", qubits)
        if name in self.calibration.unplaced:
            raise InputError(
                f"{self.name} offers {name!r} without saying on which qubits, so it has no calibration; "
                "expected a device with one, such as a fake backend"
            )
        if name not in self._gates:
            raise InputError(
                f"{self.name} has no gate {name!r}; its gates are {', '.join(self.basis)}. "
                "Transpile the circuit to its target first"
            )
        places = self._gates[name]
        if qubits not in places:
            reverse = " (the other direction exists)" if qubits[::-1] in places and len(qubits) == 2 else ""
            raise InputError(
                f"{self.name} has no {name!r} on qubits {qubits}{reverse}. Transpile the circuit to its target first"
            )
        error, duration_s = places[qubits].error, places[qubits].duration_s
        if error is None or (duration_s is None and error > 0):
            missing = "error" if error is None else "duration"
            raise InputError(f"{self.name}: {name!r} on qubits {qubits} has no calibrated {missing}")
        if not duration_s and not error:
            return None
        matrix = gate_error(error, duration_s or 0.0, [self.relaxation_times(q, name) for q in qubits])
        matrix.setflags(write=False)
        return matrix

    def relaxation_times(self, qubit: int, name: str = "delay") -> tuple[float, float]:
        """(T1, T2) in seconds; InputError where they were never calibrated, saying that `name` needs them."""
        t1_s, t2_s = self.calibration.t1_s[qubit], self.calibration.t2_s[qubit]
        if t1_s is None or t2_s is None:
            raise InputError(
                f"{self.name}: qubit {qubit} has no calibrated T1 and T2, so the noise of {name!r} there is unknown"
            )
        return t1_s, t2_s
