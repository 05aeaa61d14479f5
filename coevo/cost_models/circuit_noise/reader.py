"""What reading has found so far: numbers of rows of a device's table, angles, and which angles are open."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.circuit_noise.checks import real_number
from coevo.cost_models.circuit_noise.gates import duration_s, refuse_instruction
from coevo.cost_models.circuit_noise.program import NO_SLOPES, NO_TERMS, Encoder, Input, Integers, Rows
from coevo.cost_models.circuit_noise.views import UNKNOWN, signatures
from coevo.errors import InputError
from coevo.hardware.quantum.pauli import Matrix

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from coevo.hardware.quantum import QuantumDevice

Affine = tuple[float, list[tuple[tuple[int, int], float]]]
"""An angle as a constant and terms ((kind, index), slope); kind 0 is an input, 1 a weight."""
_SINGLY = 2  # up to one instruction in two is fetched from a circuit by itself, from there on all at once


class Reader:
    """Collects the rows of one or two circuits."""

    def __init__(self, device: QuantumDevice, inputs: Sequence[Any], weights: Sequence[Any]):
        self.device = device
        self.matrices: list[Matrix] = []
        self.measured: dict[int, int] = {}
        self._numbers = array("i")  # of rows of the device's table
        self._angles = array("d")
        self._terms: list[tuple[int, int, int, float]] = []  # row, kind, index, slope
        self._places = {parameter: (0, index) for index, parameter in enumerate(inputs)}
        self._places |= {parameter: (1, index) for index, parameter in enumerate(weights)}
        if len(self._places) != len(inputs) + len(weights):
            raise InputError("a parameter stands twice among the inputs and weights; expected each once")

    def add(self, number: int, angle: float = 0.0) -> None:
        """One more row."""
        self._numbers.append(number)
        self._angles.append(angle)

    def _extend(self, numbers: Integers, angles: NDArray[np.float64]) -> None:
        self._numbers.frombytes(numbers.tobytes())
        self._angles.frombytes(angles.tobytes())

    def read(self, circuit: QuantumCircuit) -> None:
        """Appends a circuit's rows. What the compiled loop of `views` leaves open is looked at here, in order."""
        device = self.device
        if circuit.num_qubits > device.num_qubits:
            raise InputError(
                f"the circuit has {circuit.num_qubits} qubits and {device.name} has {device.num_qubits}; "
                "expected a circuit transpiled to the device"
            )
        numbers, angles = signatures(device.channels).look(circuit)
        opened = np.flatnonzero(np.isnan(angles)).tolist()
        if not opened:
            self._extend(numbers, angles)
            return
        if _SINGLY * len(opened) <= len(numbers):
            data = circuit._data
            items = [data[position] for position in opened]
        else:  # the slice hands over all instructions in one call, three times as fast as iterating over `circuit.data`
            every = circuit.data[:]
            items = every if len(opened) == len(every) else [every[position] for position in opened]
        found: list[int] = numbers.tolist()
        if UNKNOWN in found:
            self._read_open(circuit, opened, items, found, angles.tolist())
            return
        rows, begin = device.channels.rows, len(self._numbers)
        for position, item in zip(opened, items, strict=True):
            angles[position], terms = self._affine(item.name, rows[found[position]][:2], item.params[0])
            for (kind, index), slope in terms:
                self._terms.append((begin + position, kind, index, slope))
        self._extend(numbers, angles)

    def _read_open(
        self, circuit: QuantumCircuit, opened: list[int], items: list[Any], numbers: list[int], angles: list[float]
    ) -> None:
        """Appends a circuit's rows, what is open after its checks."""
        device, channels = self.device, self.device.channels
        known = signatures(channels)
        index = {qubit: position for position, qubit in enumerate(circuit.qubits)}
        cache: dict[tuple[str, Any], Any] = {}  # this circuit's qubit objects as keys: no tuple of integers a gate
        busy = set(self.measured.values())
        begin = 0
        for position, item in zip(opened, items, strict=True):
            if begin < position:
                self._numbers.extend(numbers[begin:position])
                self._angles.extend(angles[begin:position])
            begin = position + 1
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
                    self.add(channels.delay(place[0], duration_s(item.operation, device, place[0])))
                    continue
                refuse_instruction(name, place, device)
                instruction = channels.instruction(name, place)
                plain = -1
                if len(instruction.rows) == 1:
                    plain = instruction.rows[0]
                    known.add(name, place, plain, instruction.num_parameters)
                cache[key] = found = (plain, instruction, place)
            plain, instruction, place = found
            if not instruction.num_parameters:
                self.add(plain)
                continue
            params = item.params
            if plain >= 0 and len(params) == 1 and type(params[0]) is float and params[0] - params[0] == 0.0:  # finite
                self.add(plain, params[0])
            else:
                self.parametrised(name, place, instruction, params)
        self._numbers.extend(numbers[begin:])
        self._angles.extend(angles[begin:])

    def parametrised(self, name: str, place: tuple[int, ...], instruction: Any, params: list[Any]) -> None:
        """Appends the rows of a gate of the device."""
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
            self.add(self.device.channels.number(row))
            return
        for row, which, constant in zip(instruction.rows, instruction.parameter, instruction.angles, strict=True):
            if which is not None:
                constant, terms = self._affine(name, place, params[which])
                position = len(self._numbers)
                self._terms += [(position, *found, slope) for found, slope in terms]
            self.add(row, constant)

    def _affine(self, name: str, place: tuple[int, ...], value: Any) -> Affine:
        if isinstance(value, Input):
            if value.column not in self._places:
                raise InputError(f"{_where(name, place)} takes input {value.column} of {len(self._places)}")
            if not (np.isfinite(value.slope) and np.isfinite(value.offset)):
                raise InputError(f"{_where(name, place)} has the angle {value}; expected finite numbers")
            return float(value.offset), [(self._places[value.column], float(value.slope))]
        if hasattr(value, "name") and value in self._places:  # a parameter itself, no expression of it
            return 0.0, [(self._places[value], 1.0)]
        parameters = getattr(value, "parameters", None)
        if not parameters:
            number = real_number(value, f"the angle of {_where(name, place)}")
            if not np.isfinite(number):
                raise InputError(f"{_where(name, place)} has the angle {number}; expected a finite number of radians")
            return number, []
        terms = []
        for parameter in parameters:
            found = self._places.get(parameter)
            if found is None:
                raise InputError(
                    f"{_where(name, place)} has the unbound parameter {parameter.name}; bind the circuit, or name the "
                    "parameter among the inputs or weights"
                )
            try:
                slope = float(value.gradient(parameter))
            except TypeError as error:
                raise InputError(
                    f"{_where(name, place)} has the angle {value}; expected one that is affine in {parameter}"
                ) from error
            terms.append((found, slope))
        if len(terms) > 1 and len({kind for (kind, _), _ in terms}) > 1:
            raise InputError(
                f"{_where(name, place)} has the angle {value}, of inputs and weights; expected one kind of them"
            )
        return float(value.bind(dict.fromkeys(parameters, 0.0))), terms

    def whole_encoder(self, num_inputs: int) -> Encoder:
        """Every row as an encoder."""
        rows, angles = self._arrays()
        double = np.flatnonzero(rows[:, 1] >= 0)
        if len(double):
            raise InputError(
                f"the encoder has a two-qubit gate on {tuple(rows[double[0], :2].tolist())}; its samples are product "
                "states only with one-qubit gates"
            )
        belongs: dict[int, list[int]] = {}
        for position, qubit in enumerate(rows[:, 0].tolist()):
            belongs.setdefault(qubit, []).append(position)
        return self._encoder({qubit: belongs[qubit] for qubit in sorted(belongs)}, rows, angles, num_inputs)

    def split(self, num_inputs: int) -> tuple[Encoder, Rows]:
        """The encoder and the body."""
        rows, angles = self._arrays()
        if not self._terms:
            return self._encoder({}, rows, angles, num_inputs), Rows(rows, angles, NO_TERMS, NO_SLOPES)
        kinds = {row: kind for row, kind, _, _ in self._terms}
        last: dict[int, int] = {}  # qubit -> its last sample-dependent row
        entangled: set[int] = set()
        written = rows[:, :2].tolist()
        for position, (first, second) in enumerate(written):
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
        for position, (first, second) in enumerate(written):
            if second < 0 and position <= last.get(first, -1):
                if kinds.get(position) == 1:
                    raise InputError(
                        f"a weight stands before the last data-dependent gate of qubit {first}; expected data first, "
                        "then weights (a barrier between encoder and body keeps them apart)"
                    )
                belongs[first].append(position)
            else:
                body.append(position)
        return self._encoder(belongs, rows, angles, num_inputs), self._parts([body], rows, angles)[0]

    def _arrays(self) -> tuple[Integers, Matrix]:
        return self.device.channels.rows_of(np.array(self._numbers)), np.array(self._angles)

    def _encoder(self, belongs: dict[int, list[int]], rows: Integers, angles: Matrix, num_inputs: int) -> Encoder:
        parts = self._parts(list(belongs.values()), rows, angles) if belongs else ()
        names = tuple([self._key(part) for part in parts])
        return Encoder(tuple(belongs), parts, names, tuple(self.matrices), num_inputs, self.device)

    def _parts(self, groups: list[list[int]], rows: Integers, angles: Matrix) -> tuple[Rows, ...]:
        """The rows at each group's positions, ascending, with their terms."""
        place = {position: (number, at) for number, group in enumerate(groups) for at, position in enumerate(group)}
        mine: list[list[tuple[int, int, float]]] = [[] for _ in groups]
        for row, _, index, slope in self._terms:
            if row in place:
                number, at = place[row]
                mine[number].append((at, index, slope))
        order = np.array([position for group in groups for position in group], np.int64)
        rows, angles = rows[order], angles[order]
        terms = np.array([term[:2] for terms in mine for term in terms], np.int32).reshape(-1, 2)
        slopes = np.array([term[2] for terms in mine for term in terms], np.float64)
        parts, begin, first = [], 0, 0
        for group, own in zip(groups, mine, strict=True):
            end, last = begin + len(group), first + len(own)
            parts.append(Rows(rows[begin:end], angles[begin:end], terms[first:last], slopes[first:last]))
            begin, first = end, last
        return tuple(parts)

    def _key(self, part: Rows) -> bytes:
        own = []
        if self.matrices:
            own = [self.matrices[-2 - code].tobytes() for code in part.rows[:, 3].tolist() if code < -1]
        return b"|".join(
            [part.rows.tobytes(), part.angles.tobytes(), part.terms.tobytes(), part.slopes.tobytes(), *own]
        )


def _where(name: str, place: tuple[int, ...]) -> str:
    return f"{name!r} on qubits {tuple(qubit for qubit in place if qubit >= 0)}"
