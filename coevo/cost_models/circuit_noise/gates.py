"""Reading a transpiled circuit: its gates in order, and where it measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from coevo.errors import InputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from coevo.hardware.quantum import QuantumDevice

_REFUSED = {
    "reset": "resets are not unitary gates",
    "initialize": "state preparation must be compiled to gates",
}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}
_CONTROL_FLOW = frozenset({"if_else", "for_loop", "while_loop", "switch_case", "box", "break_loop", "continue_loop"})


class Gate(NamedTuple):
    """One gate: its name, its physical qubits and its parameters (floats, or unbound expressions). A "delay" has its
    duration in seconds as its parameter."""

    name: str
    qubits: tuple[int, ...]
    params: list[Any]


def read_gates(circuit: QuantumCircuit, device: QuantumDevice) -> tuple[list[Gate], dict[int, int]]:
    """The gates of a circuit on physical qubits, and its final measurements {classical bit: qubit}.

    Barriers are dropped. Raises InputError for more qubits than the device has, a reset, control flow,
    a gate on three qubits or more, and a measurement that something follows on the same qubit.
    Whether the device offers each gate is asked later, when its channel is looked up.
    """
    if circuit.num_qubits > device.num_qubits:
        raise InputError(
            f"the circuit has {circuit.num_qubits} qubits and {device.name} has {device.num_qubits}; "
            "expected a circuit transpiled to the device"
        )
    index = {qubit: position for position, qubit in enumerate(circuit.qubits)}
    gates: list[Gate] = []
    measured: dict[int, int] = {}
    for instruction in circuit.data:
        name = instruction.name
        if name == "barrier":
            continue
        qubits = tuple([index[qubit] for qubit in instruction.qubits])
        if measured and not set(measured.values()).isdisjoint(qubits):
            raise InputError(
                f"{name!r} on qubits {qubits} follows a measurement there; only final measurements are allowed"
            )
        if name == "measure":
            measured[circuit.find_bit(instruction.clbits[0]).index] = qubits[0]
        elif name == "delay":
            gates.append(Gate(name, qubits, [duration_s(instruction.operation, device, qubits[0])]))
        else:
            refuse_instruction(name, qubits, device)
            gates.append(Gate(name, qubits, instruction.params))
    return gates, measured


def refuse_instruction(name: str, qubits: tuple[int, ...], device: QuantumDevice) -> None:
    """InputError for what is no gate on one or two qubits."""
    if name in _REFUSED:
        raise InputError(f"the circuit has a {name!r} on qubit {qubits[0]}: {_REFUSED[name]}")
    if name in _CONTROL_FLOW:
        raise InputError(f"the circuit has control flow ({name!r}); expected a straight line of gates")
    if not 1 <= len(qubits) <= 2:
        raise InputError(
            f"{name!r} acts on {len(qubits)} qubits {qubits}; expected gates on one or two qubits, "
            f"from {device.name}'s {', '.join(device.basis)}"
        )


def duration_s(delay: Any, device: QuantumDevice, qubit: int) -> float:
    """The duration of a delay in seconds."""
    unit = delay.unit
    if unit == "dt":
        if device.calibration.dt_s is None:
            raise InputError(
                f"a delay on qubit {qubit} counts in dt, and {device.name} has no dt; give the delay in seconds"
            )
        return float(delay.duration) * device.calibration.dt_s
    if unit not in _SECONDS:
        raise InputError(f"a delay on qubit {qubit} counts in {unit!r}; expected dt or one of {', '.join(_SECONDS)}")
    try:
        return float(delay.duration) * _SECONDS[unit]
    except TypeError as error:
        raise InputError(
            f"a delay on qubit {qubit} has the unbound duration {delay.duration}; bind it first"
        ) from error
