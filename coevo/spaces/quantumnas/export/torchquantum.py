"""torchquantum's op-dictionary lists, written and read; torchquantum itself is not needed.

A body's entry is what torchquantum records in `QuantumDevice.op_history` and what its `QuantumModule.from_op_history`
and `op_history2qiskit` read, with the two keys more that `build_module_from_op_list` asks for:

    {"name": "u3", "wires": 0, "params": [0.1, 0.2, 0.3], "inverse": false, "trainable": true, "has_params": true,
     "n_wires": 1}

`wires` is a number for one wire and a list for two; `params` a number for one angle, a list for several and null for
none. An encoder's entry is that of its `GeneralEncoder`: {"input_idx": [0], "func": "ry", "wires": [0]}.

Wire q is qubit q, so lists need no reordering. Only state vectors do: torchquantum is big-endian (wire 0 is the most
significant bit of an index), coevo and Qiskit little-endian. `reverse_bits` is the one place where they meet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, unknown_name
from coevo.kernels.statevector.circuit import CircuitGate
from coevo.kernels.statevector.product import Rotation

Op = dict[str, Any]
_Angles = Sequence[float]
_Steps = list[tuple[str, _Angles]]  # gates on the entry's wires, in order

_NAMES = {  # ours -> the name that torchquantum records; what only differs by `inverse` stands in _INVERTED
    "h": "hadamard", "x": "paulix", "y": "pauliy", "z": "pauliz", "s": "s", "t": "t", "sx": "sx",
    "rx": "rx", "ry": "ry", "rz": "rz", "u1": "u1", "u3": "u3", "cu3": "cu3",
    "rxx": "rxx", "ryy": "ryy", "rzz": "rzz", "rzx": "rzx",
    "cx": "cnot", "cz": "cz", "swap": "swap", "sqrtswap": "sswap",
}  # fmt: skip
_INVERTED = {"sdg": "s", "tdg": "t"}  # not every version of torchquantum has names for these


def _as(name: str) -> Callable[[_Angles], _Steps]:
    return lambda angles: [(name, angles)]


# torchquantum's name -> (wires, params, the same in our gates)
_READ: dict[str, tuple[int, int, Callable[[_Angles], _Steps]]] = (
    {name: (1, 0, _as(ours)) for ours in ("h", "x", "y", "z", "s", "t", "sx") for name in (ours, _NAMES[ours])}
    | {name: (1, 0, _as(name)) for name in ("sdg", "tdg")}
    | {name: (1, 0, lambda _: [("sx", ())] * 3) for name in ("sxdg",)}  # sx has order 4
    | {name: (1, 0, lambda _: [("ry", (np.pi / 4,))]) for name in ("sh", "shadamard")}  # as torchquantum defines it
    | {name: (1, 1, _as(name)) for name in ("rx", "ry", "rz")}
    | {name: (1, 1, _as("u1")) for name in ("u1", "p", "phaseshift")}
    | {"u2": (1, 2, lambda angles: [("u3", (np.pi / 2, *angles))])}
    | {name: (1, 3, _as("u3")) for name in ("u3", "u")}
    | {name: (2, 1, _as(ours)) for ours in ("rxx", "ryy", "rzz", "rzx") for name in (ours, ours[1:])}
    | {"cu3": (2, 3, _as("cu3"))}
    | {name: (2, 0, _as("cx")) for name in ("cx", "cnot")}
    | {"cz": (2, 0, _as("cz")), "swap": (2, 0, _as("swap")), "sswap": (2, 0, _as("sqrtswap"))}
)
_ORDER_4 = ("sx", "sqrtswap")
_PAIRS = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t"}


def to_op_list(gates: Sequence[CircuitGate], angles: Sequence[float], trainable: bool = True) -> list[Op]:
    """A body as a list that torchquantum reads.

    Args:
        gates: (name, qubits, indices of its angles), as `coevo.kernels.statevector.Circuit` takes them. Gates that
            share an angle get a copy each: op lists cannot share.
        angles: [A], radians.
        trainable: whether torchquantum may train the angles.

    Raises UnknownName for a gate that torchquantum lacks, InputError for an angle out of range, NaN or infinite.
    """
    ops = []
    for index, (name, qubits, slots) in enumerate(gates):
        if name not in _NAMES and name not in _INVERTED:
            raise unknown_name("gate", name, (*_NAMES, *_INVERTED), f"gate {index}")
        if not all(0 <= slot < len(angles) for slot in slots):
            raise InputError(f"gate {index}: expected angles 0 to {len(angles) - 1}, got {list(slots)}")
        params = [float(angles[slot]) for slot in slots]
        if not np.isfinite(params).all():
            raise InputError(f"gate {index} ({name!r}): expected finite angles, got {params}")
        wires = [int(qubit) for qubit in qubits]
        ops.append(
            {
                "name": _NAMES.get(name) or _INVERTED[name],
                "wires": wires[0] if len(wires) == 1 else wires,
                "params": None if not params else params[0] if len(params) == 1 else params,
                "inverse": name in _INVERTED,
                "trainable": trainable and bool(params),
                "has_params": bool(params),
                "n_wires": len(wires),
            }
        )
    from_op_list(ops)  # refuses what could not be read back: wires that are negative or repeat
    return ops


def from_op_list(
    ops: Iterable[Mapping[str, Any]], n_qubits: int | None = None
) -> tuple[list[CircuitGate], NDArray[np.float64]]:
    """Gates and angles [A] (radians) of a body's list; every gate has angles of its own.

    Names may be torchquantum's long or short ones. What we have no name for is written in gates that we have: `u2` as a
    u3, `shadamard` as ry(pi / 4), inverses by their angles, or three times the gate where its order is 4.

    Args:
        ops: entries with name, wires, params (a number, a list, [1, k], or null) and perhaps inverse; other keys are
            not looked at.
        n_qubits: how many wires there are; None takes any.

    Raises:
        InputError: naming the entry's index: a name that is unknown, a wrong number of wires or params, a wire that
            repeats or is out of range, a param that is NaN, infinite, missing, or a batch of several.
    """
    gates: list[CircuitGate] = []
    angles: list[float] = []
    for index, op in enumerate(ops):
        name, wires = _name_and_wires(op, "name", index, n_qubits)
        _, count, write = _READ[name]
        params = _params(op.get("params"), count, f"op {index} ({name!r})")
        steps = write(params)
        if op.get("inverse", False):
            steps = [step for inner in reversed(steps) for step in _inverse(*inner)]
        for ours, values in steps:
            gates.append((ours, wires, tuple(range(len(angles), len(angles) + len(values)))))
            angles += values
    return gates, np.array(angles, dtype=np.float64)


def encoder_to_op_list(rotations: Sequence[Rotation]) -> list[Op]:
    """An encoder of (gate, qubit, column of the inputs) as the list of a GeneralEncoder."""
    ops = [{"input_idx": [int(column)], "func": gate, "wires": [int(qubit)]} for gate, qubit, column in rotations]
    encoder_from_op_list(ops)  # refuses what could not be read back
    return ops


def encoder_from_op_list(ops: Iterable[Mapping[str, Any]], n_qubits: int | None = None) -> tuple[Rotation, ...]:
    """The rotations of a GeneralEncoder's list.

    Raises InputError naming the entry's index, as `from_op_list` does, and for any gate that is no rx, ry or rz.
    """
    rotations = []
    for index, op in enumerate(ops):
        name, wires = _name_and_wires(op, "func", index, n_qubits)
        if name not in ("rx", "ry", "rz"):
            raise InputError(f"op {index}: expected rx, ry or rz in an encoder, got {name!r}")
        columns = op.get("input_idx")
        if not isinstance(columns, (list, tuple)) or len(columns) != 1 or not _is_index(columns[0]):
            raise InputError(f"op {index} ({name!r}): expected 'input_idx' with 1 column of the inputs, got {columns}")
        rotations.append((name, wires[0], int(columns[0])))
    return tuple(rotations)


def write_op_list(path: Path, ops: Sequence[Op]) -> None:
    """A list as JSON."""
    path.write_text(json.dumps(list(ops), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_op_list(path: Path) -> list[Op]:
    """The list of a JSON file, unread: hand it to `from_op_list` or `encoder_from_op_list`.

    Raises InputError for a file that is absent, no JSON, or no list of objects.
    """
    try:
        ops = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a JSON list of ops ({error})") from error
    if not isinstance(ops, list):
        raise InputError(f"{path}: expected a JSON list of ops, got {type(ops).__name__}")
    for index, op in enumerate(ops):
        if not isinstance(op, dict):
            raise InputError(f"{path}: op {index}: expected an object, got {op!r}")
    return ops


def reverse_bits(states: NDArray[Any]) -> NDArray[Any]:
    """States [..., 2^n] of one end's order in the other's: torchquantum's from ours, and ours from torchquantum's."""
    n_qubits = int(states.shape[-1]).bit_length() - 1
    if states.shape[-1] != 2**n_qubits:
        raise InputError(f"expected states [..., 2^n], got shape {states.shape}")
    lead = states.ndim - 1
    tensor = states.reshape(*states.shape[:-1], *[2] * n_qubits)
    turned = tensor.transpose(*range(lead), *reversed(range(lead, lead + n_qubits)))
    return np.ascontiguousarray(turned).reshape(states.shape)


def _name_and_wires(op: Mapping[str, Any], key: str, index: int, n_qubits: int | None) -> tuple[str, tuple[int, ...]]:
    if not isinstance(op, Mapping):
        raise InputError(f"op {index}: expected an object, got {op!r}")
    for needed in (key, "wires"):
        if needed not in op:
            raise InputError(f"op {index}: expected the key {needed!r}, got {sorted(map(str, op))}")
    name = str(op[key]).lower()  # `build_module_op_list` lowers the names of classes
    if name not in _READ:
        raise unknown_name(key, name, _READ, f"op {index}")
    wires = np.asarray(op["wires"], dtype=object).ravel().tolist()
    count = _READ[name][0]
    if len(wires) != count:
        raise InputError(f"op {index} ({name!r}): expected {count} wire{'s' * (count > 1)}, got {op['wires']}")
    for wire in wires:
        if not _is_index(wire) or (n_qubits is not None and wire >= n_qubits):
            most = "" if n_qubits is None else f" to {n_qubits - 1}"
            raise InputError(f"op {index} ({name!r}): expected wires 0{most or ' or more'}, got {wire!r}")
    if len(set(wires)) != count:
        raise InputError(f"op {index} ({name!r}): expected distinct wires, got {wires}")
    return name, tuple(int(wire) for wire in wires)


def _is_index(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 0)


def _params(given: Any, count: int, where: str) -> list[float]:
    if given is None:
        values = np.zeros(0)
    else:
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{where}: expected numbers as params, got {given!r}") from error
    if values.ndim == 2 and len(values) == 1:
        values = values[0]
    if values.ndim > 1 or values.size != count:
        raise InputError(f"{where}: expected {count} param{'s' * (count != 1)}, got {given!r}")
    if not np.isfinite(values).all():
        raise InputError(f"{where}: expected finite params, got {given!r}")
    return [float(value) for value in values.ravel()]


def _inverse(name: str, angles: _Angles) -> _Steps:
    if name in _ORDER_4:
        return [(name, angles)] * 3
    if name in _PAIRS:
        return [(_PAIRS[name], angles)]
    if name in ("u3", "cu3"):
        theta, phi, lam = angles
        return [(name, (-theta, -lam, -phi))]
    return [(name, tuple(-angle for angle in angles))]  # a rotation, or its own inverse
