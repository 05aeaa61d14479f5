"""Reading an exported folder back: every circuit says the same as the weights, on the layout, to 1e-10."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, qasm3, qpy
from qiskit.quantum_info import Statevector

from coevo.cost_models.circuit_noise import noisy_expectations, noisy_pauli_sums, read_program
from coevo.errors import InputError, missing_extra
from coevo.kernels.statevector import expectations_z, product_states, run_gates, zero_state
from coevo.spaces.quantumnas.mapping.couplings import open_device
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState

TOLERANCE = 1e-10
SHOWN = 3  # examples on which states are compared; all of them are compared by their noisy logits
_QPY_MAGIC, _QPY_OLDEST = b"QISKIT", 13
Array = NDArray[Any]


def verify_folder(setting: Setting, folder: Path) -> list[str]:
    """What is wrong with an exported folder, one sentence a fault; an empty list is good."""
    task, n_qubits = setting.task, setting.n_qubits
    try:
        layout = json.loads((folder / "layout.json").read_text(encoding="utf-8"))
        told = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
        theta = _weights(folder / "weights.safetensors")
        layers = tuple(tuple(int(place) for place in places) for places in layout["layers"])
        used = setting.template.used_angles(layers)
        inputs = np.zeros((1, 0))
        if isinstance(task, Classification):
            inputs = np.array([example["x"] for example in told["examples"]])
        circuits = {name: _read_circuit(folder / name) for name in _CIRCUITS}
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        return [f"the folder cannot be read: {type(error).__name__}: {error}"]
    if theta.shape != used.shape:
        return [f"weights.safetensors: expected theta of shape {used.shape}, got {theta.shape}"]

    angles = setting.template.with_constants(np.zeros(setting.template.n_angles))
    angles[used] = theta
    states = _states(setting, layers, angles, inputs)
    wrong = []
    if np.abs(_noise_free(setting, states) - _told(setting, told, "noise_free")).max() > TOLERANCE:
        wrong.append("examples.json: its noise-free values are not those of weights.safetensors")
    qubits = range(n_qubits)
    for name in ("circuit.qpy", "circuit.qasm3"):
        wrong += _differences(name, circuits[name], theta, inputs, states, qubits, qubits)
    for name in ("isa.qpy", "isa.qasm3"):
        wrong += _differences(name, circuits[name], None, inputs, states, layout["initial"], layout["final"])
    kept = circuits["isa.qpy"].layout
    if kept is None or kept.initial_index_layout(filter_ancillas=True) != layout["initial"]:
        wrong.append("isa.qpy: its layout is not the one of layout.json")
    return wrong or _noisy_differences(setting, circuits["isa.qpy"], layout, inputs, told)


def _told(setting: Setting, told: dict[str, Any], which: str) -> Array:
    """Logits [examples, classes] or the energy [1] that examples.json states."""
    if isinstance(setting.task, GroundState):
        return np.array([told[f"{which}_energy"]])
    return np.array([example[f"{which}_logits"] for example in told["examples"]])


def _noise_free(setting: Setting, states: Array) -> Array:
    """The same from states [examples, 2^n]."""
    task = setting.task
    if isinstance(task, GroundState):
        matrix = task.hamiltonian.matrix()
        energies: Array = np.array([np.vdot(state, matrix @ state).real for state in states])
        return energies
    logits: Array = expectations_z(states) @ task.head
    return logits


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


def _states(setting: Setting, layers: Any, angles: Array, inputs: Array) -> Array:
    """What the weights say [examples, 2^n], gate by gate."""
    gates = [(name, qubits, tuple(angles[list(slots)])) for name, qubits, slots in setting.template.gates_of(layers)]
    task = setting.task
    if isinstance(task, GroundState):
        return run_gates(gates, zero_state(task.n_qubits)[None])
    return run_gates(gates, product_states(inputs, task.encoder, task.n_qubits))


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
    if inputs.shape[1] and not set(first) <= set(initial):
        return [f"{name}: its encoder acts on qubits {first}, expected some of {sorted(initial)}"]
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
    setting: Setting, isa: QuantumCircuit, layout: dict[str, Any], inputs: Array, told: dict[str, Any]
) -> list[str]:
    """Recomputes what isa.qpy gives under noise, for every example."""
    device = open_device(setting.options.device)
    if device.fingerprint()["calibration_sha256"] != layout["device"]["calibration_sha256"]:
        return [f"the calibration of {device.name} differs from the exported one, so noise was not compared"]
    parameters = sorted(isa.parameters, key=lambda parameter: int(parameter.name.strip("x[]")))
    columns = [int(parameter.name.strip("x[]")) for parameter in parameters]
    task = setting.task
    try:
        program = read_program(isa, device, inputs=parameters)
        if isinstance(task, GroundState):
            sums = task.hamiltonian
            found = noisy_pauli_sums([program], sums.labels, sums.coefficients[None])[0, :, 0]
        else:
            found = noisy_expectations([program], inputs[:, columns])[0] @ task.head
    except InputError as error:
        return [f"isa.qpy: {error}"]
    difference = float(np.abs(found - _told(setting, told, "noisy")).max())
    return [] if difference <= TOLERANCE else [f"examples.json: isa.qpy gives noisy values {difference:.1e} away"]
