"""Losses and energies of many candidates: equal to NumPy's composition and to finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.kernels.statevector import Circuit, Energy, Readout, z_signs
from coevo.kernels.statevector.circuit import _GATES, GATES
from coevo.kernels.statevector.objective_reference import (
    apply_pauli,
    energy_and_gradient,
    logits_of,
    loss_and_gradient,
)

pytest.importorskip("numba")

from coevo.kernels.statevector.readout_kernels import unitary_is_cheaper


def every_gate(n_qubits, rng, extra=12):
    gates, slot = [], 0
    names = [name for name in GATES if _GATES[name][1] <= n_qubits]
    for name in [*names, *rng.choice(names, extra)]:
        _, qubits, angles = _GATES[name]
        gates.append((str(name), tuple(int(q) for q in rng.permutation(n_qubits)[:qubits]), range(slot, slot + angles)))
        slot += angles
    return gates


def unit_states(samples, n_qubits, rng):
    states = rng.normal(size=(samples, 2**n_qubits)) + 1j * rng.normal(size=(samples, 2**n_qubits))
    return states / np.linalg.norm(states, axis=1, keepdims=True)


def pauli_sum(n_qubits, terms, rng):
    return ["".join(rng.choice(list("IXYZ"), n_qubits)) for _ in range(terms)], rng.normal(size=terms)


@pytest.fixture(params=[1, 2, 3, 4, 5, 6])
def case(request):
    rng = np.random.default_rng(request.param)
    circuit = Circuit(request.param, every_gate(request.param, rng))
    active = (rng.random((3, len(circuit.gates))) < 0.7).astype(np.uint8)
    active[1] = 1
    active[2] = 0
    return circuit, rng.uniform(-4, 4, (3, circuit.n_angles)), active, rng


@pytest.mark.parametrize("samples", [1, 7, 100])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_loss_gradient_and_logits_are_those_of_the_reference(case, samples, dtype, tolerance):
    circuit, angles, active, rng = case
    states, labels = unit_states(samples, circuit.n_qubits, rng), rng.integers(0, 3, samples)
    head = rng.normal(size=(circuit.n_qubits, 3))
    readout = Readout(circuit, states, labels, head, dtype)
    loss, gradient = readout.value_and_gradient(angles, active)
    assert loss.dtype == gradient.dtype == dtype
    wanted = loss_and_gradient(circuit, states, np.eye(3)[labels], head, angles, active)
    np.testing.assert_allclose(loss, wanted[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(gradient, wanted[1], rtol=0, atol=tolerance)
    np.testing.assert_array_equal(gradient[2], 0)  # no gate is active
    logits = readout.logits(angles, active)
    assert logits.dtype == dtype
    np.testing.assert_allclose(logits, logits_of(circuit, states, head, angles, active), rtol=0, atol=tolerance)
    # Without gates the logits are the encoder's own.
    np.testing.assert_allclose(logits[2], np.abs(states) ** 2 @ z_signs(circuit.n_qubits) @ head, atol=tolerance)
    np.testing.assert_allclose(loss[0], cross_entropy(logits[0], labels), rtol=0, atol=tolerance)


def used_of(circuit, active):
    """[N, 2]: whether a group has an active gate in a branch; controlled ones and swaps have none where it is 0."""
    groups, members = circuit.fused
    halved = ("cu3", "cx", "cz", "swap", "sqrtswap")
    used = np.zeros((len(groups), 2), np.uint8)
    for n, row in enumerate(groups):
        for gate in members[row[3] : row[4]]:
            used[n, 0] |= active[gate] and circuit.gates[gate][0] not in halved
            used[n, 1] |= active[gate]
    return used


def cheaper(circuit, active, samples, backward):
    used = used_of(circuit, active)
    dim = 2**circuit.n_qubits
    return unitary_is_cheaper(circuit._rows, active, circuit.fused[0], used, dim, samples, backward)


def operations(circuit, active, samples, backward):
    """(on every sample, by one unitary): arithmetic operations, counted over the pairs of rows that gates mix."""
    dim, by_gates, by_groups = 2**circuit.n_qubits, 0, 0
    for (name, qubits, slots), exists in zip(circuit.gates, active, strict=True):
        # One of each pair: a control must be 1, and swaps mix 01 with 10 alone.
        halved = 1 + (name in ("cu3", "cx", "cz", "swap", "sqrtswap"))
        pairs = sum(row >> qubits[-1] & 1 == 0 for row in range(dim)) // halved
        by_gates += int(exists) * pairs * (28 + backward * (56 + 32 * bool(slots)))
    for (pivot, _, branch, _, _), used in zip(circuit.fused[0], used_of(circuit, active), strict=True):
        pairs = sum(used[int(row & branch != 0)] for row in range(dim) if not row & pivot)
        by_groups += int(pairs) * (28 + 88 * backward)
    pieces, lanes = 64 * -(-samples // 64), 16 * -(-dim // 16)
    return by_gates * pieces, by_groups * lanes + 8 * (1 + backward) * dim**2 * pieces


@pytest.mark.parametrize("samples", [1, 17, 65, 100, 3000])
@pytest.mark.parametrize("backward", [True, False])
def test_a_unitary_is_made_where_it_takes_fewer_operations(case, samples, backward):
    circuit, _, active, _ = case
    for mask in active:
        by_sample, by_unitary = operations(circuit, mask, samples, backward)
        assert cheaper(circuit, mask, samples, backward) == (by_unitary < by_sample)


def test_candidates_of_one_call_may_go_either_way():
    rng = np.random.default_rng(0)
    circuit = Circuit(5, every_gate(5, rng, 200))
    active = np.zeros((5, len(circuit.gates)), np.uint8)
    active[0], active[2, :3], active[3] = 1, 1, 1
    ways = [cheaper(circuit, mask, 90, True) for mask in active]
    assert ways == [True, False, False, True, False]
    assert [cheaper(circuit, mask, 90, False) for mask in active] == ways
    angles = rng.uniform(-4, 4, (5, circuit.n_angles))
    states, labels, head = unit_states(90, 5, rng), rng.integers(0, 3, 90), rng.normal(size=(5, 3))
    readout = Readout(circuit, states, labels, head)
    wanted = loss_and_gradient(circuit, states, np.eye(3)[labels], head, angles, active)
    for one, other in zip(readout.value_and_gradient(angles, active), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        readout.logits(angles, active), logits_of(circuit, states, head, angles, active), rtol=0, atol=1e-12
    )


def test_ten_qubits_make_no_unitary():
    circuit = Circuit(10, [("u3", (q % 10,), range(3 * q, 3 * q + 3)) for q in range(80)])
    assert not cheaper(circuit, np.ones(80, np.uint8), 2500, True)


def cross_entropy(logits, labels):
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log(chances[np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("samples", [2, 70])
def test_the_gradient_of_the_loss_is_the_one_of_finite_differences(case, samples):
    circuit, angles, active, rng = case
    targets = rng.dirichlet(np.ones(4), samples)
    readout = Readout(
        circuit, unit_states(samples, circuit.n_qubits, rng), targets, rng.normal(size=(circuit.n_qubits, 4))
    )
    _, gradient = readout.value_and_gradient(angles, active)
    np.testing.assert_allclose(
        gradient, slopes(lambda at: readout.value_and_gradient(at, active)[0], angles), atol=1e-8
    )


def slopes(values, angles):
    found = np.empty_like(angles)
    for slot in range(angles.shape[1]):
        change = np.zeros_like(angles)
        change[:, slot] = 1e-5
        found[:, slot] = (values(angles + change) - values(angles - change)) / 2e-5
    return found


@pytest.mark.parametrize("batch", [1, 5, 40])
def test_rows_choose_a_batch(case, batch):
    circuit, angles, active, rng = case
    states, labels = unit_states(50, circuit.n_qubits, rng), rng.integers(0, 2, 50)
    head = rng.normal(size=(circuit.n_qubits, 2))
    rows = rng.integers(0, 50, batch)  # one may come twice
    found = Readout(circuit, states, labels, head).value_and_gradient(angles, active, rows)
    wanted = loss_and_gradient(circuit, states[rows], np.eye(2)[labels[rows]], head, angles, active)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_threads_change_nothing(case):
    circuit, angles, active, rng = case
    angles, active = np.repeat(angles, 3, axis=0), np.repeat(active, 3, axis=0)
    states, labels = unit_states(5, circuit.n_qubits, rng), rng.integers(0, 2, 5)
    terms = pauli_sum(circuit.n_qubits, 4, rng)
    alone, spread = (
        (
            *Readout(circuit, states, labels, np.ones((circuit.n_qubits, 2)), threads=threads).value_and_gradient(
                angles, active
            ),
            Readout(circuit, states, labels, np.ones((circuit.n_qubits, 2)), threads=threads).logits(angles, active),
            *Energy(circuit, *terms, threads=threads).value_and_gradient(angles, active),
            Energy(circuit, *terms, threads=threads).values(angles, active),
        )
        for threads in (1, 4)
    )
    for one, other in zip(alone, spread, strict=True):
        np.testing.assert_array_equal(one, other)


def test_large_logits_do_not_overflow():
    circuit = Circuit(1, [("ry", (0,), (0,))])
    readout = Readout(circuit, np.array([[1, 0], [0, 1]]), [0, 0], [[1e3, -1e3]])
    loss, gradient = readout.value_and_gradient([[0.0]])
    np.testing.assert_allclose(loss, [1e3])
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 5e-5)])
def test_energies_are_those_of_the_reference_and_of_finite_differences(case, dtype, tolerance):
    circuit, angles, active, rng = case
    labels, coefficients = pauli_sum(circuit.n_qubits, 20, rng)
    energy = Energy(circuit, labels, coefficients, dtype)
    values, gradient = energy.value_and_gradient(angles, active)
    assert values.dtype == gradient.dtype == dtype
    wanted = energy_and_gradient(circuit, labels, coefficients, angles, active)
    np.testing.assert_allclose(values, wanted[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(gradient, wanted[1], rtol=0, atol=tolerance)
    np.testing.assert_allclose(energy.values(angles, active), values, rtol=0, atol=tolerance)
    if dtype == np.float64:
        np.testing.assert_allclose(gradient, slopes(lambda at: energy.values(at, active), angles), atol=1e-7)


def test_a_hamiltonian_is_the_matrix_that_its_labels_name():
    paulis = {"I": np.eye(2), "X": [[0, 1], [1, 0]], "Y": [[0, -1j], [1j, 0]], "Z": [[1, 0], [0, -1]]}
    rng = np.random.default_rng(0)
    state = unit_states(1, 3, rng)[0]
    for label in ("XYZ", "IIY", "ZZI", "YXY"):
        matrix = np.kron(paulis[label[0]], np.kron(paulis[label[1]], paulis[label[2]]))
        np.testing.assert_allclose(apply_pauli(label, state), matrix @ state, atol=1e-15)


@pytest.mark.parametrize("n_qubits", [10, 14])
def test_energies_of_many_qubits(n_qubits):
    rng = np.random.default_rng(n_qubits)
    gates = [("ry", (q,), (q,)) for q in range(n_qubits)]
    gates += [("rzz", (q, (q + 5) % n_qubits), (n_qubits + q,)) for q in range(n_qubits)]
    gates += [("cu3", (n_qubits - 1, 0), (2, 0, 1)), ("rx", (n_qubits - 1,), (3,))]
    circuit = Circuit(n_qubits, gates)
    labels, coefficients = pauli_sum(n_qubits, 12, rng)
    angles = rng.uniform(-3, 3, (2, circuit.n_angles))
    found = Energy(circuit, labels, coefficients).value_and_gradient(angles)
    wanted = energy_and_gradient(circuit, labels, coefficients, angles)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11)


def test_an_empty_circuit_and_no_candidates():
    circuit = Circuit(2, [])
    readout = Readout(circuit, np.eye(4)[:2], [0, 1], np.eye(2))
    loss, gradient = readout.value_and_gradient(np.zeros((2, 0)))
    assert gradient.shape == (2, 0)
    np.testing.assert_allclose(loss, cross_entropy(np.array([[1.0, 1.0], [-1.0, 1.0]]), [0, 1]))
    energy = Energy(circuit, ["ZI", "XX", "II"], [2.0, 3.0, 0.5])
    np.testing.assert_allclose(energy.value_and_gradient(np.zeros((1, 0)))[0], [2.5])
    some = Circuit(1, [("rx", (0,), (0,))])
    loss, gradient = Readout(some, np.eye(2), [0, 1], np.ones((1, 2))).value_and_gradient(np.zeros((0, 1)))
    assert (loss.shape, gradient.shape) == ((0,), (0, 1))
    assert Energy(some, ["Z"], [1.0]).values(np.zeros((0, 1))).shape == (0,)


def test_wrong_input_is_refused():
    circuit = Circuit(2, [("rx", (0,), (0,))])
    states, head = np.eye(4), np.ones((2, 3))
    with pytest.raises(InputError, match=r"finite states \[samples, 4\]"):
        Readout(circuit, np.eye(3), [0, 1, 2], head)
    with pytest.raises(InputError, match="4 labels of 0 to 2"):
        Readout(circuit, states, [0, 1, 2, 3], head)
    with pytest.raises(InputError, match=r"finite targets \[4, 3\]"):
        Readout(circuit, states, np.ones((4, 2)), head)
    with pytest.raises(InputError, match=r"finite head \[2, classes\]"):
        Readout(circuit, states, [0, 1, 2, 0], np.ones((3, 3)))
    with pytest.raises(InputError, match="float64 or float32"):
        Readout(circuit, states, [0, 1, 2, 0], head, np.int64)
    readout = Readout(circuit, states, [0, 1, 2, 0], head)
    with pytest.raises(InputError, match="rows of 0 to 3, got 0 to 4"):
        readout.value_and_gradient(np.zeros((1, 1)), rows=np.array([0, 4]))
    with pytest.raises(InputError, match=r"expected angles \[candidates, 1\]"):
        readout.value_and_gradient(np.zeros((1, 2)))
    with pytest.raises(InputError, match=r"expected active \[candidates, 1\]"):
        readout.logits(np.zeros((1, 1)), np.ones((1, 2)))
    with pytest.raises(InputError, match="finite angles"):
        readout.value_and_gradient([[np.nan]])
    with pytest.raises(InputError, match="real coefficients"):
        Energy(circuit, ["ZZ"], [1j])
    with pytest.raises(InputError, match="2 characters I, X, Y, Z, got 'ZZZ'"):
        Energy(circuit, ["ZZZ"], [1.0])
    with pytest.raises(InputError, match="one finite coefficient a label"):
        Energy(circuit, ["ZZ"], [1.0, 2.0])
    with pytest.raises(InputError, match="1 to 14 qubits, got 15"):
        Energy(Circuit(15, []), ["Z" * 15], [1.0])
