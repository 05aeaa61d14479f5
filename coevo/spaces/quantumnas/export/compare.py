"""Comparing a circuit that was read back with the states of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from coevo.spaces.quantumnas.export.documents import TOLERANCE, one_line
from coevo.spaces.quantumnas.export.formats import plain_name

MAX_STATE_QUBITS = 24
"""Qubits that a circuit may touch for its states to be compared: 256 MiB a state."""
Array = NDArray[Any]


def differences(
    name: str,
    circuit: QuantumCircuit,
    theta: Array | None,
    inputs: Array,
    states: Array,
    initial: Sequence[int],
    final: Sequence[int],
    measured: bool = True,
) -> list[str]:
    """What is wrong with a circuit whose states for inputs [examples, columns], weights bound, ought to be
    [examples, 2^n]; logical qubit i starts on `initial[i]` and is measured on `final[i]` into bit i."""
    try:
        return _differences(name, circuit, theta, inputs, states, initial, final, measured)
    except Exception as error:  # a damaged circuit fails where Qiskit builds its gates, in many ways
        return [f"{name}: its gates cannot be followed: {one_line(error)}"]


def _differences(
    name: str,
    circuit: QuantumCircuit,
    theta: Array | None,
    inputs: Array,
    states: Array,
    initial: Sequence[int],
    final: Sequence[int],
    measured: bool,
) -> list[str]:
    if circuit.num_qubits <= max((*initial, *final)):
        return [f"{name}: it has {circuit.num_qubits} qubits, expected qubits {sorted({*initial, *final})} among them"]
    found = {
        circuit.find_bit(instruction.clbits[0]).index: circuit.find_bit(instruction.qubits[0]).index
        for instruction in circuit.data
        if instruction.name == "measure"
    }
    expected = dict(enumerate(final)) if measured else {}
    if found != expected:
        return [f"{name}: it measures {found}, expected {expected} (bit: qubit)"]
    first = sorted({circuit.find_bit(qubit).index for qubit in _encoded(circuit)})
    if not set(first) <= set(initial):
        return [f"{name}: its encoder acts on qubits {first}, expected some of {sorted(initial)}"]
    bare, kept = _used(circuit, final)
    if len(kept) > MAX_STATE_QUBITS:
        return [f"{name}: it acts on {len(kept)} qubits; states of more than {MAX_STATE_QUBITS} are not compared"]
    where = [kept.index(qubit) for qubit in final]
    of = "weights.safetensors and examples.json" if inputs.shape[1] else "weights.safetensors"
    for x, state in zip(inputs, states, strict=True):
        values = {f"x[{column}]": value for column, value in enumerate(x)}
        if theta is not None:
            values |= {f"theta[{index}]": value for index, value in enumerate(theta)}
        unknown = sorted(p.name for p in bare.parameters if plain_name(p.name) not in values)
        if unknown:
            return [f"{name}: it has the parameters {', '.join(unknown)}, which are neither inputs nor weights"]
        bound = bare.assign_parameters({p: values[plain_name(p.name)] for p in bare.parameters})
        fidelity = abs(np.vdot(_place(state, where, len(kept)), Statevector(bound).data)) ** 2
        if abs(fidelity - 1) > TOLERANCE:
            return [f"{name}: its state has fidelity {fidelity:.12f} with the one of {of}, expected 1"]
    return []


def _used(circuit: QuantumCircuit, final: Sequence[int]) -> tuple[QuantumCircuit, list[int]]:
    """The gates alone, on the qubits that carry any or are read out: a large device has many that do not."""
    gates = [instruction for instruction in circuit.data if instruction.name != "barrier"]
    kept = sorted({circuit.find_bit(qubit).index for instruction in gates for qubit in instruction.qubits} | {*final})
    bare = QuantumCircuit(len(kept))
    for instruction in gates:
        if instruction.name != "measure":
            bare.append(instruction.operation, [kept.index(circuit.find_bit(q).index) for q in instruction.qubits])
    return bare, kept


def _encoded(circuit: QuantumCircuit) -> list[Any]:
    """The qubits that meet an input's angle."""
    return [
        instruction.qubits[0]
        for instruction in circuit.data
        if any(
            plain_name(parameter.name).startswith("x[")
            for value in instruction.operation.params
            for parameter in getattr(value, "parameters", ())
        )
    ]


def _place(state: Array, qubits: Sequence[int], num_qubits: int) -> Array:
    """A state of the logical qubits on their physical ones; the others are |0>."""
    index = np.arange(len(state))
    target = sum(((index >> logical) & 1) << physical for logical, physical in enumerate(qubits))
    wide = np.zeros(2**num_qubits, dtype=complex)
    wide[target] = state
    return wide
