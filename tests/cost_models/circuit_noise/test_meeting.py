"""Operators that reach few qubits meet the samples on those alone, with the same result."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector

from coevo.cost_models.circuit_noise import noisy_expectations, noisy_pauli_sums, read_program
from coevo.cost_models.circuit_noise.batch import Tables, swept
from coevo.cost_models.circuit_noise.meeting import groups_of, meet
from coevo.hardware.quantum import QuantumDevice

pytest.importorskip("numba")

QUBITS = [0, 1, 2, 3, 5, 8]  # a chain of FakeGuadalupeV2
X = ParameterVector("x", 6)


def whole_product(vectors, samples):
    product = np.ones((1, samples))
    for vector in vectors:
        product = np.einsum("is,js->ijs", product, vector).reshape(-1, samples)
    return product


def operators(reached, rng):
    """[n_obs, 4^m] with coefficients 0 wherever an operator has a digit other than 0 on a qubit it does not reach."""
    count, size = reached.shape
    digits = np.arange(4**size)[:, None] // 4 ** np.arange(size)[::-1] % 4
    inside = ((digits[None] == 0) | (reached[:, None] != 0)).all(axis=2)
    return np.where(inside, rng.normal(size=(count, 4**size)), 0)


@pytest.mark.parametrize("size", range(8))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-4)])
def test_operators_meet_samples_as_the_whole_product_does(size, dtype, tolerance):
    rng = np.random.default_rng(size)
    for share in (0.0, 0.3, 1.0):
        reached = (rng.random((5, size)) < share).astype(np.uint8)
        coefficients = operators(reached, rng)
        vectors = [np.concatenate([np.ones((1, 9)), rng.uniform(-1, 1, (3, 9))]) for _ in range(size)]
        wanted = (coefficients @ whole_product(vectors, 9)).T
        found = meet(coefficients.astype(dtype), reached, [vector.astype(dtype) for vector in vectors], 9)
        assert found.shape == (9, 5)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def test_operators_are_grouped_where_that_saves_half_of_the_work():
    eye = np.eye(10, dtype=np.uint8)
    assert groups_of(eye) == [([q], [q]) for q in range(10)]
    assert groups_of(np.repeat(eye[:2], 2, axis=0)) == [([0], [0, 1]), ([1], [2, 3])]
    assert groups_of(np.zeros((3, 6), np.uint8)) == [([], [0, 1, 2])]
    assert groups_of(np.ones((3, 6), np.uint8)) == [(list(range(6)), [0, 1, 2])]
    few = np.eye(4, dtype=np.uint8)
    assert groups_of(few) == [(list(range(4)), list(range(4)))]  # too few qubits to be worth a look
    one_smaller = np.ones((3, 6), np.uint8)
    one_smaller[0, 5] = 0
    assert groups_of(one_smaller) == [(list(range(6)), [0, 1, 2])]  # three quarters of one third
    two_smaller = np.ones((3, 6), np.uint8)
    two_smaller[:2, 5] = 0
    assert groups_of(two_smaller) == [([0, 1, 2, 3, 4], [0, 1]), (list(range(6)), [2])]


@pytest.fixture(scope="module")
def guadalupe():
    return QuantumDevice.from_name("FakeGuadalupeV2")


def program_of(device, pairs, rng):
    circuit = QuantumCircuit(6)
    for qubit in range(6):
        circuit.ry(X[qubit], qubit)
    for a, b in pairs:
        for qubit in (a, b):
            circuit.u(*rng.uniform(-3, 3, 3), qubit)
        circuit.cz(a, b)
    mapped = transpile(
        circuit, target=device.target, initial_layout=QUBITS, optimization_level=0, routing_method="none"
    )
    return read_program(mapped, device, QUBITS, inputs=X)


CIRCUITS = {
    "no pair": [],
    "one pair": [(2, 3)],
    "pairs apart": [(0, 1), (2, 3), (4, 5)],
    "a chain forwards": [(q, q + 1) for q in range(5)],
    "a chain backwards": [(q, q + 1) for q in reversed(range(5))],
    "two rounds": [(0, 1), (2, 3), (4, 5), (1, 2), (3, 4)],
    "there and back": [*[(q, q + 1) for q in range(5)], *[(q, q + 1) for q in reversed(range(5))]],
}


@pytest.mark.parametrize("case", CIRCUITS)
def test_an_operator_reaches_the_qubits_of_its_own_light_cone(case, guadalupe):
    program = program_of(guadalupe, CIRCUITS[case], np.random.default_rng(0))
    operators, inside, reached = swept(program, Tables([program], np.float64), 10)
    assert [program.encoder.qubits[place] for place in inside] == QUBITS
    for readout in range(6):
        cone = {readout}
        for pair in reversed(CIRCUITS[case]):
            cone |= set(pair) if cone & set(pair) else set()
        assert set(np.flatnonzero(reached[readout])) == cone
    shape = operators.reshape(6, *[4] * 6)
    for readout, row in enumerate(reached):
        elsewhere = shape[readout].copy()
        elsewhere[tuple(slice(None) if there else 0 for there in row)] = 0
        assert not elsewhere.any()


@pytest.mark.parametrize("case", CIRCUITS)
@pytest.mark.parametrize("threads", [1, 3])
def test_expectations_and_sums_are_those_of_the_reference(case, threads, guadalupe):
    rng = np.random.default_rng(1)
    program, inputs = program_of(guadalupe, CIRCUITS[case], rng), rng.uniform(-3, 3, (4, 6))
    found = noisy_expectations([program], inputs, threads=threads)
    np.testing.assert_allclose(found, noisy_expectations([program], inputs, engine="reference"), rtol=0, atol=1e-12)
    labels, coefficients = ["IIIIZX", "YIIIII", "IIZZII", "IIIIII"], rng.normal(size=(3, 4))
    coefficients[0, 1:3] = 0
    sums = noisy_pauli_sums([program], labels, coefficients, inputs, threads=threads)
    wanted = noisy_pauli_sums([program], labels, coefficients, inputs, engine="reference")
    np.testing.assert_allclose(sums, wanted, rtol=0, atol=1e-12)
