"""Reading an exported folder back: every file says the same as the weights, on the layout, to 1e-10."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from coevo.errors import InputError
from coevo.kernels.statevector import product_states, run_gates, zero_state
from coevo.spaces.quantumnas.export.compare import TOLERANCE, differences
from coevo.spaces.quantumnas.export.formats import read_circuit, read_json, read_weights
from coevo.spaces.quantumnas.export.op_lists import FILE as OP_LISTS
from coevo.spaces.quantumnas.export.op_lists import op_list_differences
from coevo.spaces.quantumnas.export.outputs import noisy_outputs, outputs_of_states
from coevo.spaces.quantumnas.export.pubs import read_pubs, readout_operators
from coevo.spaces.quantumnas.export.task_file import task_document
from coevo.spaces.quantumnas.mapping.couplings import open_device
from coevo.spaces.quantumnas.setting import Setting, Task
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState

SHOWN = 3  # examples on which states are compared; all of them are compared by their noisy outputs
Array = NDArray[Any]
_OPEN = ("circuit.qpy", "circuit.qasm3", "isa.qpy", "isa.qasm3", "estimator.qpy")
_BOUND = ("circuit.qasm2", "isa.qasm2")
_JSON = ("layout.json", "examples.json", "task.json", OP_LISTS)
_PICTURES = ("drawing.svg", "circuit.txt")


def verify_folder(setting: Setting, folder: Path) -> list[str]:
    """What is wrong with an exported folder, one sentence a fault; an empty list is good.

    Pictures are looked for alone: `SHA256SUMS`, which the caller of an export writes, tells their tampering.
    """
    task = setting.task
    try:
        layout, told, described, ops = (read_json(folder / name) for name in _JSON)
        theta = read_weights(folder / "weights.safetensors")
        layers = tuple(tuple(int(place) for place in places) for places in layout["layers"])
        initial, final = ([int(qubit) for qubit in layout[name]] for name in ("initial", "final"))
        example, digest = layout["qasm2_example"], layout["device"]["calibration_sha256"]
        used = setting.template.used_angles(layers)
        inputs = np.zeros((1, 0))
        if isinstance(task, Classification):
            inputs = np.array([row["x"] for row in told["examples"]], dtype=np.float64)
            if inputs.ndim != 2 or inputs.shape[1] != task.columns or not 0 <= example < len(inputs):
                raise ValueError(f"examples.json: expected rows of {task.columns} angles, example {example} among them")
        noise_free, noisy = (_told(task, told, which) for which in ("noise_free", "noisy"))
        circuits = {name: read_circuit(folder / name) for name in _OPEN + _BOUND}
    except (OSError, ValueError, KeyError, TypeError, InputError) as error:
        return [f"the folder cannot be read: {type(error).__name__}: {error}"]
    if theta.shape != used.shape:
        return [f"weights.safetensors: expected theta of shape {used.shape}, got {theta.shape}"]

    angles = setting.template.with_constants(np.zeros(setting.template.n_angles))
    angles[used] = theta
    states = _states(setting, layers, angles, inputs)
    wrong = [f"{name} is missing" for name in _PICTURES if not (folder / name).is_file()]
    if described != task_document(task):
        wrong.append(f"task.json: it does not describe the task {task.name}")
    if not _close(outputs_of_states(task, states), noise_free):
        wrong.append("examples.json: its noise-free values are not those of weights.safetensors")
    logical = list(range(setting.n_qubits))
    bound_to = slice(example, None if example is None else example + 1)
    for name, circuit in circuits.items():
        is_logical = name.startswith("circuit")
        first, last = (logical, logical) if is_logical else (initial, final)
        weights = theta if is_logical and name in _OPEN else None
        rows = slice(SHOWN) if name in _OPEN else bound_to
        wrong += differences(
            name, circuit, weights, inputs[rows], states[rows], first, last, measured=name != "estimator.qpy"
        )
    for name in ("isa.qpy", "estimator.qpy"):
        kept = circuits[name].layout
        if (
            kept is None
            or kept.initial_index_layout(filter_ancillas=True) != initial
            or kept.final_index_layout() != final
        ):
            wrong.append(f"{name}: its layout is not the one of layout.json")
    return (
        wrong
        or op_list_differences(setting, layers, angles, ops)
        or _pub_differences(task, folder, inputs)
        or _noisy_differences(setting, circuits["isa.qpy"], digest, inputs, noisy)
    )


def _told(task: Task, told: dict[str, Any], which: str) -> Array:
    """Logits [examples, classes] or the energy [1] that examples.json states."""
    if isinstance(task, GroundState):
        return np.array([told[f"{which}_energy"]], dtype=np.float64)
    return np.array([example[f"{which}_logits"] for example in told["examples"]], dtype=np.float64)


def _close(found: Array, expected: Array) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= TOLERANCE)


def _states(setting: Setting, layers: Any, angles: Array, inputs: Array) -> Array:
    """What the weights say [examples, 2^n], gate by gate."""
    gates = [(name, qubits, tuple(angles[list(slots)])) for name, qubits, slots in setting.template.gates_of(layers)]
    task = setting.task
    if isinstance(task, GroundState):
        return run_gates(gates, zero_state(task.n_qubits)[None])
    return run_gates(gates, product_states(inputs, task.encoder, task.n_qubits))


def _pub_differences(task: Task, folder: Path, inputs: Array) -> list[str]:
    """pubs.json against the layout, the task and the examples; its circuits are compared on their own."""
    try:
        (sampler_pub,), (estimator_pub,) = read_pubs(folder)
    except InputError as error:
        return [str(error)]
    wrong = []
    across: tuple[int, ...]
    for kind, pub, across in (("sampler", sampler_pub, ()), ("estimator", estimator_pub, (1,))):
        names = [parameter.name for parameter in pub.circuit.parameters]
        if names:
            values = pub.parameter_values.as_array(names)
            rows = inputs[:, [int(name[2:-1]) for name in names]].reshape(len(inputs), *across, -1)
            if not _close(values, rows):
                wrong.append(f"pubs.json: the parameter values of the {kind} PUB are not the inputs of examples.json")
    found = estimator_pub.observables.ravel().tolist()
    expected = [
        dict(operator.apply_layout(estimator_pub.circuit.layout).to_list()) for operator in readout_operators(task)
    ]
    if len(found) != len(expected) or not all(map(_same_terms, found, expected)):
        wrong.append("pubs.json: the estimator PUB's observables are not the task's on the layout")
    return wrong


def _same_terms(found: Mapping[str, float], expected: Mapping[str, complex]) -> bool:
    return all(abs(found.get(label, 0.0) - expected.get(label, 0.0)) <= TOLERANCE for label in {*found, *expected})


def _noisy_differences(setting: Setting, isa: QuantumCircuit, digest: str, inputs: Array, told: Array) -> list[str]:
    """Recomputes what isa.qpy gives under noise, for every example."""
    device = open_device(setting.options.device)
    if device.fingerprint()["calibration_sha256"] != digest:
        return [f"the calibration of {device.name} differs from the exported one, so noise was not compared"]
    try:
        found = noisy_outputs(setting.task, isa, device, inputs)
    except InputError as error:
        return [f"isa.qpy: {error}"]
    if _close(found, told):
        return []
    difference = float(np.abs(found - told).max())
    return [f"examples.json: isa.qpy gives noisy values {difference:.1e} away"]
