"""Reading circuits into programs: each gate once, its rows named by the device's table, its angles affine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coevo.cost_models.circuit_noise.checks import real_number, whole_number, whole_numbers
from coevo.cost_models.circuit_noise.gates import refuse_instruction
from coevo.cost_models.circuit_noise.program import Encoder, Program, check_readout, readout_coefficients
from coevo.cost_models.circuit_noise.reader import Reader
from coevo.errors import InputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    from coevo.hardware.quantum import QuantumDevice

GateLike = tuple[str, Sequence[int], Sequence[Any]]
"""(name, physical qubits, angles: numbers or `Input`); a "delay" has its seconds in place of an angle."""


def read_program(
    circuit: QuantumCircuit,
    device: QuantumDevice,
    qubits: Sequence[int] | None = None,
    *,
    encoder: QuantumCircuit | Encoder | None = None,
    inputs: Sequence[Parameter] = (),
    weights: Sequence[Parameter] = (),
) -> Program:
    """Read a transpiled circuit.

    Args:
        circuit: on physical qubits and in the device's gates. Barriers are ignored, final measurements stripped; a
            delay relaxes its qubit for its duration.
        device: whose calibration applies.
        qubits: the physical qubits to read out at the END of the circuit, one observable each, in this order; None
            reads the final measurements in the order of their classical bits.
        encoder: a circuit that runs before, on the same physical qubits; or one that `read_encoder` has read, which
            many bodies on one layout share.
        inputs: the parameters that differ by sample. They may stand only in one-qubit gates before the first two-qubit
            gate of their qubit, which keeps samples product states.
        weights: the parameters to train. Every angle must be affine in inputs or in weights, and unbound parameters
            that stand in neither are refused.

    Raises:
        InputError: an instruction the device lacks or has no calibration for, a reset, control flow, a mid-circuit
            measurement, an angle that is NaN, infinite, not affine or of both kinds, a data-dependent gate after a
            two-qubit gate, a qubit out of range.
    """
    _check_device(device)
    _check_circuit(circuit)
    if encoder is not None and not isinstance(encoder, Encoder):
        _check_circuit(encoder)
    reader = Reader(device, inputs, weights)
    given = encoder if isinstance(encoder, Encoder) else None
    if given is not None and (len(inputs) or given.device is not device):
        raise InputError("an encoder that was read has its inputs and device; give it no other")
    if encoder is not None and given is None:
        reader.read(encoder)
        if reader.measured:
            raise InputError("the encoder measures qubits; expected measurements at the end of the body alone")
    reader.read(circuit)
    if qubits is None:
        qubits = [reader.measured[bit] for bit in sorted(reader.measured)]
    read = check_readout(qubits, device)
    readout = np.array([readout_coefficients(device, qubit) for qubit in read])
    before, body = reader.split(len(inputs))
    return Program(device, given or before, body, tuple(read), readout, tuple(reader.matrices), len(weights))


def program_from_gates(
    gates: Sequence[GateLike], device: QuantumDevice, qubits: Sequence[int], num_inputs: int = 0
) -> Program:
    """A program without Qiskit: gates of the device in order, the first ones possibly with `Input` angles.

    Raises InputError as `read_program` does, for an input column of `num_inputs` or more, and for a gate that is no
    (name, qubits, angles).
    """
    _check_device(device)
    if whole_number(num_inputs, "num_inputs") < 0:
        raise InputError(f"expected num_inputs of 0 or more, got {num_inputs}")
    reader = Reader(device, range(num_inputs), ())
    for position, gate in enumerate(gates):
        try:
            name, places, params = gate
        except (TypeError, ValueError):
            raise InputError(f"gate {position} is {gate!r}; expected (name, qubits, angles)") from None
        place = whole_numbers(places, f"the qubits of gate {position} ({name!r})")
        if name == "delay":
            if len(place) != 1 or len(params) != 1:
                raise InputError(f"gate {position} is {gate!r}; expected a delay on one qubit, with its seconds")
            seconds = real_number(params[0], f"the duration of the delay on qubit {place[0]} (gate {position})")
            reader.add(device.channels.delay(place[0], seconds))
            continue
        refuse_instruction(name, place, device)
        reader.parametrised(name, place, device.channels.instruction(name, place), list(params))
    read = check_readout(qubits, device)
    readout = np.array([readout_coefficients(device, qubit) for qubit in read])
    before, body = reader.split(num_inputs)
    return Program(device, before, body, tuple(read), readout, tuple(reader.matrices), 0)


def read_encoder(circuit: QuantumCircuit, device: QuantumDevice, inputs: Sequence[Parameter]) -> Encoder:
    """A transpiled encoder of one-qubit gates, on physical qubits: read once, shared by every body on its layout.

    Raises InputError as `read_program` does, and for a two-qubit gate or a measurement.
    """
    _check_device(device)
    _check_circuit(circuit)
    reader = Reader(device, inputs, ())
    reader.read(circuit)
    if reader.measured:
        raise InputError("the encoder measures qubits; expected measurements at the end of the body alone")
    return reader.whole_encoder(len(inputs))


def _check_device(device: Any) -> None:
    if not hasattr(device, "channels"):
        raise InputError(f"expected a QuantumDevice, got {device!r}; build one with QuantumDevice.from_name")


def _check_circuit(circuit: Any) -> None:
    if not hasattr(circuit, "data") or not hasattr(circuit, "num_qubits"):
        raise InputError(f"expected a qiskit QuantumCircuit, got {circuit!r}; for plain gates use program_from_gates")
