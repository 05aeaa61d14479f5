"""Success-rate estimates: what a noisy circuit costs where its states are too many to follow.

The chance that nothing goes wrong is a product of one factor a gate, idle period and readout. It ignores what errors do
and that some cancel, so it ranks circuits and gives no expectation value. The artifact of QuantumNAS (Wang et al., HPCA
2022) scores large circuits by loss / success; its variant takes gate errors alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from coevo.cost_models.circuit_noise.gates import Gate, read_gates
from coevo.cost_models.circuit_noise.program import check_readout
from coevo.errors import InputError
from coevo.hardware.quantum.channels import average_infidelity, relaxation

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from coevo.hardware.quantum import QuantumDevice

Variant = Literal["full", "estnoise"]
LEAST_GATE_SUCCESS = 1e-5
"""The artifact's floor for a gate whose calibrated error is 1."""


def success_rate(
    circuit: QuantumCircuit,
    device: QuantumDevice,
    qubits: Sequence[int] | None = None,
    *,
    variant: Variant = "full",
) -> float:
    """The estimated chance, 0 to 1, that a transpiled circuit runs without an error.

    Args:
        circuit: on physical qubits, of any width; angles may be unbound.
        device: whose calibration applies.
        qubits: those that are read out; None takes the final measurements.
        variant: "full" multiplies (1 - gate error), the average fidelity of relaxation over every idle period, and
            (1 - mean readout error) of every read qubit. Idle periods are the circuit's delays; a circuit without any
            is scheduled as soon as possible by the calibrated durations, from a qubit's first gate to the last gate of
            the circuit. "estnoise" is the artifact's: gate errors alone, no gate below 1e-5.

    Raises:
        InputError: a gate that the device lacks, a missing calibration, another variant.
    """
    if variant not in ("full", "estnoise"):
        raise InputError(f"expected variant 'full' or 'estnoise', got {variant!r}")
    gates, measured = read_gates(circuit, device)
    product = 1.0
    for gate in gates:
        if gate.name == "delay":
            continue
        device.error_matrix(gate.name, gate.qubits)  # it checks gate, place and calibration
        error = device.calibration.instructions[gate.name][gate.qubits].error or 0.0
        product *= max(1 - error, LEAST_GATE_SUCCESS) if variant == "estnoise" else 1 - min(error, 1.0)
    if variant == "estnoise":
        return product
    for qubit, idle_s in _idle_periods(gates, device):
        t1_s, t2_s = device.relaxation_times(qubit)
        product *= 1 - average_infidelity(relaxation(t1_s, t2_s, idle_s))
    if qubits is None:
        qubits = [measured[bit] for bit in sorted(measured)]
    for qubit in check_readout(qubits, device):
        matrix = device.readout_matrix(qubit)
        product *= float(matrix[0, 0] + matrix[1, 1]) / 2
    return product


def _idle_periods(gates: list[Gate], device: QuantumDevice) -> list[tuple[int, float]]:
    """(qubit, seconds) of waiting."""
    told = [(gate.qubits[0], float(gate.params[0])) for gate in gates if gate.name == "delay"]
    if told:
        return told
    busy_until: dict[int, float] = {}
    idle: list[tuple[int, float]] = []
    for name, qubits, _ in gates:
        duration_s = device.calibration.instructions[name][qubits].duration_s or 0.0
        start = max(busy_until.get(qubit, 0.0) for qubit in qubits)
        for qubit in qubits:
            if qubit in busy_until and start > busy_until[qubit]:
                idle.append((qubit, start - busy_until[qubit]))
            busy_until[qubit] = start + duration_s
    end = max(busy_until.values(), default=0.0)
    return idle + [(qubit, end - until) for qubit, until in busy_until.items() if end > until]
