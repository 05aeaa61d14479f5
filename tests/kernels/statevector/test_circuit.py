"""Circuits of any gates: equal to the textbook reference, gradients equal to finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError, UnknownName
from coevo.kernels.statevector import Circuit, run_gates
from coevo.kernels.statevector.circuit import _GATES, GATES

pytest.importorskip("numba")


def random_gates(n_qubits, count, rng):
    gates, slot = [], 0
    names = [name for name in GATES if _GATES[name][1] <= n_qubits]
    for name in [*names, *rng.choice(names, count)]:  # every gate at least once
        _, qubits, angles = _GATES[name]
        gates.append((str(name), tuple(int(q) for q in rng.permutation(n_qubits)[:qubits]), range(slot, slot + angles)))
        slot += angles
    return gates


def by_reference(gates, angles, active, states):
    kept = [
        (name, qubits, [angles[slot] for slot in slots])
        for (name, qubits, slots), on in zip(gates, active, strict=True)
        if on
    ]
    return run_gates(kept, states)


@pytest.fixture(params=[1, 2, 3, 5])
def case(request):
    rng = np.random.default_rng(request.param)
    gates = random_gates(request.param, 30, rng)
    circuit = Circuit(request.param, gates)
    active = rng.random((2, len(gates))) < 0.8
    return circuit, gates, rng.uniform(-3, 3, (2, circuit.n_angles)), active, rng


def test_the_unitary_is_the_one_of_the_reference(case):
    circuit, gates, angles, active, _ = case
    found, _ = circuit.unitary(angles, active)
    for row in range(2):
        wanted = by_reference(gates, angles[row], active[row], np.eye(2**circuit.n_qubits, dtype=complex)).T
        np.testing.assert_allclose(found[row], wanted, rtol=0, atol=1e-12)


def test_the_gradient_is_the_one_of_finite_differences(case):
    circuit, _, angles, active, rng = case
    unitary, record = circuit.unitary(angles, active)
    whole = rng.normal(size=unitary.shape) + 1j * rng.normal(size=unitary.shape)
    found = circuit.gradient(record, whole)

    def loss(at):
        return np.real(np.sum(whole.conj() * circuit.unitary(at, active)[0]))

    for row in range(2):
        for slot in range(circuit.n_angles):
            change = np.zeros_like(angles)
            change[row, slot] = 1e-5
            slope = (loss(angles + change) - loss(angles - change)) / 2e-5
            assert found[row, slot] == pytest.approx(slope, abs=1e-8)


def test_states_of_a_batch_and_their_gradient(case):
    circuit, gates, angles, active, rng = case
    dim = 2**circuit.n_qubits
    states = rng.normal(size=(3, dim)) + 1j * rng.normal(size=(3, dim))
    out, record = circuit.evolve(angles, states, active)
    assert out.shape == (2, 3, dim)
    np.testing.assert_allclose(out[1], by_reference(gates, angles[1], active[1], states), rtol=0, atol=1e-11)
    whole = rng.normal(size=out.shape) + 1j * rng.normal(size=out.shape)
    _, by_unitary = circuit.unitary(angles, active)
    wanted = circuit.gradient(by_unitary, np.einsum("cbi,bj->cij", whole, states.conj()))
    np.testing.assert_allclose(circuit.gradient(record, whole), wanted, rtol=0, atol=1e-10)


def test_it_agrees_with_autograd():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    pairs = ((0, 1), (1, 2), (2, 0))
    gates = [
        gate
        for block in range(2)
        for gate in (
            *(("u3", (q,), range(18 * block + 3 * q, 18 * block + 3 * q + 3)) for q in range(3)),
            *(("cu3", p, range(18 * block + 9 + 3 * k, 18 * block + 12 + 3 * k)) for k, p in enumerate(pairs)),
        )
    ]
    circuit = Circuit(3, gates)
    angles = rng.uniform(-3, 3, (4, 36))
    unitary, record = circuit.unitary(angles)
    whole = rng.normal(size=unitary.shape) + 1j * rng.normal(size=unitary.shape)
    found = circuit.gradient(record, whole)

    def u3(row):
        cosine, sine = torch.cos(row[0] / 2), torch.sin(row[0] / 2)
        phi, lam = torch.exp(1j * row[1]), torch.exp(1j * row[2])
        return torch.stack([torch.stack([cosine + 0j, -lam * sine]), torch.stack([phi * sine, phi * lam * cosine])])

    leaf = torch.tensor(angles[0], requires_grad=True)
    product = torch.eye(8, dtype=torch.complex128)
    for name, qubits, slots in gates:
        small = u3(leaf[list(slots)])
        factors = [torch.eye(2, dtype=torch.complex128)] * 3
        factors[qubits[-1]] = small
        if name == "cu3":
            one = torch.diag(torch.tensor([0, 1], dtype=torch.complex128))
            idle = [torch.eye(2, dtype=torch.complex128)] * 3
            idle[qubits[0]] = torch.eye(2, dtype=torch.complex128) - one
            factors[qubits[0]] = one
            gate = kron(torch, factors) + kron(torch, idle)
        else:
            gate = kron(torch, factors)
        product = gate @ product
    (torch.tensor(whole[0]).conj() * product).real.sum().backward()
    np.testing.assert_allclose(found[0], leaf.grad.numpy(), rtol=0, atol=1e-8)


def kron(torch, factors):
    """Qubit 0 is the least significant."""
    return torch.kron(torch.kron(factors[2], factors[1]), factors[0])


def test_gates_may_share_an_angle_and_single_precision_stays_single():
    circuit = Circuit(2, [("rx", (0,), (0,)), ("rzz", (0, 1), (0,)), ("ry", (1,), (1,))])
    angles = np.array([[0.3, 0.7]])
    whole = np.ones((1, 4, 4), complex)
    double = circuit.gradient(circuit.unitary(angles)[1], whole)
    unitary, record = circuit.unitary(angles.astype(np.float32))
    single = circuit.gradient(record, whole.astype(np.complex64))
    assert unitary.dtype == np.complex64
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-5)


def test_an_empty_circuit_and_no_candidates():
    circuit = Circuit(2, [])
    unitary, record = circuit.unitary(np.zeros((3, 0)))
    np.testing.assert_array_equal(unitary, np.broadcast_to(np.eye(4), (3, 4, 4)))
    assert circuit.gradient(record, unitary).shape == (3, 0)
    some = Circuit(1, [("rx", (0,), (0,))])
    assert some.unitary(np.zeros((0, 1)))[0].shape == (0, 2, 2)


@pytest.mark.parametrize("name", [name for name in GATES if name != "sqrtswap"])
def test_matrices_are_qiskits(name):
    library = pytest.importorskip("qiskit.circuit.library")
    from coevo.kernels.statevector import gate_matrix

    angles = np.linspace(0.3, 1.7, _GATES[name][2])
    gate = library.get_standard_gate_name_mapping()[name].base_class(*angles)
    np.testing.assert_allclose(gate_matrix(name, angles), gate.to_matrix(), atol=1e-14)


def test_the_square_root_of_swap_squares_to_it():
    from coevo.kernels.statevector import gate_matrix

    root = gate_matrix("sqrtswap")
    np.testing.assert_allclose(root @ root, gate_matrix("swap"), atol=1e-15)


def test_wrong_circuits_are_refused():
    with pytest.raises(UnknownName, match="unknown gate 'cu'"):
        Circuit(2, [("cu", (0, 1), (0, 1, 2))])
    with pytest.raises(InputError, match="distinct qubits of 0 to 1"):
        Circuit(2, [("cx", (0, 0), ())])
    with pytest.raises(InputError, match="takes 1 angles"):
        Circuit(2, [("rx", (0,), ())])
    with pytest.raises(InputError, match="1 to 20 qubits"):
        Circuit(21, [])
    with pytest.raises(InputError, match="at most 10 qubits for a unitary"):
        Circuit(11, []).unitary(np.zeros((1, 0)))
    circuit = Circuit(2, [("rx", (0,), (0,))])
    with pytest.raises(InputError, match=r"expected angles \[candidates, 1\]"):
        circuit.unitary(np.zeros((1, 2)))
    with pytest.raises(InputError, match=r"expected active \[candidates, 1\]"):
        circuit.unitary(np.zeros((1, 1)), np.ones((1, 2)))
