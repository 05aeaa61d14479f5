"""Reading an exported folder back: every file says the same as the weights, on the layout, to 1e-10."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from coevo.errors import CoevoError, InputError
from coevo.kernels.statevector import product_states, run_gates, zero_state
from coevo.search.design import Design
from coevo.search.space import Space
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.export.compare import differences
from coevo.spaces.quantumnas.export.documents import TOLERANCE, document_differences, one_line, read_json
from coevo.spaces.quantumnas.export.examples_file import FILE as EXAMPLES
from coevo.spaces.quantumnas.export.examples_file import ExamplesFile, examples_document, read_examples
from coevo.spaces.quantumnas.export.formats import read_circuit, read_weights
from coevo.spaces.quantumnas.export.layout_file import FILE as LAYOUT
from coevo.spaces.quantumnas.export.layout_file import LayoutFile, layout_document, read_layout
from coevo.spaces.quantumnas.export.op_lists import FILE as OP_LISTS
from coevo.spaces.quantumnas.export.op_lists import op_list_differences
from coevo.spaces.quantumnas.export.outputs import noisy_outputs, outputs_of_states
from coevo.spaces.quantumnas.export.pictures import picture_differences
from coevo.spaces.quantumnas.export.pubs import FILE as PUBS
from coevo.spaces.quantumnas.export.pubs import pubs_document, read_pubs
from coevo.spaces.quantumnas.export.task_file import FILE as TASK
from coevo.spaces.quantumnas.export.task_file import scaler_of_document, task_document
from coevo.spaces.quantumnas.mapping.circuits import size_of
from coevo.spaces.quantumnas.mapping.couplings import open_device
from coevo.spaces.quantumnas.setting import Setting, Task
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState

SHOWN = 3  # examples on which states are compared; all of them are compared by their noisy outputs
Array = NDArray[Any]
Read = TypeVar("Read")
_OPEN = ("circuit.qpy", "circuit.qasm3", "isa.qpy", "isa.qasm3", "estimator.qpy")
_BOUND = ("circuit.qasm2", "isa.qasm2")
_WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, eq=False)
class _Told:
    """What the files say."""

    layout: LayoutFile
    examples: ExamplesFile
    theta: Array
    circuits: dict[str, QuantumCircuit]
    documents: dict[str, Any]


def verify_folder(setting: Setting, space: Space, folder: Path) -> list[str]:
    """What is wrong with an exported folder, one sentence a fault; an empty list is good.

    Where the caller of the export has written its files already, the design and the sizes that were measured are
    compared too.
    """
    told, wrong = _read(setting, folder)
    if told is None:
        return wrong
    layout, theta, inputs = told.layout, told.theta, told.examples.inputs
    try:
        used = setting.template.used_angles(layout.layers)
    except InputError as error:
        return [f"{LAYOUT}: {error}"]
    if theta.shape != used.shape:
        return [f"{_WEIGHTS} holds {len(theta)} angles, and the circuit of {LAYOUT} has {len(used)}"]
    if len(layout.initial) != setting.n_qubits:
        return [f"{LAYOUT}: it places {len(layout.initial)} qubits, and the task has {setting.n_qubits}"]
    example = layout.example
    if (example is None) != (told.examples.examples is None) or (example or 0) >= len(inputs):
        return [f"{LAYOUT}: qasm2_example is {example}, and {EXAMPLES} has {len(inputs)}"]

    angles = setting.template.with_constants(np.zeros(setting.template.n_angles))
    angles[used] = theta
    states = _states(setting, layout.layers, angles, inputs)
    wrong += _document_differences(setting, told, states)
    wrong += op_list_differences(setting, layout.layers, angles, told.documents[OP_LISTS], inputs, states)
    faults = _circuit_differences(setting, told, states)
    wrong += faults
    if not faults:
        estimator = told.circuits["estimator.qpy"]
        wrong += _pub_differences(setting, told, estimator, folder)
        wrong += _noisy_differences(setting, told)
        placed = CoDesign(layout.initial, layout.layers)
        wrong += picture_differences(folder, setting, placed, told.circuits["circuit.qpy"])
        wrong += _measured_differences(told, folder)
    return wrong + _design_differences(space, layout, folder)


def _read(setting: Setting, folder: Path) -> tuple[_Told | None, list[str]]:
    """All files, or the sentences of those that cannot be read."""
    wrong: list[str] = []

    def take(read: Callable[[], Read]) -> Read:
        try:
            return read()
        except InputError as error:
            wrong.append(str(error))
            return None  # type: ignore[return-value]  # unused: there is something wrong

    told = _Told(
        take(lambda: read_layout(folder)),
        take(lambda: read_examples(folder, setting.task)),
        take(lambda: read_weights(folder / _WEIGHTS)),
        {name: take(lambda name=name: read_circuit(folder / name)) for name in _OPEN + _BOUND},  # type: ignore[misc]
        {name: take(lambda name=name: read_json(folder / name)) for name in (TASK, PUBS, OP_LISTS)},  # type: ignore[misc]
    )
    return (None if wrong else told), wrong


def _document_differences(setting: Setting, told: _Told, states: Array) -> list[str]:
    """Of what can be said again without any circuit."""
    layout, examples = told.layout, told.examples
    option = setting.options.device
    device = layout.device if layout.option != option else open_device(option).fingerprint()
    if device.get("calibration_sha256") != layout.device["calibration_sha256"]:
        device = layout.device  # `_noisy_differences` says so
    expected = layout_document(layout.initial, layout.final, layout.layers, device, option, layout.example)
    noise_free = outputs_of_states(setting.task, states)
    return [
        *_task_differences(setting.task, told.documents[TASK]),
        *document_differences(LAYOUT, layout.document, expected),
        *document_differences(
            EXAMPLES, examples.document, examples_document(examples.examples, noise_free, examples.noisy)
        ),
    ]


def _task_differences(task: Task, told: Any) -> list[str]:
    """task.json against the task; a scaler by its numbers, which needs the task's data."""
    if not isinstance(task, Classification) or task.read_scaler is None or not isinstance(told, dict):
        return document_differences(TASK, told, task_document(task))
    wrong = document_differences(TASK, told | {"scaler": None}, task_document(replace(task, read_scaler=None)))
    try:
        same = scaler_of_document(told).is_close(task.read_scaler())
    except InputError as error:
        return [*wrong, f"{TASK}: its scaler was not compared: {one_line(error)}"]
    return wrong if same else [*wrong, f"{TASK}: its scaler is not that of the training rows of {task.name}"]


def _states(setting: Setting, layers: Any, angles: Array, inputs: Array) -> Array:
    """What the weights say [examples, 2^n], gate by gate."""
    gates = [(name, qubits, tuple(angles[list(slots)])) for name, qubits, slots in setting.template.gates_of(layers)]
    task = setting.task
    if isinstance(task, GroundState):
        return run_gates(gates, zero_state(task.n_qubits)[None])
    return run_gates(gates, product_states(inputs, task.encoder, task.n_qubits))


def _circuit_differences(setting: Setting, told: _Told, states: Array) -> list[str]:
    layout, inputs = told.layout, told.examples.inputs
    logical = tuple(range(setting.n_qubits))
    bound_to = slice(layout.example, None if layout.example is None else layout.example + 1)
    wrong = []
    for name, circuit in told.circuits.items():
        is_logical = name.startswith("circuit")
        first, last = (logical, logical) if is_logical else (layout.initial, layout.final)
        weights = told.theta if is_logical and name in _OPEN else None
        rows = slice(SHOWN) if name in _OPEN else bound_to
        wrong += differences(
            name, circuit, weights, inputs[rows], states[rows], first, last, measured=name != "estimator.qpy"
        )
    for name in ("isa.qpy", "estimator.qpy"):
        kept = told.circuits[name].layout
        found = None if kept is None else (kept.initial_index_layout(filter_ancillas=True), kept.final_index_layout())
        if found != (list(layout.initial), list(layout.final)):
            wrong.append(f"{name}: its layout is not the one of {LAYOUT}")
    return wrong


def _pub_differences(setting: Setting, told: _Told, estimator: QuantumCircuit, folder: Path) -> list[str]:
    """pubs.json against the layout, the task and the examples; then it is read as a user reads it."""
    inputs = told.examples.inputs if isinstance(setting.task, Classification) else None
    wrong = document_differences(PUBS, told.documents[PUBS], pubs_document(estimator, setting.task, inputs))
    try:
        read_pubs(folder)
    except InputError as error:
        wrong.append(str(error))
    return wrong


def _noisy_differences(setting: Setting, told: _Told) -> list[str]:
    """Recomputes what isa.qpy gives under noise, for every example."""
    device = open_device(setting.options.device)
    if device.fingerprint()["calibration_sha256"] != told.layout.device["calibration_sha256"]:
        return [f"{LAYOUT}: the calibration of {device.name} is another one here, so noise was not compared"]
    noisy = told.examples.noisy
    try:
        found = noisy_outputs(setting.task, told.circuits["isa.qpy"], device, told.examples.inputs)
    except InputError as error:
        return [] if noisy is None else [f"isa.qpy: {error}"]
    if noisy is None:
        return [f"{EXAMPLES}: it has no noisy values, and isa.qpy gives some"]
    difference = float(np.abs(found - noisy).max())
    if difference <= TOLERANCE:
        return []
    return [f"{EXAMPLES}: isa.qpy gives noisy values {difference:.1e} away"]


def _design_differences(space: Space, layout: LayoutFile, folder: Path) -> list[str]:
    """design.json, which the caller of an export writes, against layout.json."""
    if not (folder / "design.json").is_file():
        return []
    try:
        design = space.build(Design.from_json(json.loads((folder / "design.json").read_text(encoding="utf-8"))))
    except (OSError, ValueError, CoevoError) as error:
        return [f"design.json cannot be read: {one_line(error)}"]
    if design.layers != layout.layers or design.layout not in (None, layout.initial):
        return [f"{LAYOUT}: it is not the layout of the design in design.json"]
    return []


def _measured_differences(told: _Told, folder: Path) -> list[str]:
    """measurements.json, which the caller of an export writes: what the files themselves say again."""
    if not (folder / "measurements.json").is_file():
        return []
    try:
        measured = read_json(folder / "measurements.json").get("export")
    except InputError as error:
        return [str(error)]
    two_qubit_gates, depth = size_of(told.circuits["isa.qpy"])
    known = {"two_qubit_gates": two_qubit_gates, "depth": depth, "parameters": len(told.theta)}
    if told.examples.examples is None:
        known["noise_free_energy"] = told.examples.noise_free[0]
        if told.examples.noisy is not None:
            known["noisy_energy"] = told.examples.noisy[0]
    for name, value in known.items():
        found = measured.get(name) if isinstance(measured, dict) else None
        if not isinstance(found, int | float) or not abs(found - value) <= TOLERANCE:
            return [f"measurements.json: {name} is {found!r}, and the circuit has {value:g}"]
    return []
