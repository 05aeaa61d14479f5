"""A calibration as Qiskit objects: a `Target` to transpile to, a `BackendV2` for those who insist on one."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.hardware.quantum.calibration import Calibration, Properties

try:
    from qiskit.circuit import Delay, Parameter
    from qiskit.circuit.library import get_standard_gate_name_mapping
    from qiskit.providers import BackendV2, Options, QubitProperties
    from qiskit.transpiler import InstructionProperties, Target
except ImportError as error:
    raise missing_extra("qiskit", "quantum") from error


class _Measured(InstructionProperties):  # type: ignore[misc]
    """Properties of a measurement whose two error probabilities are both known."""

    def __new__(cls, error: float | None, duration: float | None, _pair: tuple[float, float]) -> _Measured:
        return super().__new__(cls, duration=duration, error=error)  # type: ignore[no-any-return]

    def __init__(self, _error: float | None, _duration: float | None, pair: tuple[float, float]):
        self.prob_meas1_prep0, self.prob_meas0_prep1 = pair


class SnapshotBackend(BackendV2):  # type: ignore[misc]
    """A target with a name. It transpiles; running circuits is for a simulator."""

    def __init__(self, target: Target, calibration: Calibration):
        super().__init__(name=calibration.name, backend_version=calibration.backend_version)
        self._target = target

    @property
    def target(self) -> Target:
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        raise InputError(f"{self.name} is a calibration snapshot; run circuits with AerSimulator or a real backend")


def backend_of(target: Target, calibration: Calibration) -> SnapshotBackend:
    """A BackendV2 around a target."""
    return SnapshotBackend(target, calibration)


def target_of(calibration: Calibration) -> Target:
    """The target of a snapshot: Qiskit's standard gates, a delay on every qubit, and every calibrated number.

    Raises InputError for an instruction that is none of Qiskit's standard ones.
    """
    standard = get_standard_gate_name_mapping()
    qubits = [QubitProperties(t1=t1, t2=t2) for t1, t2 in zip(calibration.t1_s, calibration.t2_s, strict=True)]
    target = Target(num_qubits=calibration.num_qubits, dt=calibration.dt_s, qubit_properties=qubits)
    for name, places in calibration.instructions.items():
        if name not in standard:
            raise InputError(
                f"{calibration.name} has the instruction {name!r}, which is none of Qiskit's standard gates; "
                "use the backend itself (QuantumDevice.from_backend)"
            )
        target.add_instruction(standard[name], {place: _instruction(each) for place, each in places.items()}, name=name)
    target.add_instruction(Delay(Parameter("t")), {(qubit,): None for qubit in range(calibration.num_qubits)})
    return target


def _instruction(each: Properties) -> InstructionProperties | None:
    if each.prob_meas1_prep0 is not None and each.prob_meas0_prep1 is not None:
        return _Measured(each.error, each.duration_s, (each.prob_meas1_prep0, each.prob_meas0_prep1))
    if each.error is None and each.duration_s is None:
        return None
    return InstructionProperties(duration=each.duration_s, error=each.error)
