"""Encoded samples are noisy product states, and expectations contract them exactly."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter, ParameterVector

from coevo.cost_models.circuit_noise import (
    Observables,
    ProductStates,
    encoded_states,
    expectations,
    noisy_observables,
    product_state_bloch,
    reference_expectations,
)
from coevo.errors import InputError

LAYOUT = [3, 1, 0, 4]


@pytest.fixture(scope="module")
def encoder(quito):
    """The 4x4 RY-RZ-RX-RY image encoder, transpiled with unbound angles; and its parameters."""
    pixels = ParameterVector("x", 16)
    circuit = QuantumCircuit(4)
    for index, pixel in enumerate(pixels):
        getattr(circuit, ("ry", "rz", "rx", "ry")[index // 4])(pixel, index % 4)
    return transpile(circuit, target=quito.target, initial_layout=LAYOUT, optimization_level=1), list(pixels)


@pytest.fixture(scope="module")
def body(quito):
    rng = np.random.default_rng(5)
    circuit = QuantumCircuit(4)
    for qubit in range(4):
        circuit.u(*rng.uniform(-3, 3, 3), qubit)
    for qubit in range(4):
        circuit.cu(*rng.uniform(-3, 3, 3), 0, qubit, (qubit + 1) % 4)
    return transpile(circuit, target=quito.target, initial_layout=LAYOUT, optimization_level=2, seed_transpiler=1)


def test_encoder_and_body_equal_the_whole_circuit_sample_by_sample(quito, encoder, body):
    circuit, pixels = encoder
    data = np.random.default_rng(0).uniform(-np.pi, np.pi, (3, 16))
    states = encoded_states(circuit, quito, dict(zip(pixels, data.T, strict=True)))
    final = body.layout.final_index_layout()
    values = expectations(noisy_observables(body, quito, final), states)
    assert values.shape == (3, 4)
    for row, sample in zip(values, data, strict=True):
        whole = circuit.assign_parameters(dict(zip(pixels, sample, strict=True))).compose(body)
        np.testing.assert_allclose(row, reference_expectations(whole, quito, final), rtol=0, atol=1e-12)


def test_noisy_states_are_physical_and_mixed(quito, encoder):
    circuit, pixels = encoder
    data = np.random.default_rng(1).uniform(-np.pi, np.pi, (50, 16))
    states = encoded_states(circuit, quito, dict(zip(pixels, data.T, strict=True)))
    assert states.qubits == (0, 1, 3, 4)
    assert states.vectors.shape == (50, 4, 4)
    np.testing.assert_array_equal(states.vectors[..., 0], 1)
    length = np.linalg.norm(states.vectors[..., 1:], axis=-1)
    assert length.max() < 1
    assert length.min() > 0.9


def test_a_batch_equals_its_members(quito, encoder):
    circuit, pixels = encoder
    data = np.random.default_rng(2).uniform(-np.pi, np.pi, (4, 16))
    whole = encoded_states(circuit, quito, dict(zip(pixels, data.T, strict=True))).vectors
    for index in range(4):
        one = encoded_states(circuit, quito, dict(zip(pixels, data[index : index + 1].T, strict=True))).vectors
        np.testing.assert_allclose(whole[index : index + 1], one, rtol=0, atol=1e-15)


def test_the_plain_list_of_gates_gives_the_same_states(quito):
    x, y = Parameter("x"), Parameter("y")
    circuit = QuantumCircuit(5)
    circuit.rz(np.pi / 2, 2)
    circuit.sx(2)
    circuit.rz(x + np.pi, 2)
    circuit.sx(2)
    circuit.rz(2 * x - y / 3 + 0.25, 2)
    circuit.x(0)
    xs, ys = np.random.default_rng(3).normal(size=(2, 6))
    by_circuit = encoded_states(circuit, quito, {x: xs, y: ys})
    gates = [("rz", np.pi / 2), ("sx", None), ("rz", xs + np.pi), ("sx", None), ("rz", 2 * xs - ys / 3 + 0.25)]
    by_list = product_state_bloch(quito, {0: [("x", None)], 2: gates})
    assert by_circuit.qubits == by_list.qubits == (0, 2)
    np.testing.assert_allclose(by_circuit.vectors, by_list.vectors, rtol=0, atol=1e-14)


def test_an_angle_that_is_not_linear_in_its_parameters_is_evaluated_too(quito):
    x, y = Parameter("x"), Parameter("y")
    circuit = QuantumCircuit(5)
    circuit.sx(0)
    circuit.rz(x * y + x.sin(), 0)
    xs, ys = np.array([0.1, -0.7, 2.0]), np.array([1.5, 0.3, -1.0])
    wanted = product_state_bloch(quito, {0: [("sx", None), ("rz", xs * ys + np.sin(xs))]})
    np.testing.assert_allclose(encoded_states(circuit, quito, {x: xs, y: ys}).vectors, wanted.vectors, atol=1e-14)


def test_gates_with_several_angles_and_with_noise_of_their_own(device_named):
    """u3 and u2 of an older device; rx of a device with fractional gates, where the rotation itself is noisy."""
    angles = np.random.default_rng(4).uniform(-3, 3, (3, 5))
    essex, fractional = device_named("FakeEssexV2"), device_named("FakeFractionalBackend")
    cases = [
        (essex, "u3", (angles[0], 0.3, angles[2])),
        (essex, "u2", (angles[0], angles[1])),
        (essex, "u1", (angles[0],)),
        (fractional, "rx", (angles[0],)),
    ]
    for device, name, columns in cases:
        states = product_state_bloch(device, {1: [(name, columns), (name, columns)]})
        for sample in range(5):
            row = [float(np.broadcast_to(column, 5)[sample]) for column in columns]
            matrix = device.transfer_matrix(name, (1,), row)
            np.testing.assert_allclose(states.vectors[sample, 0], matrix @ matrix @ [1, 0, 0, 1], atol=1e-14)


def test_one_sample_no_sample_and_no_gate(quito):
    assert product_state_bloch(quito, {0: [("sx", None)]}).vectors.shape == (1, 1, 4)
    assert product_state_bloch(quito, {0: [("sx", None)]}, samples=3).vectors.shape == (3, 1, 4)
    np.testing.assert_array_equal(product_state_bloch(quito, {4: []}, samples=2).vectors, [[[1, 0, 0, 1]]] * 2)
    none = product_state_bloch(quito, {0: [("rz", np.empty(0))]})
    assert expectations(noisy_observables(QuantumCircuit(5), quito, [0]), none).shape == (0, 1)
    empty = encoded_states(QuantumCircuit(5), quito, {Parameter("unused"): np.zeros(7)})
    assert empty.vectors.shape == (7, 0, 4)
    assert expectations(noisy_observables(QuantumCircuit(5), quito, [1, 0]), empty).shape == (7, 2)


def random_problem(rng, num_qubits, encoded, samples=5, n_obs=3):
    coefficients = rng.normal(size=(n_obs, 4**num_qubits))
    vectors = np.concatenate([np.ones((samples, len(encoded), 1)), rng.normal(size=(samples, len(encoded), 3))], -1)
    return Observables(coefficients, tuple(range(num_qubits))), ProductStates(vectors, tuple(encoded))


@pytest.mark.parametrize(
    ("num_qubits", "encoded"),
    [(1, [0]), (1, []), (2, [1]), (3, [2, 0, 1]), (4, [0, 3]), (4, [7, 2, 9, 1, 0, 3]), (5, [0, 1, 2, 3, 4])],
)
def test_the_contraction_equals_plain_kronecker_products(num_qubits, encoded):
    observables, states = random_problem(np.random.default_rng(num_qubits), num_qubits, encoded)
    wanted = np.empty((5, 3))
    for sample in range(5):
        product = np.ones(1)
        for qubit in range(num_qubits):
            known = qubit in encoded
            product = np.kron(product, states.vectors[sample, encoded.index(qubit)] if known else [1, 0, 0, 1])
        wanted[sample] = observables.coefficients @ product
    np.testing.assert_allclose(expectations(observables, states), wanted, atol=1e-12)


def test_a_contraction_in_chunks_equals_one_in_a_piece(monkeypatch):
    from coevo.cost_models.circuit_noise import states as module

    observables, states = random_problem(np.random.default_rng(0), 4, [0, 1, 2, 3], samples=23)
    whole = expectations(observables, states)
    monkeypatch.setattr(module, "_CHUNK", 4 * 3 * 16)
    np.testing.assert_allclose(expectations(observables, states), whole, rtol=1e-13)


def test_views_that_are_not_contiguous_are_accepted(quito):
    angles = np.random.default_rng(0).normal(size=(6, 3)).T[::2, ::-1]
    assert not angles.flags["C_CONTIGUOUS"]
    strided = product_state_bloch(quito, {0: [("sx", None), ("rz", angles[1]), ("sx", None)]})
    copied = product_state_bloch(quito, {0: [("sx", None), ("rz", angles[1].copy()), ("sx", None)]})
    np.testing.assert_array_equal(strided.vectors, copied.vectors)


def test_wrong_encoders_are_refused(quito):
    x, y = Parameter("x"), Parameter("y")
    entangling, two = QuantumCircuit(5), QuantumCircuit(5)
    entangling.cx(0, 1)
    two.rz(x, 0)
    two.rz(y, 1)
    with pytest.raises(InputError, match=r"'cx' on qubits \(0, 1\); its samples are product states only"):
        encoded_states(entangling, quito, {})
    with pytest.raises(InputError, match="parameters y have no values"):
        encoded_states(two, quito, {x: np.zeros(2)})
    with pytest.raises(InputError, match=r"one length .*\(2,\), \(3,\)"):
        encoded_states(two, quito, {x: np.zeros(2), y: np.zeros(3)})
    with pytest.raises(InputError, match=r"one length .*\(2, 2\)"):
        encoded_states(two, quito, {x: np.zeros((2, 2)), y: np.zeros((2, 2))})


def test_wrong_gate_lists_are_refused(quito):
    for gates, message in (
        ({0: [("rz", np.zeros(2)), ("rz", np.zeros(3))]}, r"different numbers of samples: \[2, 3\]"),
        ({0: [("rz", np.zeros((2, 2)))]}, r"number or an array \[samples\], got shape \(2, 2\)"),
        ({0: [("ry", np.zeros(2))]}, "fake_quito has no gate 'ry'"),
        ({9: [("sx", None)]}, "gate 'sx' on qubit 9"),
        ({0: [("sx", np.zeros(2))]}, "gate 'sx' with 1 angles"),
        ({0: [("rz", None)]}, "gate 'rz' takes 1 parameters, got 0"),
    ):
        with pytest.raises(InputError, match=message):
            product_state_bloch(quito, gates)


def test_vectors_that_do_not_fit_their_qubits_are_refused():
    with pytest.raises(InputError, match=r"expected vectors \[samples, 2, 4\].*got shape \(5, 1, 4\)"):
        ProductStates(np.ones((5, 1, 4)), (0, 1))
