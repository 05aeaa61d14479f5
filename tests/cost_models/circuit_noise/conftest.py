"""Devices, random transpiled circuits, and the two independent answers: Aer's simulator and Qiskit's matrices."""

from __future__ import annotations

import functools

import numpy as np
import pytest

pytest.importorskip("qiskit_ibm_runtime")
pytest.importorskip("qiskit_aer")


@functools.cache
def _device(name):
    from coevo.hardware.quantum import QuantumDevice

    return QuantumDevice.from_name(name)


@pytest.fixture(scope="session")
def device_named():
    """name -> QuantumDevice, built once a session: a noise model takes 0.3 to 1.5 s."""
    return _device


@pytest.fixture(scope="session")
def quito():
    return _device("FakeQuitoV2")


@pytest.fixture(scope="session")
def random_circuit():
    """(device, qubits, gates, rng) -> a circuit of that many random native gates within a connected set of qubits,
    and the set."""
    from qiskit import QuantumCircuit

    def build(device, num_active, num_gates, rng, two_qubit_share=0.4):
        neighbours = {q: set() for q in range(device.num_qubits)}
        for a, b in device.edges:
            neighbours[a].add(b)
            neighbours[b].add(a)
        active = [int(rng.integers(device.num_qubits))]
        while len(active) < num_active:
            around = sorted(set().union(*(neighbours[q] for q in active)) - set(active))
            active.append(around[int(rng.integers(len(around)))])
        places = [(name, qubits) for name in device.basis for qubits in device.target[name] if {*qubits} <= {*active}]
        by_size = [[place for place in places if len(place[1]) == size] for size in (1, 2)]
        circuit = QuantumCircuit(device.num_qubits)
        for _ in range(num_gates):
            options = by_size[int(num_active > 1 and rng.random() < two_qubit_share)]
            name, qubits = options[int(rng.integers(len(options)))]
            gate = device.target.operation_from_name(name)
            if gate.params:
                gate = gate.base_class(*rng.uniform(-np.pi, np.pi, len(gate.params)))
            circuit.append(gate, qubits)
        return circuit, active

    return build


@pytest.fixture(scope="session")
def aer_states():
    """(device, circuits, lists of qubits) -> Aer's density matrices of those qubits.

    Aer's C++ side drops every term of an error whose probability is 1e-10 or less, and does not renormalise. With
    `whole_channels` each error goes in as one superoperator instead of the noise model's terms, so nothing is lost.
    """
    from qiskit import QuantumCircuit
    from qiskit.circuit import Instruction
    from qiskit_aer import AerSimulator

    channels = {}

    def explicit(circuit, device):
        noisy = QuantumCircuit(circuit.num_qubits)
        for item in circuit.data:
            qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
            noisy.append(item.operation, qubits)
            error = device.noise_model._local_quantum_errors.get(item.name, {}).get(qubits)
            if error is not None:
                key = (device.name, item.name, qubits)
                if key not in channels:
                    channels[key] = error.to_quantumchannel().data
                noisy.append(Instruction("superop", len(qubits), 0, [channels[key]]), qubits)
        return noisy

    def run(device, circuits, readouts, whole_channels=False):
        simulator = AerSimulator(
            method="density_matrix",
            noise_model=None if whole_channels else device.noise_model,
            max_parallel_threads=1,
        )
        prepared = []
        for circuit, qubits in zip(circuits, readouts, strict=True):
            copy = explicit(circuit, device) if whole_channels else circuit.copy()
            copy.save_density_matrix(qubits=list(qubits))
            prepared.append(copy)
        results = simulator.run(prepared).result()
        assert results.success, results.status
        return [results.data(index)["density_matrix"] for index in range(len(prepared))]

    return run


@pytest.fixture(scope="session")
def aer_expectations(aer_states):
    """(device, circuits, lists of qubits) -> measured <Z> from Aer's density matrices, and the trace they lost."""

    def run(device, circuits, readouts, whole_channels=False):
        values, lost = [], []
        for qubits, state in zip(
            readouts, aer_states(device, circuits, readouts, whole_channels=whole_channels), strict=True
        ):
            lost.append(1 - np.trace(state.data).real)
            measured = [device.readout_matrix(q) @ state.probabilities([i]) for i, q in enumerate(qubits)]
            values.append(np.array([zero - one for zero, one in measured]))
        return values, lost

    return run


@pytest.fixture(scope="session")
def outcomes():
    """(device, density matrix, its qubits) -> probabilities [2^n] of the measured bit strings, readout error included;
    bit t of an outcome is that of qubits[t]."""

    def run(device, state, qubits):
        chances = state.probabilities().reshape([2] * len(qubits))
        for place, qubit in enumerate(qubits):
            axis = len(qubits) - 1 - place
            chances = np.moveaxis(np.tensordot(device.readout_matrix(qubit), chances, axes=(1, axis)), 0, axis)
        return chances.ravel()

    return run


@pytest.fixture(scope="session")
def exact():
    """(circuit, device, qubits) -> measured <Z> [n_obs] of a whole circuit on |0...0> by the fast path."""
    from coevo.cost_models.circuit_noise import ProductStates, expectations, noisy_observables

    ground = ProductStates(np.empty((1, 0, 4)), ())
    return lambda circuit, device, qubits: expectations(noisy_observables(circuit, device, qubits), ground)[0]
