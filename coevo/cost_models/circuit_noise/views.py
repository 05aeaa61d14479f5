"""A circuit's instructions through Qiskit's C interface, in one compiled loop.

Where every gate is a known one with a number for its angle, Python sees nothing of a circuit but two arrays: 30 ns an
instruction in place of a microsecond. Whatever is anything else (a gate met for the first time, an unbound parameter, a
delay, a measurement and what follows one) stays open, and `reading` looks at it in Python, with its checks and
its errors; so this module decides nothing. The interface is Qiskit's own (https://quantum.cloud.ibm.com/docs/api/
qiskit-c, "C API interface from Python"); where the installed Qiskit has no `qk_circuit_view_instruction`, as before
2.6, every instruction stays open, which is slower and gives the same.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from coevo.hardware.quantum.table import ChannelTable
from coevo.kernels.calls import byte_at, call_for_byte, call_for_double, call_for_nothing, word_at
from coevo.kernels.jit import compiled_holding_lock

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

Integers = NDArray[np.int32]
LONGEST = 8
"""Bytes of a name that is looked up here; it then fits one integer."""
UNKNOWN = -1
_REAL = 1  # QkParamKind_Real
_VIEW = ("name", "qubits", "clbits", "params", "name_len", "num_qubits", "num_clbits", "num_params")
_OFFSETS = (0, 8, 16, 24, 32, 40, 44, 48)


class Interface(NamedTuple):
    """Addresses of Qiskit's functions, and how to find a circuit."""

    address_of: Callable[[Any], int]  # of a QuantumCircuit's `_data`
    view: int
    kind: int
    real: int


@cache
def interface() -> Interface | None:
    """Qiskit's C interface, or None where the installed Qiskit lacks a function, or lays out a view in another way."""
    try:
        from qiskit import capi

        found = [
            ctypes.cast(getattr(capi, f"qk_{name}"), ctypes.c_void_p).value
            for name in ("circuit_borrow_from_python", "circuit_view_instruction", "param_kind", "param_as_real")
        ]
        view = capi.QkCircuitInstructionView
    except (ImportError, AttributeError):
        return None
    if tuple(getattr(view, name).offset for name in _VIEW) != _OFFSETS:
        return None
    borrow, *rest = [address for address in found if address]
    return Interface(ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(borrow), *rest)


class Signatures:
    """Known gates on their qubits, as a hash table that the compiled loop reads: each is one row of a device's table
    (`coevo.hardware.quantum.table`), with its one parameter, if any, as the angle."""

    def __init__(self) -> None:
        self._names: set[tuple[str, tuple[int, ...]]] = set()
        self._table = _empty(64)

    def add(self, name: str, place: tuple[int, ...], number: int, num_parameters: int) -> None:
        """From now on a gate is the row `number`. Names of more than `LONGEST` bytes are left to Python."""
        text = name.encode()
        if (name, place) in self._names or len(text) > LONGEST:
            return
        self._names.add((name, place))
        if 4 * len(self._names) > len(self._table):
            old, self._table = self._table, _empty(2 * len(self._table))
            for entry in old[old[:, 3] >= 0]:
                self._table[find(self._table, *entry[:2])] = entry
        code = int.from_bytes(text.ljust(LONGEST, b"\0"), "little", signed=True)
        key = place_key(place[0], place[1] if len(place) == 2 else -1)
        self._table[find(self._table, code, key)] = (code, key, number, num_parameters)

    def look(self, circuit: QuantumCircuit) -> tuple[Integers, NDArray[np.float64]]:
        """For every instruction the number of its row, or `UNKNOWN`; and its angle in radians, NaN where it is open."""
        data = circuit._data
        count = len(data)
        numbers, angles = np.full(count, UNKNOWN, np.int32), np.full(count, np.nan)
        found = interface()
        if found is not None:
            view = np.zeros(7, np.int64)
            address = found.address_of(data)
            look(address, found.view, found.kind, found.real, self._table, view, numbers, angles)
        return numbers, angles


_KNOWN: WeakKeyDictionary[ChannelTable, Signatures] = WeakKeyDictionary()


def signatures(table: ChannelTable) -> Signatures:
    """The gates known so far of a device."""
    found = _KNOWN.get(table)
    if found is None:
        found = _KNOWN[table] = Signatures()
    return found


def _empty(size: int) -> NDArray[np.int64]:
    return np.full((size, 4), -1, np.int64)


@compiled_holding_lock
def place_key(first: int, second: int) -> int:
    """The qubits of a gate in one integer; `second` is -1 where there is none."""
    return (first << 32) + second + 1


@compiled_holding_lock
def find(table: Any, code: int, key: int) -> int:
    """The slot of an entry (name, qubits, number, parameters), or the empty slot where it belongs."""
    mask = len(table) - 1
    mixed = (code ^ (key * 0x9E3779B97F4A7C1)) * 0x2545F4914F6CDD1D  # odd numbers: products wrap round, one to one
    slot = (mixed >> 32) & mask
    while table[slot, 3] >= 0 and (table[slot, 0] != code or table[slot, 1] != key):
        slot = (slot + 1) & mask
    return slot


@compiled_holding_lock
def look(
    circuit: int, view_of: int, kind_of: int, real_of: int, table: Any, view: Any, numbers: Any, angles: Any
) -> None:
    """`Signatures.look` over a circuit's address. `view` int64 [7] is written by Qiskit: the addresses of the name,
    qubits, clbits and parameters, the length of the name, the numbers of qubits and clbits (32 bits each) and of
    parameters."""
    for n in range(len(numbers)):
        call_for_nothing(view_of, circuit, n, view.ctypes.data)
        length, parameters = view[4], view[6]
        qubits, clbits = view[5] & 0xFFFFFFFF, view[5] >> 32
        if clbits > 0:
            break  # a measurement: whatever follows has to be looked at
        if length > LONGEST or parameters > 1 or qubits < 1 or qubits > 2:
            continue
        code = 0
        for byte in range(length):
            code |= byte_at(view[0] + byte) << (8 * byte)
        second = word_at(view[1] + 4) if qubits == 2 else -1
        entry = table[find(table, code, place_key(word_at(view[1]), second))]
        if entry[3] != parameters:
            continue
        numbers[n] = entry[2]
        if parameters:
            angle = call_for_double(real_of, view[3]) if call_for_byte(kind_of, view[3]) == _REAL else np.nan
            angles[n] = angle if angle - angle == 0.0 else np.nan  # an infinite one is open too
        else:
            angles[n] = 0.0
