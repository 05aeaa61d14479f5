"""task.json: how rows become inputs and what the readout of an exported circuit means, for whoever reads the folder
without coevo's options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.spaces.quantumnas.export.documents import FORMAT, one_line, read_json
from coevo.spaces.quantumnas.setting import Task
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
from coevo.spaces.quantumnas.tasks.scaling import AngleScaler
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState, Held, no_data

FILE = "task.json"


def task_document(task: Task) -> dict[str, Any]:
    """The file's content: everything of a task but its data."""
    if isinstance(task, GroundState):
        document = {
            "format": FORMAT,
            "kind": "ground state",
            "name": task.name,
            "meaning": "the energy is <H> of the circuit, which starts in |0...0>; labels as SparsePauliOp's",
            "hamiltonian": task.hamiltonian.to_document(),
        }
        # Only where there is one: the X gates that prepare it are the first of every circuit of the folder.
        return document if task.start is None else document | {"start": task.start}
    return {
        "format": FORMAT,
        "kind": "classification",
        "name": task.name,
        "meaning": "the encoder is rotations [gate, qubit, column of x], in order; logits = <Z> of the qubits @ head; "
        "the class is that of the largest logit",
        "classes": list(task.classes),
        "encoder": [[gate, qubit, column] for gate, qubit, column in task.encoder],
        "head": task.head.tolist(),
        "scaler": None if task.read_scaler is None else _scaler_document(task.read_scaler()),
    }


def _scaler_document(scaler: AngleScaler) -> dict[str, Any]:
    return {
        "meaning": "raw rows [rows, columns] become x by the steps in order, times factor_rad: scaling is "
        "(rows - centre) / spread by column, 0 where the spread is 0, clipped to -1 .. 1 where clip_to_one; components "
        "is (rows - mean) @ directions",
        **scaler.to_document(),
    }


def task_of_document(told: Mapping[str, Any]) -> Task:
    """The task without its data, which it raises InputError for. InputError, KeyError, TypeError or ValueError for
    another content."""
    if told["kind"] == "ground state":
        hamiltonian = PauliSum.from_document(told["hamiltonian"], "task.json")
        return GroundState(str(told["name"]), hamiltonian, told.get("start"))
    if told["kind"] != "classification":
        raise InputError(f'task.json: the kind is {told["kind"]!r}; expected "classification" or "ground state"')
    head = np.array(told["head"], dtype=np.float64)
    encoder = tuple((str(gate), int(qubit), int(column)) for gate, qubit, column in told["encoder"])
    classes = tuple(str(name) for name in told["classes"])
    scaler = None if told.get("scaler") is None else Held(scaler_of_document(told))
    made = Classification(str(told["name"]), len(head), classes, encoder, head, no_data, no_data, scaler)
    if scaler is not None and scaler().kept != made.columns:
        raise InputError(f"the scaler makes {scaler().kept} angles a row, the encoder takes {made.columns}")
    return made


def scaler_of_document(told: Mapping[str, Any]) -> AngleScaler:
    """InputError where it says none, or something else."""
    try:
        return AngleScaler.from_document(told["scaler"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the scaler is none: {one_line(error)}") from error


def read_task(folder: Path) -> Task:
    """InputError that names the file and what is wrong in it."""
    told = read_json(folder / FILE)
    try:
        return task_of_document(told)
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{FILE} describes no task: {one_line(error)}") from error
