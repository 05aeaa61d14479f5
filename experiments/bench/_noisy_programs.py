"""The third workload of `noisy_expectations.py`: whole programs, encoder included, against Aer's density matrices.

On every backend a circuit of up to four qubits with data at its beginning is transpiled in four ways: encoder and body
each by itself, as one circuit (the transpiler fuses them across the border), and as one circuit scheduled with delays,
as late and as soon as possible. Readouts, Pauli sums and probabilities of bit strings come from both fast engines.

Aer gets each error channel as one superoperator, and each delay as the relaxation of its duration; nothing is dropped.
The changes of basis are what Qiskit's transpiler makes of H and S-dagger H, with the noise model's errors, applied to
the density matrix by Qiskit; readout error acts on its probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Instruction, ParameterVector
from qiskit.quantum_info import DensityMatrix, Operator, SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import thermal_relaxation_error

from coevo.cost_models.circuit_noise import (
    Program,
    noisy_expectations,
    noisy_pauli_sums,
    outcome_probabilities,
    read_program,
)
from coevo.hardware.quantum import QuantumDevice

VARIANTS = ("apart", "fused", "alap", "asap")
ENGINES = ("compiled", "torch")
QUANTITIES = ("readouts", "pauli_sums", "probabilities")
STRINGS = 6
SAMPLES = 2


def agreement(device: QuantumDevice, seed: int) -> dict[str, Any]:
    """{variant: {quantity: largest difference over engines, delays: how many}} on one backend."""
    rng = np.random.default_rng(seed)
    size = min(4, device.num_qubits)
    cache: dict[Any, Any] = {}
    found: dict[str, Any] = {}
    for variant in VARIANTS:
        whole, program = _circuit(device, size, variant, rng)
        data = rng.uniform(-np.pi, np.pi, (SAMPLES, 2 * size))
        labels = ["".join(rng.choice(list("IXYZ"), size)) for _ in range(STRINGS)]
        coefficients = rng.normal(size=(2, STRINGS))
        wanted = _aer(device, whole, program.read, data, labels, cache)
        wanted["pauli_sums"] = wanted.pop("strings") @ coefficients.T
        row: dict[str, Any] = {"delays": sum(item.name == "delay" for item in whole.data)}
        for quantity in QUANTITIES:
            row[quantity] = 0.0
        for engine in ENGINES:
            ours = {
                "readouts": noisy_expectations([program], data, engine=engine)[0],
                "pauli_sums": noisy_pauli_sums([program], labels, coefficients, data, engine=engine)[0],
                "probabilities": outcome_probabilities([program], data, engine=engine)[0],
            }
            for quantity in QUANTITIES:
                row[quantity] = max(row[quantity], float(np.abs(ours[quantity] - wanted[quantity]).max()))
        found[variant] = row
    return found


def _circuit(
    device: QuantumDevice, size: int, variant: str, rng: np.random.Generator
) -> tuple[QuantumCircuit, Program]:
    """The transpiled circuit with unbound data, and its program, made of one circuit or of two."""
    x = ParameterVector("x", 2 * size)
    encoder, body = QuantumCircuit(size), QuantumCircuit(size)
    for qubit in range(size):
        encoder.ry(x[qubit], qubit)
        encoder.rz(x[size + qubit], qubit)
    for _ in range(2):
        for qubit in range(size):
            body.u(*rng.uniform(-np.pi, np.pi, 3), qubit)
        for qubit in range(size - 1):
            body.cx(qubit, qubit + 1)
    neighbours: dict[int, set[int]] = {qubit: set() for qubit in range(device.num_qubits)}
    for a, b in device.edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    layout = [int(rng.integers(device.num_qubits))]
    while len(layout) < size:
        around = sorted(set().union(*(neighbours[qubit] for qubit in layout)) - set(layout))
        layout.append(around[int(rng.integers(len(around)))])
    options: dict[str, Any] = {"target": device.target, "initial_layout": layout, "seed_transpiler": 0}
    if variant == "apart":
        front = transpile(encoder, optimization_level=1, **options)
        back = transpile(body, optimization_level=2, **options)
        final = back.layout.final_index_layout()
        return front.compose(back), read_program(back, device, final, encoder=front, inputs=x)
    if variant != "fused":
        options["scheduling_method"] = variant
    whole = transpile(encoder.compose(body), optimization_level=2, **options)
    return whole, read_program(whole, device, whole.layout.final_index_layout(), inputs=x)


def _aer(
    device: QuantumDevice,
    circuit: QuantumCircuit,
    read: Sequence[int],
    data: np.ndarray,
    labels: Sequence[str],
    cache: dict[Any, Any],
) -> dict[str, np.ndarray]:
    """Readouts, strings and probabilities, [samples, ...] each."""
    prepared = []
    for row in data:
        names = {f"x[{index}]": value for index, value in enumerate(row)}
        noisy = _explicit(circuit.assign_parameters({p: names[p.name] for p in circuit.parameters}), device, cache)
        noisy.save_density_matrix(qubits=list(read))
        prepared.append(noisy)
    result = AerSimulator(method="density_matrix", max_parallel_threads=1).run(prepared).result()
    if not result.success:
        raise RuntimeError(f"Aer failed on {device.name}: {result.status}")
    rows: dict[str, list[Any]] = {"readouts": [], "strings": [], "probabilities": []}
    for index in range(len(data)):
        state = DensityMatrix(result.data(index)["density_matrix"])
        chances = _measured(device, state, read)
        rows["probabilities"].append(chances)
        signs = 1 - 2 * (np.arange(len(chances)) >> np.arange(len(read))[:, None] & 1)
        rows["readouts"].append(signs @ chances)
        values = []
        for label in labels:
            turned, sign = state, np.ones(len(chances))
            for place, letter in enumerate(reversed(label)):
                if letter in "XY":
                    turned = turned.evolve(_change(device, read[place], letter, cache), [place])
                sign = sign if letter == "I" else sign * signs[place]
            values.append(sign @ _measured(device, turned, read))
        rows["strings"].append(values)
    return {key: np.array(value) for key, value in rows.items()}


def _explicit(circuit: QuantumCircuit, device: QuantumDevice, cache: dict[Any, Any]) -> QuantumCircuit:
    noisy = QuantumCircuit(circuit.num_qubits)
    active = {circuit.find_bit(bit).index for item in circuit.data if item.name != "delay" for bit in item.qubits}
    for item in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        if item.name == "barrier" or not active.issuperset(qubits):
            continue  # a qubit that only waits touches nothing
        if item.name == "delay":
            times = device.target.qubit_properties[qubits[0]]
            seconds = item.operation.duration * (device.target.dt if item.operation.unit == "dt" else 1.0)
            error = thermal_relaxation_error(times.t1, min(times.t2, 2 * times.t1), seconds).to_quantumchannel().data
        else:
            noisy.append(item.operation, qubits)
            if (item.name, qubits) not in cache:
                known = device.noise_model._local_quantum_errors.get(item.name, {}).get(qubits)
                cache[item.name, qubits] = None if known is None else known.to_quantumchannel().data
            error = cache[item.name, qubits]
        if error is not None:
            noisy.append(Instruction("superop", len(qubits), 0, [error]), qubits)
    return noisy


def _change(device: QuantumDevice, qubit: int, letter: str, cache: dict[Any, Any]) -> SuperOp:
    """The noisy change of basis before a measurement of X or Y on one qubit."""
    if (qubit, letter) not in cache:
        change = QuantumCircuit(1)
        if letter == "Y":
            change.sdg(0)
        change.h(0)
        compiled = transpile(change, target=device.target, initial_layout=[qubit], optimization_level=1)
        channel = SuperOp(np.eye(4))
        for item in compiled.data:
            channel = channel.compose(SuperOp(Operator(item.operation)))
            error = device.noise_model._local_quantum_errors.get(item.name, {}).get((qubit,))
            if error is not None:
                channel = channel.compose(SuperOp(error))
        cache[qubit, letter] = channel
    return cache[qubit, letter]


def _measured(device: QuantumDevice, state: DensityMatrix, read: Sequence[int]) -> np.ndarray:
    chances = state.probabilities().reshape([2] * len(read))
    for place, qubit in enumerate(read):
        axis = len(read) - 1 - place
        chances = np.moveaxis(np.tensordot(device.readout_matrix(qubit), chances, axes=(1, axis)), 0, axis)
    return chances.ravel()
