"""Reading circuits into programs: each gate once, its rows named by the device's table, its angles affine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coevo.cost_models.circuit_noise.checks import real_number, whole_number, whole_numbers
from coevo.cost_models.circuit_noise.gates import duration_s, refuse_instruction
from coevo.cost_models.circuit_noise.program import (
    NO_SLOPES,
    NO_TERMS,
    Encoder,
    Input,
    Integers,
    Program,
    Rows,
    check_readout,
    readout_coefficients,
)
from coevo.errors import InputError
from coevo.hardware.quantum.pauli import Matrix

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
    reader = _Reader(device, inputs, weights)
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
    reader = _Reader(device, range(num_inputs), ())
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
            reader.rows.append(device.channels.delay(place[0], seconds))
            reader.angles.append(0.0)
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
    reader = _Reader(device, inputs, ())
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


class _Reader:
    """Collects the rows of one or two circuits."""

    def __init__(self, device: QuantumDevice, inputs: Sequence[Any], weights: Sequence[Any]):
        self.device = device
        self.rows: list[int] = []  # numbers of rows of the device's table
        self.angles: list[float] = []
        self.terms: list[tuple[int, int, int, float]] = []  # row, kind (0 input, 1 weight), index, slope
        self.matrices: list[Matrix] = []
        self.measured: dict[int, int] = {}
        self.places = {parameter: (0, index) for index, parameter in enumerate(inputs)}
        self.places |= {parameter: (1, index) for index, parameter in enumerate(weights)}
        if len(self.places) != len(inputs) + len(weights):
            raise InputError("a parameter stands twice among the inputs and weights; expected each once")

    def read(self, circuit: QuantumCircuit) -> None:
        device = self.device
        if circuit.num_qubits > device.num_qubits:
            raise InputError(
                f"the circuit has {circuit.num_qubits} qubits and {device.name} has {device.num_qubits}; "
                "expected a circuit transpiled to the device"
            )
        index = {qubit: position for position, qubit in enumerate(circuit.qubits)}
        rows, angles, known = self.rows, self.angles, device.channels.instruction
        cache: dict[tuple[str, Any], Any] = {}  # this circuit's qubit objects as keys: no tuple of integers a gate
        busy = set(self.measured.values())
        # The slice hands over all instructions in one call, three times as fast as iterating over `circuit.data`.
        for item in circuit.data[:]:
            name, bits = item.name, item.qubits
            key = (name, bits)
            found = cache.get(key)
            if found is None:
                if name == "barrier":
                    continue
                place = tuple([index[bit] for bit in bits])
                if busy and not busy.isdisjoint(place):
                    raise InputError(
                        f"{name!r} on qubits {place} follows a measurement there; only final measurements are allowed"
                    )
                if name == "measure":
                    self.measured[circuit.find_bit(item.clbits[0]).index] = place[0]
                    busy.add(place[0])
                    cache.clear()  # whatever follows is looked at again
                    continue
                if name == "delay":
                    rows.append(device.channels.delay(place[0], duration_s(item.operation, device, place[0])))
                    angles.append(0.0)
                    continue
                refuse_instruction(name, place, device)
                instruction = known(name, place)
                plain = instruction.rows[0] if len(instruction.rows) == 1 else -1
                cache[key] = found = (plain, instruction, place)
            plain, instruction, place = found
            count = instruction.num_parameters
            if not count:
                rows.append(plain)
                angles.append(0.0)
                continue
            params = item.params
            if plain >= 0 and len(params) == 1 and type(params[0]) is float and params[0] - params[0] == 0.0:  # finite
                rows.append(plain)
                angles.append(params[0])
            else:
                self.parametrised(name, place, instruction, params)

    def parametrised(self, name: str, place: tuple[int, ...], instruction: Any, params: list[Any]) -> None:
        if len(params) != instruction.num_parameters:
            raise InputError(
                f"{self.device.name}: gate {name!r} takes {instruction.num_parameters} parameters, got {len(params)}"
            )
        if not instruction.rows:  # no rotation: its matrix is computed for these angles
            numbers = [self._affine(name, place, value) for value in params]
            if any(terms for _, terms in numbers):
                raise InputError(
                    f"{name!r} on qubits {place} has an unbound parameter, and its matrix is no rotation of one angle; "
                    "bind the circuit, or transpile it to rotations"
                )
            matrix = self.device.transfer_matrix(name, place, [number for number, _ in numbers])
            self.matrices.append(np.array(matrix))
            row = (place[0], place[1] if len(place) == 2 else -1, -1, -1 - len(self.matrices))
            self.rows.append(self.device.channels.number(row))
            self.angles.append(0.0)
            return
        for row, which, constant in zip(instruction.rows, instruction.parameter, instruction.angles, strict=True):
            if which is not None:
                constant, terms = self._affine(name, place, params[which])
                position = len(self.rows)
                self.terms += [(position, *found, slope) for found, slope in terms]
            self.rows.append(row)
            self.angles.append(constant)

    def _affine(
        self, name: str, place: tuple[int, ...], value: Any
    ) -> tuple[float, list[tuple[tuple[int, int], float]]]:
        """An angle as a constant and terms ((kind, index), slope)."""
        where = f"{name!r} on qubits {place}"
        if isinstance(value, Input):
            if value.column not in self.places:
                raise InputError(f"{where} takes input {value.column} of {len(self.places)}")
            if not (np.isfinite(value.slope) and np.isfinite(value.offset)):
                raise InputError(f"{where} has the angle {value}; expected finite numbers")
            return float(value.offset), [(self.places[value.column], float(value.slope))]
        parameters = getattr(value, "parameters", None)
        if not parameters:
            number = real_number(value, f"the angle of {where}")
            if not np.isfinite(number):
                raise InputError(f"{where} has the angle {number}; expected a finite number of radians")
            return number, []
        terms = []
        for parameter in parameters:
            if parameter not in self.places:
                raise InputError(
                    f"{where} has the unbound parameter {parameter.name}; bind the circuit, or name the parameter "
                    "among the inputs or weights"
                )
            try:
                slope = float(value.gradient(parameter))
            except TypeError as error:
                raise InputError(
                    f"{where} has the angle {value}; expected one that is affine in {parameter}"
                ) from error
            terms.append((self.places[parameter], slope))
        if len({kind for (kind, _), _ in terms}) > 1:
            raise InputError(f"{where} has the angle {value}, of inputs and weights; expected one kind of them")
        constant = 0.0 if value in self.places else float(value.bind(dict.fromkeys(parameters, 0.0)))
        return constant, terms

    def whole_encoder(self, num_inputs: int) -> Encoder:
        """Every row as an encoder."""
        table = self.device.channels
        belongs: dict[int, list[int]] = {}
        for position, number in enumerate(self.rows):
            first, second, _, _ = table.rows[number]
            if second >= 0:
                raise InputError(
                    f"the encoder has a two-qubit gate on {(first, second)}; its samples are product states only with "
                    "one-qubit gates"
                )
            belongs.setdefault(first, []).append(position)
        rows, angles = table.rows_of(self.rows), np.array(self.angles)
        return self._encoder({qubit: belongs[qubit] for qubit in sorted(belongs)}, rows, angles, num_inputs)

    def split(self, num_inputs: int) -> tuple[Encoder, Rows]:
        """The encoder and the body."""
        table = self.device.channels
        rows = table.rows_of(self.rows)
        angles = np.array(self.angles)
        if not self.terms:
            return self._encoder({}, rows, angles, num_inputs), Rows(rows, angles, NO_TERMS, NO_SLOPES)
        kinds = {row: kind for row, kind, _, _ in self.terms}
        last: dict[int, int] = {}  # qubit -> its last sample-dependent row
        entangled: set[int] = set()
        written = [table.rows[number] for number in self.rows]
        for position, (first, second, _, _) in enumerate(written):
            if second >= 0:
                entangled.update((first, second))
            if kinds.get(position) != 0:
                continue
            if second >= 0 or first in entangled:
                raise InputError(
                    f"a gate on qubits {(first,) if second < 0 else (first, second)} depends on the sample after a "
                    "two-qubit gate; samples stay product states only while data enters before the first one"
                )
            last[first] = position
        belongs: dict[int, list[int]] = {qubit: [] for qubit in sorted(last)}
        body: list[int] = []
        for position, (first, second, _, _) in enumerate(written):
            if second < 0 and position <= last.get(first, -1):
                if kinds.get(position) == 1:
                    raise InputError(
                        f"a weight stands before the last data-dependent gate of qubit {first}; expected data first, "
                        "then weights (a barrier between encoder and body keeps them apart)"
                    )
                belongs[first].append(position)
            else:
                body.append(position)
        return self._encoder(belongs, rows, angles, num_inputs), self._rows(rows, angles, body)

    def _encoder(self, belongs: dict[int, list[int]], rows: Integers, angles: Matrix, num_inputs: int) -> Encoder:
        parts = tuple(self._rows(rows, angles, chosen) for chosen in belongs.values())
        names = tuple(self._key(part) for part in parts)
        return Encoder(tuple(belongs), parts, names, tuple(self.matrices), num_inputs, self.device)

    def _rows(self, rows: Integers, angles: Matrix, chosen: list[int]) -> Rows:
        new = {old: position for position, old in enumerate(chosen)}
        terms = [(new[row], index, slope) for row, _, index, slope in self.terms if row in new]
        return Rows(
            rows[chosen],
            angles[chosen],
            np.array([term[:2] for term in terms], np.int32).reshape(-1, 2),
            np.array([term[2] for term in terms], dtype=float),
        )

    def _key(self, part: Rows) -> bytes:
        own = [self.matrices[-2 - code].tobytes() for code in part.rows[:, 3].tolist() if code < -1]
        return b"|".join(
            [part.rows.tobytes(), part.angles.tobytes(), part.terms.tobytes(), part.slopes.tobytes(), *own]
        )
