"""A quantum device: its instructions, its couplings and the noise of its calibration snapshot."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coevo.errors import InputError, missing_extra, unknown_name
from coevo.hardware.quantum.channels import gate_error
from coevo.hardware.quantum.pauli import Matrix, gate_matrices, transfer_matrix_of_unitary

if TYPE_CHECKING:
    from qiskit.providers import BackendV2
    from qiskit_aer.noise import NoiseModel

NOT_GATES = frozenset({"measure", "measure_2", "reset", "reset_2", "delay"})


class QuantumDevice:
    """A calibrated device. Build it with `from_name` or `from_backend`; no account, no network.

    The noise is that of qiskit-aer's `NoiseModel.from_backend` at temperature 0: depolarising + thermal
    relaxation after every calibrated gate, and readout error. It has no crosstalk, no coherent errors and
    no drift; and since circuits are not scheduled, an idle qubit suffers nothing.

    Attributes:
        name: the backend's own name, such as "fake_quito".
        num_qubits: physical qubits, numbered from 0.
        target: the `qiskit.transpiler.Target`.
        basis: sorted names of the gates (no measure, reset, delay or control flow).
        edges: sorted pairs (a, b), a < b, of qubits that share a two-qubit gate in either direction.
    """

    def __init__(self, backend: BackendV2):
        self._backend = backend
        self.target = backend.target
        self.name = str(backend.name or type(backend).__name__)
        self.num_qubits = int(self.target.num_qubits or 0)
        self._gates: dict[str, dict[tuple[int, ...], Any]] = {}
        self._uncalibrated = set()  # offered on every qubit at once, as simulators do, so without calibration
        for gate in self.target.operation_names:
            places = self.target[gate]
            if gate in NOT_GATES:
                continue
            if places and None not in places:
                self._gates[gate] = dict(places)
            else:
                self._uncalibrated.add(gate)
        self.basis = tuple(sorted(self._gates))
        pairs = {tuple(sorted(place)) for places in self._gates.values() for place in places if len(place) == 2}
        self.edges: tuple[tuple[int, int], ...] = tuple(sorted((a, b) for a, b in pairs))
        self._errors: dict[tuple[str, tuple[int, ...]], Matrix | None] = {}
        self._fixed: dict[tuple[str, tuple[int, ...]], Matrix] = {}

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
                "wrap a bare Target in a BackendV2 of your own"
            )
        return cls(backend)

    @functools.cached_property
    def noise_model(self) -> NoiseModel:
        """The qiskit-aer NoiseModel of this device; built at first use (0.3 to several seconds)."""
        try:
            from qiskit_aer.noise import NoiseModel
        except ImportError as error:
            raise missing_extra("qiskit-aer", "quantum") from error
        return NoiseModel.from_backend(self._backend)

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
        measure = self.target["measure"] if "measure" in self.target.operation_names else {}
        properties = measure.get((qubit,))
        one_given_zero = getattr(properties, "prob_meas1_prep0", None)
        zero_given_one = getattr(properties, "prob_meas0_prep1", None)
        if one_given_zero is None or zero_given_one is None:
            one_given_zero = zero_given_one = getattr(properties, "error", None)
        if one_given_zero is None or zero_given_one is None:
            raise InputError(f"{self.name}: qubit {qubit} has no calibrated readout error; choose another qubit")
        return np.array([[1 - one_given_zero, zero_given_one], [one_given_zero, 1 - zero_given_one]])

    def fingerprint(self) -> dict[str, Any]:
        """What identifies the snapshot: name, version, date of the calibration, digest, noise model."""
        date = None
        properties = getattr(self._backend, "properties", None)
        if callable(properties) and (snapshot := properties()) is not None:
            stamp = snapshot.last_update_date
            date = stamp.isoformat() if hasattr(stamp, "isoformat") else str(stamp)
        return {
            "name": self.name,
            "version": str(getattr(self._backend, "backend_version", None) or "unknown"),
            "snapshot": date,
            "calibration_sha256": self._calibration_digest,
            "noise": "depolarising + thermal relaxation (T = 0) + readout; no crosstalk, drift or idle noise",
        }

    @functools.cached_property
    def _calibration_digest(self) -> str:
        rows: list[Any] = []
        for name in sorted(self.target.operation_names):
            for qubits, properties in (self.target[name] or {}).items():
                if qubits is None or name == "delay":
                    continue
                fields = ("error", "duration", "prob_meas1_prep0", "prob_meas0_prep1")
                rows.append([name, list(qubits), [_number(getattr(properties, field, None)) for field in fields]])
        for qubit, properties in enumerate(self.target.qubit_properties or ()):
            rows.append(["qubit", [qubit], [_number(getattr(properties, field, None)) for field in ("t1", "t2")]])
        text = json.dumps(sorted(rows, key=lambda row: (row[0], row[1])))
        return hashlib.sha256(text.encode()).hexdigest()

    def _ideal(self, name: str, params: tuple[float, ...]) -> Matrix:
        matrix = gate_matrices(name, params)
        if matrix is not None:
            return matrix.copy()
        template = self.target.operation_from_name(name)
        if len(template.params) != len(params):
            raise InputError(f"{self.name}: gate {name!r} takes {len(template.params)} parameters, got {len(params)}")
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
        if name in self._uncalibrated:
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
        properties = places[qubits]
        error = getattr(properties, "error", None)
        duration_s = getattr(properties, "duration", None)
        if error is None or (duration_s is None and error > 0):
            missing = "error" if error is None else "duration"
            raise InputError(f"{self.name}: {name!r} on qubits {qubits} has no calibrated {missing}")
        if not duration_s and not error:
            return None
        matrix = gate_error(error, duration_s or 0.0, [self._t1_t2(q, name) for q in qubits])
        matrix.setflags(write=False)
        return matrix

    def _t1_t2(self, qubit: int, name: str) -> tuple[float, float]:
        table = self.target.qubit_properties
        properties = table[qubit] if table and qubit < len(table) else None
        t1_s, t2_s = getattr(properties, "t1", None), getattr(properties, "t2", None)
        if t1_s is None or t2_s is None:
            raise InputError(
                f"{self.name}: qubit {qubit} has no calibrated T1 and T2, so the noise of {name!r} there is unknown"
            )
        return float(t1_s), float(t2_s)


def _number(value: Any) -> float | None:
    """A calibration value as JSON can hold it; inf and NaN mean that there is none."""
    return float(value) if value is not None and math.isfinite(value) else None
