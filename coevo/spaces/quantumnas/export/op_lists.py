"""torchquantum.json: the encoder and the body as torchquantum's op lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.spaces.quantumnas.ansatz.design import Layers
from coevo.spaces.quantumnas.export.formats import FORMAT
from coevo.spaces.quantumnas.export.torchquantum import (
    encoder_from_op_list,
    encoder_to_op_list,
    from_op_list,
    to_op_list,
)
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification

FILE = "torchquantum.json"


def op_lists(setting: Setting, layers: Layers, angles: NDArray[np.float64]) -> dict[str, Any]:
    """The file's content, for a design with its angles [n_angles]; those that training left alone are not trainable."""
    gates = setting.template.gates_of(layers)
    body = to_op_list(gates, angles.tolist())
    for op, (_, _, slots) in zip(body, gates, strict=True):
        op["trainable"] = bool(slots) and bool(setting.template.trained[list(slots)].all())
    encoder = setting.task.encoder if isinstance(setting.task, Classification) else ()
    return {
        "format": FORMAT,
        "meaning": "body: torchquantum's op history, for QuantumModule.from_op_history; encoder: the list of a "
        "GeneralEncoder, input_idx is the column of x; wire q is qubit q, and torchquantum's states count wire 0 as "
        "the most significant bit where Qiskit counts it as the least",
        "encoder": encoder_to_op_list(encoder),
        "body": body,
    }


def op_list_differences(setting: Setting, layers: Layers, angles: NDArray[np.float64], told: Any) -> list[str]:
    """What is wrong with the file's content: its gates and angles are the design's, to the last bit."""
    try:
        encoder = encoder_from_op_list(told["encoder"], setting.n_qubits)
        gates, values = from_op_list(told["body"], setting.n_qubits)
    except (InputError, KeyError, TypeError) as error:
        return [f"{FILE}: {type(error).__name__}: {error}"]
    wrong = []
    if encoder != (setting.task.encoder if isinstance(setting.task, Classification) else ()):
        wrong.append(f"{FILE}: its encoder is not the task's")
    found = [(name, qubits, values[list(slots)].tolist()) for name, qubits, slots in gates]
    expected = [
        (name, qubits, angles[list(slots)].tolist()) for name, qubits, slots in setting.template.gates_of(layers)
    ]
    if found != expected:
        first = next(
            (n for n, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), min(len(found), len(expected))
        )
        wrong.append(f"{FILE}: op {first} of its body is not gate {first} of the design with its angles")
    return wrong
