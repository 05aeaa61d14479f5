"""Aer's ways to the expectation values of one circuit over a data set, each as fast as we know to make it.

Every way gives [samples, readouts], readout error included, for the same transpiled circuit and noise model, on one
thread; `ways` names them. What can be prepared once a circuit (saving instructions, the simulator) is prepared outside
the timed call, which `quantum.py` makes. Where a circuit leaves qubits of the device idle, qiskit-aer 0.18.2 drops them
and then takes save_expectation_value of the wrong qubits; so that way keeps them. A list of bound circuits is left
out: it was the slowest by far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

Run = Callable[[np.ndarray], np.ndarray]


def ways(
    device: Any, encoder: QuantumCircuit, body: QuantumCircuit, read: list[int], inputs: list[Any], precision: str
) -> dict[str, Run]:
    """name -> a function of inputs [samples, P]."""
    options: dict[str, Any] = {"max_parallel_threads": 1, "precision": precision}
    noisy = AerSimulator(method="density_matrix", noise_model=device.noise_model, **options)
    whole = encoder.compose(body)
    matrices = [device.readout_matrix(qubit) for qubit in read]

    def measured(z: np.ndarray) -> np.ndarray:
        """Readout error on exact <Z> [samples, readouts]."""
        zero = (1 + z) / 2
        columns = []
        for column, matrix in enumerate(matrices):
            p = matrix @ np.stack([zero[:, column], 1 - zero[:, column]])
            columns.append(p[0] - p[1])
        return np.stack(columns, axis=1)

    def binds(data: np.ndarray) -> list[dict[Any, list[float]]]:
        return [{parameter: list(data[:, index]) for index, parameter in enumerate(inputs)}]

    def run(simulator: AerSimulator, circuits: Any, **more: Any) -> Any:
        result = simulator.run(circuits, **more).result()
        if not result.success:
            raise RuntimeError(f"Aer failed: {result.status}")
        return result

    touched = {whole.find_bit(qubit).index for item in whole.data for qubit in item.qubits}
    keeping = noisy
    if len(touched) < whole.num_qubits:
        keeping = AerSimulator(
            method="density_matrix", noise_model=device.noise_model, enable_truncation=False, **options
        )
    expecting = whole.copy()
    for column in range(len(read)):
        expecting.save_expectation_value(SparsePauliOp("Z"), [read[column]], label=f"z{column}")

    def from_values(result: Any, samples: int) -> np.ndarray:
        rows = [[result.data(s)[f"z{column}"] for column in range(len(read))] for s in range(samples)]
        return measured(np.array(rows))

    saving = whole.copy()
    saving.save_density_matrix(qubits=read)
    chances = whole.copy()
    chances.save_probabilities(qubits=read)

    def marginals(rows: np.ndarray) -> np.ndarray:
        """Probabilities [samples, 2^n] -> measured <Z>."""
        states = np.arange(rows.shape[1])
        return measured(np.stack([rows @ (1.0 - 2.0 * (states >> k & 1)) for k in range(len(read))], axis=1))

    def density(data: np.ndarray) -> np.ndarray:
        result = run(noisy, [saving], parameter_binds=binds(data))
        return marginals(np.array([np.diag(result.data(s)["density_matrix"].data).real for s in range(len(data))]))

    def probabilities(data: np.ndarray) -> np.ndarray:
        result = run(noisy, [chances], parameter_binds=binds(data))
        return marginals(np.array([result.data(s)["probabilities"] for s in range(len(data))]))

    # The body once as a superoperator on the qubits in use, met with every encoder's density matrix in NumPy.
    used = sorted({body.find_bit(q).index for item in body.data for q in item.qubits} | set(read))
    place = {qubit: index for index, qubit in enumerate(used)}
    superoperators = AerSimulator(method="superop", noise_model=device.noise_model, **options)
    saved_body = body.copy()
    saved_body.save_superop()
    front = encoder.copy()
    front.save_density_matrix(qubits=used)

    def superoperator(data: np.ndarray) -> np.ndarray:
        matrix = np.asarray(run(superoperators, [saved_body]).data(0)["superop"])
        result = run(noisy, [front], parameter_binds=binds(data))
        states = np.array([result.data(s)["density_matrix"].data for s in range(len(data))])
        n = body.num_qubits
        dim = 2 ** len(used)
        if len(used) < n:  # the qubits that are not in use stay |0>
            grown = np.zeros((len(data), 2**n, 2**n), complex)
            spread = [sum((index >> k & 1) << qubit for k, qubit in enumerate(used)) for index in range(dim)]
            grown[:, np.ix_(spread, spread)[0], np.ix_(spread, spread)[1]] = states
            states = grown
            order = {qubit: qubit for qubit in read}
        else:
            order = place
        after = states.transpose(0, 2, 1).reshape(len(data), -1) @ matrix.T  # column-stacked
        diagonal = np.array([np.diag(row.reshape(2**n, 2**n, order="F")).real for row in after])
        index = np.arange(2**n)
        return measured(np.stack([diagonal @ (1.0 - 2.0 * (index >> order[q] & 1)) for q in read], axis=1))

    return {
        "parameter_binds + save_expectation_value": lambda data: from_values(
            run(keeping, [expecting], parameter_binds=binds(data)), len(data)
        ),
        "parameter_binds + save_density_matrix": density,
        "parameter_binds + save_probabilities": probabilities,
        "superoperator of the body + density matrices": superoperator,
    }
