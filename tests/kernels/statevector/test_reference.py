"""The plain reference is Qiskit's: same matrices, same order of qubits."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.kernels.statevector import apply_gate, expectations_z, gate_matrix, run_gates, zero_state

qiskit = pytest.importorskip("qiskit")
quantum_info = pytest.importorskip("qiskit.quantum_info")


def to_qiskit(circuit, name, qubits, angles):
    if name == "u3":
        circuit.u(*angles, *qubits)
    elif name == "cu3":
        circuit.cu(*angles, 0, *qubits)
    else:
        getattr(circuit, name)(*angles, *qubits)


@pytest.mark.parametrize(("name", "angles"), [("rx", 1), ("ry", 1), ("rz", 1), ("u3", 3), ("cu3", 3)])
def test_matrices_are_qiskits(name, angles):
    values = np.random.default_rng(0).uniform(-7, 7, angles)
    circuit = qiskit.QuantumCircuit(2 if name == "cu3" else 1)
    to_qiskit(circuit, name, range(circuit.num_qubits), values)
    np.testing.assert_allclose(gate_matrix(name, values), quantum_info.Operator(circuit).data, atol=1e-14)


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 5])
def test_random_circuits_give_qiskits_statevector(n_qubits):
    rng = np.random.default_rng(n_qubits)
    circuit, gates = qiskit.QuantumCircuit(n_qubits), []
    for _ in range(25):
        name = str(rng.choice(["rx", "ry", "rz", "u3", "cu3"] if n_qubits > 1 else ["rx", "ry", "rz", "u3"]))
        qubits = tuple(int(q) for q in rng.permutation(n_qubits)[: 2 if name == "cu3" else 1])
        angles = tuple(rng.uniform(-4, 4, 1 if name in ("rx", "ry", "rz") else 3))
        gates.append((name, qubits, angles))
        to_qiskit(circuit, *gates[-1])
    wanted = quantum_info.Statevector(circuit)
    state = run_gates(gates, zero_state(n_qubits))
    np.testing.assert_allclose(state, wanted.data, atol=1e-12)
    z = [wanted.expectation_value(quantum_info.Pauli("Z"), [qubit]).real for qubit in range(n_qubits)]
    np.testing.assert_allclose(expectations_z(state), z, atol=1e-12)


def test_qubit_zero_is_the_least_significant_bit():
    flip = gate_matrix("rx", (np.pi,))
    assert np.argmax(np.abs(apply_gate(zero_state(3), flip, (0,)))) == 1
    assert np.argmax(np.abs(apply_gate(zero_state(3), flip, (2,)))) == 4
    assert expectations_z(apply_gate(zero_state(3), flip, (2,))).round(12).tolist() == [1, 1, -1]


def test_batches_of_any_shape_and_non_contiguous_states():
    rng = np.random.default_rng(1)
    states = (rng.normal(size=(8, 3, 2)) + 0j).T  # [2, 3, 8], transposed: not contiguous
    gates = [("u3", (1,), (0.3, 0.1, -2.0)), ("cu3", (2, 0), (1.0, 0.5, 0.2))]
    together = run_gates(gates, states)
    assert together.shape == (2, 3, 8)
    np.testing.assert_allclose(together[1, 2], run_gates(gates, states[1, 2].copy()), atol=1e-14)
    assert run_gates(gates, np.zeros((0, 8), complex)).shape == (0, 8)


def test_an_unknown_gate_is_named():
    with pytest.raises(InputError, match="unknown gate 'ccz'"):
        gate_matrix("ccz")
