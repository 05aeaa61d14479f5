"""The fast unitary and its gradient equal the plain reference and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.kernels.statevector import LayeredCircuit, product_states, run_gates, zero_state


def ring(n_qubits):
    return [(qubit, (qubit + 1) % n_qubits) for qubit in range(n_qubits)]


def gates_of(angles, pairs):
    for block in angles:
        yield from (("u3", (qubit,), tuple(block[0, qubit])) for qubit in range(block.shape[1]))
        yield from (("cu3", pair, tuple(block[1, place])) for place, pair in enumerate(pairs))


def reference(angles, pairs):
    """[2^n, 2^n]: column j is what the gates make of basis state j."""
    return run_gates(gates_of(angles, pairs), np.eye(2 ** angles.shape[2], dtype=complex)).T


@pytest.mark.parametrize(
    ("n_qubits", "blocks", "batch"), [(2, 1, 1), (2, 3, 2), (3, 2, 2), (4, 1, 3), (4, 8, 1), (6, 2, 1)]
)
def test_the_unitary_equals_the_reference(n_qubits, blocks, batch):
    angles = np.random.default_rng(blocks).uniform(-9, 9, (batch, blocks, 2, n_qubits, 3))
    unitary, _ = LayeredCircuit(n_qubits, ring(n_qubits)).unitary(angles)
    for member in range(batch):
        np.testing.assert_allclose(unitary[member], reference(angles[member], ring(n_qubits)), atol=1e-12)


def test_any_pairs_in_any_order():
    pairs = [(3, 0), (3, 0), (0, 2), (1, 3)]
    angles = np.random.default_rng(5).uniform(-3, 3, (1, 2, 2, 4, 3))
    np.testing.assert_allclose(LayeredCircuit(4, pairs).unitary(angles)[0][0], reference(angles[0], pairs), atol=1e-12)


def test_no_angles_are_exactly_the_identity():
    unitary, _ = LayeredCircuit(4, ring(4)).unitary(np.zeros((1, 3, 2, 4, 3)))
    assert np.array_equal(unitary[0], np.eye(16))


def test_a_block_of_zeros_changes_nothing():
    circuit = LayeredCircuit(4, ring(4))
    angles = np.random.default_rng(2).uniform(-3, 3, (1, 2, 2, 4, 3))
    padded = np.concatenate([angles, np.zeros((1, 1, 2, 4, 3))], axis=1)
    np.testing.assert_allclose(circuit.unitary(padded)[0], circuit.unitary(angles)[0], atol=1e-15)


@pytest.mark.parametrize(("n_qubits", "blocks"), [(2, 2), (3, 1), (4, 3)])
def test_the_gradient_equals_finite_differences(n_qubits, blocks):
    rng = np.random.default_rng(n_qubits)
    circuit = LayeredCircuit(n_qubits, ring(n_qubits))
    angles = rng.uniform(-4, 4, (2, blocks, 2, n_qubits, 3))
    weight = rng.normal(size=(2, 2**n_qubits, 2**n_qubits)) + 1j * rng.normal(size=(2, 2**n_qubits, 2**n_qubits))

    def loss(angles):
        return np.sum(weight.conj() * circuit.unitary(angles)[0]).real

    _, tape = circuit.unitary(angles)
    gradient = circuit.gradient(tape, weight)
    assert gradient.shape == angles.shape
    step, numeric = 1e-6, np.empty_like(angles)
    for place in np.ndindex(angles.shape):
        up, down = angles.copy(), angles.copy()
        up[place] += step
        down[place] -= step
        numeric[place] = (loss(up) - loss(down)) / (2 * step)
    np.testing.assert_allclose(gradient, numeric, atol=2e-7)


def test_the_gradient_at_zero_is_right_too():
    circuit = LayeredCircuit(4, ring(4))
    weight = np.random.default_rng(0).normal(size=(1, 16, 16)) + 0j
    zeros = np.zeros((1, 1, 2, 4, 3))
    gradient = circuit.gradient(circuit.unitary(zeros)[1], weight)
    up = zeros.copy()
    up[0, 0, 1, 2, 0] = 1e-6
    change = np.sum(weight.conj() * (circuit.unitary(up)[0] - circuit.unitary(zeros)[0])).real / 1e-6
    assert gradient[0, 0, 1, 2, 0] == pytest.approx(change, abs=1e-5)


def test_precision_and_layout_of_the_angles():
    circuit = LayeredCircuit(4, ring(4))
    angles = np.random.default_rng(3).uniform(-3, 3, (2, 3, 2, 4, 3))
    single, tape = circuit.unitary(angles.astype(np.float32))
    assert single.dtype == np.complex64 and circuit.gradient(tape, single).dtype == np.float32
    np.testing.assert_allclose(single, circuit.unitary(angles)[0], atol=2e-5)
    strided = np.asfortranarray(angles)
    assert np.array_equal(circuit.unitary(strided)[0], circuit.unitary(angles)[0])


def test_a_batch_equals_its_members():
    circuit = LayeredCircuit(4, ring(4))
    angles = np.random.default_rng(4).uniform(-3, 3, (5, 4, 2, 4, 3)).astype(np.float32)
    together, _ = circuit.unitary(angles)
    for member in range(5):
        np.testing.assert_allclose(together[member], circuit.unitary(angles[member : member + 1])[0][0], atol=1e-6)


@pytest.mark.parametrize(
    ("n_qubits", "pairs", "says"),
    [
        (1, [(0, 0)], "expected 2 to 8 qubits, got 1"),
        (9, ring(9), "expected 2 to 8 qubits, got 9"),
        (3, ring(4), "as many pairs as qubits"),
        (2, [(0, 1), (1, 1)], "distinct qubits"),
        (2, [(0, 1), (1, 2)], "distinct qubits 0 to 1"),
    ],
)
def test_a_wrong_circuit_is_refused(n_qubits, pairs, says):
    with pytest.raises(InputError, match=says):
        LayeredCircuit(n_qubits, pairs)


@pytest.mark.parametrize("shape", [(1, 0, 2, 4, 3), (1, 1, 2, 3, 3), (1, 2, 4, 3)])
def test_wrong_angles_are_refused(shape):
    with pytest.raises(InputError, match=r"expected angles \[batch, blocks, 2, 4, 3\]"):
        LayeredCircuit(4, ring(4)).unitary(np.zeros(shape))


def test_product_states_equal_the_reference():
    rng = np.random.default_rng(6)
    rotations = [("ry", 0, 0), ("rz", 1, 1), ("rx", 0, 2), ("ry", 2, 1), ("rz", 0, 0), ("rx", 2, 3)]
    inputs = rng.uniform(-4, 4, (7, 4))
    states = product_states(inputs, rotations, 3)
    for sample, state in zip(inputs, states, strict=True):
        gates = [(name, (qubit,), (sample[column],)) for name, qubit, column in rotations]
        np.testing.assert_allclose(state, run_gates(gates, zero_state(3)), atol=1e-14)
    assert product_states(inputs[:0], rotations, 3).shape == (0, 8)
    with pytest.raises(InputError, match="expected a rotation rx, ry or rz, got 'h'"):
        product_states(inputs, [("h", 0, 0)], 3)
