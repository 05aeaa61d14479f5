"""Ready PUBs (primitive unified blocs) for the V2 primitives of Qiskit, Aer and IBM's runtime: `pubs.json` and QPY.

The sampler's circuit is isa.qpy, the estimator's is the same without its measurement, estimator.qpy. Observables lie
on the physical qubits where routing leaves the logical ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from qiskit import QuantumCircuit
    from qiskit.primitives.containers.estimator_pub import EstimatorPub
    from qiskit.primitives.containers.sampler_pub import SamplerPub
    from qiskit.quantum_info import SparsePauliOp
except ImportError as error:
    from coevo.errors import missing_extra

    raise missing_extra("qiskit", "quantum") from error

from coevo.errors import InputError
from coevo.spaces.quantumnas.export.documents import FORMAT, one_line, read_json, write_json
from coevo.spaces.quantumnas.export.formats import read_circuit, write_circuit
from coevo.spaces.quantumnas.setting import Task
from coevo.spaces.quantumnas.tasks.task import Classification

SAMPLER_CIRCUIT, ESTIMATOR_CIRCUIT, FILE = "isa.qpy", "estimator.qpy", "pubs.json"
SHOTS = 4096
PRECISION = 1 / 64  # the standard error of a Pauli string's mean over so many shots
_MEANING = (
    "values[e][p] is what parameters[p] is bound to for examples[e] of examples.json. An observable is a list of "
    "[Pauli letters, physical qubits, coefficient]. A classifier's are Z of logical qubits 0, 1, ...: expectations "
    "[examples, qubits] @ head of task.json are logits. A ground state's is the Hamiltonian alone"
)


def readout_operators(task: Task) -> list[SparsePauliOp]:
    """On logical qubits: Z of each for a classifier, or the Hamiltonian."""
    if isinstance(task, Classification):
        n_qubits = task.n_qubits
        return [SparsePauliOp.from_sparse_list([("Z", [qubit], 1.0)], n_qubits) for qubit in range(n_qubits)]
    return [task.hamiltonian.to_sparse_pauli_op()]


def write_pubs(folder: Path, estimator: QuantumCircuit, task: Task, inputs: NDArray[np.floating[Any]] | None) -> None:
    """estimator.qpy and pubs.json. `estimator` is the mapped circuit without measurement, with its Qiskit layout;
    `inputs` are the examples' [examples, columns], None for a ground state."""
    write_circuit(folder / ESTIMATOR_CIRCUIT, estimator)
    write_json(folder / FILE, pubs_document(estimator, task, inputs))


def pubs_document(estimator: QuantumCircuit, task: Task, inputs: NDArray[np.floating[Any]] | None) -> dict[str, Any]:
    """The content of pubs.json."""
    names = [parameter.name for parameter in estimator.parameters]
    columns = [int(name[2:-1]) for name in names]
    observables = [operator.apply_layout(estimator.layout) for operator in readout_operators(task)]
    return {
        "format": FORMAT,
        "meaning": _MEANING,
        "parameters": names,
        "values": [] if inputs is None else inputs[:, columns].tolist(),
        "sampler": {"circuit": SAMPLER_CIRCUIT, "shots": SHOTS},
        "estimator": {
            "circuit": ESTIMATOR_CIRCUIT,
            "precision": PRECISION,
            "observables": [_terms(operator) for operator in observables],
        },
    }


def read_pubs(
    folder: Path | str, *, shots: int | None = None, precision: float | None = None
) -> tuple[list[SamplerPub], list[EstimatorPub]]:
    """(sampler PUBs, estimator PUBs) of an exported folder, one each, for `SamplerV2.run` and `EstimatorV2.run`.

    Expectations have the shape [examples, qubits] of a classifier, [] of a ground state; samples are in the register
    `c`, bit i for logical qubit i, of shape [examples] or []. `shots` and `precision` (a standard error) stand for the
    file's 4096 and 1/64; a precision of 0 asks a simulator for exact values. InputError where a file is no such thing.
    """
    folder = Path(folder)
    try:
        told = read_json(folder / FILE)
        sampler, estimator = read_circuit(folder / SAMPLER_CIRCUIT), read_circuit(folder / ESTIMATOR_CIRCUIT)
        values = np.array(told["values"], dtype=np.float64)
        names = tuple(told["parameters"])
        operators = [
            SparsePauliOp.from_sparse_list([(p, q, c) for p, q, c in terms], estimator.num_qubits)
            for terms in told["estimator"]["observables"]
        ]
        shots = told["sampler"]["shots"] if shots is None else shots
        precision = told["estimator"]["precision"] if precision is None else precision
        bound = {names: values} if names else None
        each = {names: values[:, None]} if names else None  # examples down, observables across
        # A classifier's Zs are a row; the one operator of a ground state stands alone.
        observables: Any = operators if names else operators[0]
        return (
            [SamplerPub.coerce((sampler, bound, shots))],
            [EstimatorPub.coerce((estimator, observables, each, precision))],
        )
    except Exception as error:  # qiskit's containers raise errors of many kinds
        raise InputError(f"{folder / FILE} holds no PUBs: {one_line(error)}") from error


def _terms(operator: SparsePauliOp) -> list[list[Any]]:
    return [[letters, list(qubits), float(c.real)] for letters, qubits, c in operator.to_sparse_list()]
