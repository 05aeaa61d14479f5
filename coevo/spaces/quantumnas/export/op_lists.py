"""torchquantum.json: the encoder and the body as torchquantum's op lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.kernels.statevector import product_states, run_gates, zero_state
from coevo.spaces.quantumnas.ansatz.design import Layers
from coevo.spaces.quantumnas.export.documents import FORMAT, TOLERANCE, document_differences, one_line
from coevo.spaces.quantumnas.export.torchquantum import (
    encoder_from_op_list,
    encoder_to_op_list,
    from_op_list,
    to_op_list,
)
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification

FILE = "torchquantum.json"
Array = NDArray[Any]


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


def op_list_differences(
    setting: Setting, layers: Layers, angles: NDArray[np.float64], told: Any, inputs: Array, states: Array
) -> list[str]:
    """What is wrong with the file's content: its entries are the design's, and what they are read back as gives the
    states [examples, 2^n] of inputs [examples, columns]."""
    wrong = document_differences(FILE, told, op_lists(setting, layers, angles))
    if wrong:
        return [f"{each} (by layout.json and weights.safetensors)" for each in wrong]
    try:
        encoder = encoder_from_op_list(told["encoder"], setting.n_qubits)
        gates, values = from_op_list(told["body"], setting.n_qubits)
    except InputError as error:
        return [f"{FILE}: {one_line(error)}"]
    bound = [(name, tuple(qubits), tuple(values[list(slots)].tolist())) for name, qubits, slots in gates]
    start = product_states(inputs, encoder, setting.n_qubits) if encoder else zero_state(setting.n_qubits)[None]
    fidelity = abs((run_gates(bound, start).conj() * states).sum(axis=1)) ** 2
    if not np.all(abs(fidelity - 1) <= TOLERANCE):
        return [f"{FILE}: its state has fidelity {fidelity.min():.12f} with the one of weights.safetensors, expected 1"]
    return []
