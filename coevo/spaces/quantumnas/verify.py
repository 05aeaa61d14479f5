"""Reading an exported folder back: every circuit says the same as the weights, on the layout, to 1e-10."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, qasm3, qpy
from qiskit.quantum_info import Statevector

from coevo.cost_models.circuit_noise import encoded_states, expectations, noisy_observables
from coevo.errors import InputError, missing_extra
from coevo.hardware.quantum import QuantumDevice
from coevo.kernels.statevector import expectations_z, product_states, run_gates
from coevo.spaces.quantumnas.data import ENCODER, N_QUBITS
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.space import CoDesign

TOLERANCE = 1e-10
SHOWN = 3  # examples on which states are compared; all of them are compared by their noisy logits
_QPY_MAGIC, _QPY_OLDEST = b"QISKIT", 13
Array = NDArray[Any]


def verify_folder(options: Options, folder: Path) -> list[str]:
    """What is wrong with an exported folder, one sentence a fault; an empty list is good."""
    try:
        layout = json.loads((folder / "layout.json").read_text(encoding="utf-8"))
        examples = json.loads((folder / "examples.json").read_text(encoding="utf-8"))["images"]
        theta = _weights(folder / "weights.safetensors")
        design = CoDesign(tuple(layout["initial"]), tuple((int(a), int(b)) for a, b in layout["widths"]))
        inputs = np.array([example["x"] for example in examples])
        circuits = {name: _read_circuit(folder / name) for name in _CIRCUITS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"the folder cannot be read: {type(error).__name__}: {error}"]
    if theta.shape != (len(design.gates), 3):
        return [f"weights.safetensors: expected theta of shape {(len(design.gates), 3)}, got {theta.shape}"]

    states = _states(design, theta, inputs)
    wrong = []
    told = np.array([example["noise_free_logits"] for example in examples])
    if np.abs(expectations_z(states) - told).max() > TOLERANCE:
        wrong.append("examples.json: the noise-free logits are not those of weights.safetensors")
    for name in ("circuit.qpy", "circuit.qasm3"):
        wrong += _differences(name, circuits[name], theta, inputs, states, range(N_QUBITS), range(N_QUBITS))
    for name in ("isa.qpy", "isa.qasm3"):
        wrong += _differences(name, circuits[name], None, inputs, states, layout["initial"], layout["final"])
    kept = circuits["isa.qpy"].layout
    if kept is None or kept.initial_index_layout(filter_ancillas=True) != layout["initial"]:
        wrong.append("isa.qpy: its layout is not the one of layout.json")
    return wrong or _noisy_differences(options, circuits["isa.qpy"], layout, inputs, examples)


_CIRCUITS = ("circuit.qpy", "circuit.qasm3", "isa.qpy", "isa.qasm3")


def _weights(path: Path) -> Array:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error
    try:
        return np.asarray(load_file(path)["theta"])
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _read_circuit(path: Path) -> QuantumCircuit:
    try:
        if path.suffix == ".qasm3":
            return qasm3.loads(path.read_text(encoding="utf-8"))
        head = path.read_bytes()[:7]
        # Older versions of QPY keep expressions as Python text, which loading would run.
        if head[:6] != _QPY_MAGIC or head[6] < _QPY_OLDEST:
            raise ValueError(f"expected QPY of version {_QPY_OLDEST} or newer")
        with path.open("rb") as handle:
            circuit = qpy.load(handle)[0]
        assert isinstance(circuit, QuantumCircuit)
        return circuit
    except Exception as error:  # qiskit's readers raise errors of many kinds
        raise ValueError(f"{path.name}: {type(error).__name__}: {error}") from error


def _states(design: CoDesign, theta: Array, inputs: Array) -> Array:
    """What the weights say [examples, 16], gate by gate."""
    gates = [(name, qubits, tuple(row)) for (name, qubits, _), row in zip(design.gates, theta, strict=True)]
    return run_gates(gates, product_states(inputs, ENCODER, N_QUBITS))


def _differences(
    name: str, circuit: QuantumCircuit, theta: Array | None, inputs: Array, states: Array, initial: Any, final: Any
) -> list[str]:
    """Compares a circuit read back, its inputs bound, to the states; `final[i]` is logical qubit i's at the end."""
    measured = {
        circuit.find_bit(instruction.clbits[0]).index: circuit.find_bit(instruction.qubits[0]).index
        for instruction in circuit.data
        if instruction.name == "measure"
    }
    if measured != dict(enumerate(final)):
        return [f"{name}: it measures {measured}, expected {dict(enumerate(final))} (bit: qubit)"]
    first = sorted({circuit.find_bit(qubit).index for qubit in _encoded(circuit)})
    if first != sorted(initial):
        return [f"{name}: its encoder acts on qubits {first}, expected {sorted(initial)}"]
    bare, kept = _used(circuit)
    where = [kept.index(qubit) for qubit in final]
    for x, state in zip(inputs[:SHOWN], states[:SHOWN], strict=True):
        values = {f"x[{pixel}]": value for pixel, value in enumerate(x)}
        if theta is not None:
            values |= {f"theta[{index}]": value for index, value in enumerate(theta.ravel())}
        unknown = sorted(p.name for p in bare.parameters if _plain(p.name) not in values)
        if unknown:
            return [f"{name}: it has the parameters {', '.join(unknown)}, which are neither inputs nor weights"]
        bound = bare.assign_parameters({p: values[_plain(p.name)] for p in bare.parameters})
        fidelity = abs(np.vdot(_place(state, where, len(kept)), Statevector(bound).data)) ** 2
        if abs(fidelity - 1) > TOLERANCE:
            return [f"{name}: its state has fidelity {fidelity:.12f} with the one of the weights, expected 1"]
    return []


def _used(circuit: QuantumCircuit) -> tuple[QuantumCircuit, list[int]]:
    """The gates alone, on the qubits that carry any or are measured: a large device has many that do not."""
    gates = [instruction for instruction in circuit.data if instruction.name != "barrier"]
    kept = sorted({circuit.find_bit(qubit).index for instruction in gates for qubit in instruction.qubits})
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
        if any(_plain(p.name).startswith("x[") for value in instruction.operation.params for p in _parameters(value))
    ]


def _parameters(value: Any) -> Any:
    return getattr(value, "parameters", ())


def _plain(name: str) -> str:
    """OpenQASM 3 has no `x[3]` as a name: Qiskit writes `_x_3_`."""
    if name.startswith("_") and name.endswith("_"):
        vector, _, index = name[1:-1].rpartition("_")
        return f"{vector}[{index}]"
    return name


def _place(state: Array, qubits: Any, num_qubits: int) -> Array:
    """A state of the logical qubits on their physical ones; the others are |0>."""
    index = np.arange(len(state))
    target = sum(((index >> logical) & 1) << physical for logical, physical in enumerate(qubits))
    wide = np.zeros(2**num_qubits, dtype=complex)
    wide[target] = state
    return wide


def _noisy_differences(
    options: Options, isa: QuantumCircuit, layout: dict[str, Any], inputs: Array, examples: list[dict[str, Any]]
) -> list[str]:
    """Recomputes the noisy logits of every example from isa.qpy, cut at its barrier."""
    device = QuantumDevice.from_name(options.device)
    if device.fingerprint()["calibration_sha256"] != layout["device"]["calibration_sha256"]:
        return [f"the calibration of {options.device} differs from the exported one, so noise was not compared"]
    encoder, body = isa.copy_empty_like(), isa.copy_empty_like()
    part = encoder
    for instruction in isa.data:
        if instruction.name == "barrier":
            part = body
        else:
            part.append(instruction)
    values = {p: inputs[:, int(p.name.strip("x[]"))] for p in encoder.parameters}
    try:
        logits = expectations(noisy_observables(body, device), encoded_states(encoder, device, values))
    except InputError as error:
        return [f"isa.qpy: {error}"]
    told = np.array([example["noisy_logits"] for example in examples])
    difference = float(np.abs(logits - told).max())
    return [] if difference <= TOLERANCE else [f"examples.json: isa.qpy gives noisy logits {difference:.1e} away"]
