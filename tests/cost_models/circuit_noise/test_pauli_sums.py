"""Measured Pauli sums: equal to Aer with the basis changes as explicit circuits, and to the plain reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from coevo.cost_models.circuit_noise import (
    PauliSums,
    noisy_expectations,
    noisy_pauli_sums,
    outcome_probabilities,
    read_program,
)
from coevo.errors import InputError

pytest.importorskip("numba")
pytest.importorskip("torch")

FAST = ["compiled", "torch"]
ENGINES = [*FAST, "reference"]
DEVICES = [
    "FakeQuitoV2",  # cx
    "FakeYorktownV2",
    "FakeLimaV2",
    "FakeJakartaV2",
    "FakeGuadalupeV2",
    "FakeEssexV2",
    "FakePeekskill",  # ecr
    "FakePrague",  # cz
    "FakeTorino",  # cz
    "FakeFractionalBackend",  # rx and rzz beside cz
]


def random_labels(rng, count, qubits):
    return ["".join(rng.choice(list("IXYZ"), qubits)) for _ in range(count)]


def with_basis_changes(circuit, device, qubits, label):
    """The circuit and what Qiskit compiles H and S-dagger H to on the device: independent of coevo's own choice."""
    whole = circuit.copy()
    for qubit, letter in zip(qubits, reversed(label), strict=True):
        change = QuantumCircuit(1)
        if letter == "Y":
            change.sdg(0)
        if letter in "XY":
            change.h(0)
        compiled = transpile(change, target=device.target, initial_layout=[qubit], optimization_level=1)
        whole.compose(compiled, inplace=True)
    return whole


def sign(label):
    """[2^n] the product of the outcomes on the qubits that the string acts on, by bit string."""
    made = np.ones(1)
    for letter in label:
        made = np.kron(made, [1, 1] if letter == "I" else [1, -1])
    return made


@pytest.mark.parametrize("name", DEVICES)
def test_sums_equal_aer_with_explicit_basis_changes(name, device_named, random_circuit, aer_states, outcomes):
    device, rng = device_named(name), np.random.default_rng(11)
    pairs = [random_circuit(device, active, gates, rng) for active, gates in ((4, 0), (4, 25), (4, 50))]
    labels = ["IIII", "XXXX", "YYYY", *random_labels(rng, 4, 4)]
    coefficients = rng.normal(size=(3, len(labels)))
    coefficients[1, 2:] = 0  # observables of different supports
    coefficients[2, 1:] = 0
    programs = [read_program(circuit, device, qubits) for circuit, qubits in pairs]
    wanted = []
    for circuit, qubits in pairs:
        circuits = [with_basis_changes(circuit, device, qubits, label) for label in labels]
        states = aer_states(device, circuits, [qubits] * len(labels), whole_channels=True)
        strings = [outcomes(device, state, qubits) @ sign(label) for state, label in zip(states, labels, strict=True)]
        wanted.append(coefficients @ strings)
    for engine in ENGINES:
        found = noisy_pauli_sums(programs, labels, coefficients, engine=engine)
        assert found.shape == (3, 1, 3)
        np.testing.assert_allclose(found[:, 0], wanted, rtol=0, atol=1e-10, err_msg=engine)


@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakePeekskill", "FakeTorino"])
def test_ideal_measurements_equal_aers_saved_expectation_values(name, device_named, random_circuit):
    from qiskit_aer import AerSimulator

    device, rng = device_named(name), np.random.default_rng(3)
    circuit, qubits = random_circuit(device, 5, 40, rng)
    labels, coefficients = random_labels(rng, 9, 5), rng.normal(size=(1, 9))
    copy = circuit.copy()
    copy.save_expectation_value(SparsePauliOp(labels, coefficients[0]), qubits)
    simulator = AerSimulator(method="density_matrix", noise_model=device.noise_model, max_parallel_threads=1)
    wanted = simulator.run(copy).result().data(0)["expectation_value"]
    program = read_program(circuit, device, qubits)
    for engine in ENGINES:
        found = noisy_pauli_sums(
            [program], labels, coefficients, engine=engine, readout_error=False, basis_change_noise=False
        )
        # Stock Aer drops error terms of 1e-10 and less on the newer devices.
        assert found[0, 0, 0] == pytest.approx(wanted, abs=1e-10 if name == "FakeQuitoV2" else 1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_either_part_of_the_measurements_noise_can_be_left_out(engine, quito, random_circuit):
    circuit, qubits = random_circuit(quito, 3, 20, np.random.default_rng(0))
    program = read_program(circuit, quito, qubits)

    def value(**options):
        return noisy_pauli_sums([program], ["XYZ"], [[1.0]], engine=engine, **options)[0, 0, 0]

    values = [value(readout_error=r, basis_change_noise=b) for r, b in itertools.product((True, False), repeat=2)]
    reference = noisy_pauli_sums([program], ["XYZ"], [[1.0]], engine="reference")[0, 0, 0]
    assert values[0] == pytest.approx(reference, abs=1e-12)
    assert len({round(each, 9) for each in values}) == 4
    strings = [noisy_pauli_sums([program], ["ZIZ"], [[1.0]], basis_change_noise=b)[0, 0, 0] for b in (True, False)]
    assert strings[0] == strings[1]  # Z needs no change of basis


X = ParameterVector("x", 4)


def encoded_programs(quito, rng):
    """Three candidates with four, two and no encoded qubits."""
    made = []
    for layout, encoded in (([0, 1, 2, 3], 4), ([3, 1, 4, 0], 2), ([4, 3, 1, 2], 0)):
        circuit = QuantumCircuit(4)
        for index in range(encoded):
            circuit.ry(X[index], index)
        for index in range(encoded, 4):
            circuit.rx(0.3, index)
        for qubit in range(4):
            circuit.u(*rng.uniform(-3, 3, 3), qubit)
            circuit.cz(qubit, (qubit + 1) % 4)
        for qubit in range(4):
            circuit.u(*rng.uniform(-3, 3, 3), qubit)
        compiled = transpile(
            circuit, target=quito.target, initial_layout=layout, optimization_level=2, seed_transpiler=0
        )
        made.append(read_program(compiled, quito, compiled.layout.final_index_layout(), inputs=X))
    return made


@pytest.mark.parametrize("engine", FAST)
def test_encoded_samples_and_batches_equal_the_reference(engine, quito):
    rng = np.random.default_rng(5)
    programs, data = encoded_programs(quito, rng), rng.uniform(-3, 3, (3, 4))
    labels, coefficients = random_labels(rng, 12, 4), rng.normal(size=(2, 12))
    wanted = noisy_pauli_sums(programs, labels, coefficients, data, engine="reference")
    found = noisy_pauli_sums(programs, labels, coefficients, data, engine=engine)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    single = noisy_pauli_sums(programs, labels, coefficients, data, engine=engine, dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted, rtol=0, atol=5e-5)


def test_programs_of_different_numbers_of_encoded_qubits_are_tensors_too(quito):
    rng = np.random.default_rng(6)
    programs, data = encoded_programs(quito, rng), rng.uniform(-3, 3, (4, 4))
    wanted = noisy_expectations(programs, data, engine="reference")
    np.testing.assert_allclose(noisy_expectations(programs, data, engine="torch"), wanted, rtol=0, atol=1e-12)


def test_threads_change_nothing(quito):
    rng = np.random.default_rng(8)
    programs, data = encoded_programs(quito, rng), rng.uniform(-3, 3, (3, 4))
    labels, coefficients = random_labels(rng, 6, 4), rng.normal(size=(4, 6))
    alone = noisy_pauli_sums(programs, labels, coefficients, data)
    np.testing.assert_array_equal(noisy_pauli_sums(programs, labels, coefficients, data, threads=3), alone)
    np.testing.assert_array_equal(noisy_pauli_sums(programs[:1], labels, coefficients, data, threads=9), alone[:1])


@pytest.mark.parametrize("engine", ENGINES)
def test_single_z_strings_are_the_readouts(engine, quito, random_circuit):
    circuit, qubits = random_circuit(quito, 4, 30, np.random.default_rng(1))
    program = read_program(circuit, quito, qubits)
    labels = ["IIIZ", "IIZI", "IZII", "ZIII"]  # the rightmost character is read[0]
    found = noisy_pauli_sums([program], labels, np.eye(4), engine=engine)
    np.testing.assert_allclose(found, noisy_expectations([program]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_order_of_the_read_qubits_is_that_of_the_labels(engine, quito, random_circuit):
    circuit, qubits = random_circuit(quito, 3, 30, np.random.default_rng(2))
    labels, weights = ["XYZ", "ZIX", "IYI"], np.array([[0.5, -1.0, 2.0]])
    first = noisy_pauli_sums([read_program(circuit, quito, qubits)], labels, weights, engine=engine)
    for order in itertools.permutations(range(3)):
        turned = ["".join(label[::-1][place] for place in order)[::-1] for label in labels]
        program = read_program(circuit, quito, [qubits[place] for place in order])
        np.testing.assert_allclose(
            noisy_pauli_sums([program], turned, weights, engine=engine), first, rtol=0, atol=1e-13
        )


@pytest.mark.parametrize("engine", ENGINES)
def test_edge_cases(engine, quito):
    circuit = QuantumCircuit(5)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    program = read_program(circuit, quito, [2, 0])

    def sums(labels, coefficients, program=program):
        return noisy_pauli_sums([program], labels, coefficients, engine=engine)[0, 0]

    np.testing.assert_array_equal(sums([], np.empty((2, 0))), [0, 0])  # the empty sum
    assert sums(["ZZ"], np.empty((0, 1))).shape == (0,)
    np.testing.assert_array_equal(sums(["II", "II"], [[1.5, 2.0], [0.0, -1.0]]), [3.5, -1.0])
    np.testing.assert_allclose(sums(["II", "ZZ"], [[2.0, 1.0], [2.0, 0.0]])[1], 2.0, rtol=0, atol=1e-13)
    both = sums(["XZ", "XZ"], [[0.25, 0.5]])
    np.testing.assert_allclose(both, sums(["XZ"], [[0.75]]), rtol=0, atol=1e-13)  # a string that stands twice
    alone = read_program(QuantumCircuit(5), quito, [3])  # one qubit, no gate
    wanted = noisy_expectations([alone])[0, 0]
    np.testing.assert_allclose(sums(["Z"], [[1.0]], alone), wanted, rtol=0, atol=1e-13)
    assert noisy_pauli_sums([], ["ZZ"], [[1.0]], engine=engine).shape == (0, 1, 1)


@pytest.mark.parametrize("engine", FAST)
def test_qubits_that_no_string_touches_are_left_out(engine, quito):
    circuit = QuantumCircuit(5)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.cx(3, 4)
    program = read_program(circuit, quito, [0, 3, 4])
    label = ["XYI"]
    wanted = noisy_pauli_sums([program], label, [[1.0]], engine="reference")
    found = noisy_pauli_sums([program], label, [[1.0]], engine=engine, max_qubits=2)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13)
    constant = noisy_pauli_sums([program], ["III", "ZZZ"], [[3.0, 0.0]], engine=engine, max_qubits=0)
    np.testing.assert_array_equal(constant, [[[3.0]]])  # a coefficient of 0 touches nothing
    with pytest.raises(InputError, match="max_qubits=1"):
        noisy_pauli_sums([program], label, [[1.0]], engine=engine, max_qubits=1)


@pytest.mark.parametrize("engine", FAST)
@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakePrague", "FakePeekskill"])
def test_outcome_probabilities_equal_aers(name, engine, device_named, random_circuit, aer_states, outcomes):
    device, rng = device_named(name), np.random.default_rng(4)
    pairs = [random_circuit(device, 4, gates, rng) for gates in (0, 20, 50)]
    programs = [read_program(circuit, device, qubits) for circuit, qubits in pairs]
    states = aer_states(device, *zip(*pairs, strict=True), whole_channels=True)
    wanted = [outcomes(device, state, qubits) for state, (_, qubits) in zip(states, pairs, strict=True)]
    found = outcome_probabilities(programs, engine=engine)
    assert found.shape == (3, 1, 16)
    np.testing.assert_allclose(found[:, 0], wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.sum(axis=2), 1, rtol=0, atol=1e-12)


def test_outcome_probabilities_of_few_and_many_qubits(quito, device_named):
    circuit = QuantumCircuit(5)
    circuit.x(2)
    found = outcome_probabilities([read_program(circuit, quito, [0, 2])], readout_error=False)[0, 0]
    assert found.argmax() == 2  # bit 1 is read[1]
    assert (outcome_probabilities([read_program(circuit, quito, [0])]) >= 0).all()
    assert outcome_probabilities([]).shape == (0, 1, 1)
    wide = device_named("FakeGuadalupeV2")
    with pytest.raises(InputError, match="read 9 qubits, which have 512 outcomes; expected 8"):
        outcome_probabilities([read_program(QuantumCircuit(16), wide, list(range(9)))])


def test_what_is_no_sum_of_the_read_qubits_is_refused(quito):
    program = read_program(QuantumCircuit(5), quito, [0, 1])

    def refused(message, labels, coefficients, **options):
        with pytest.raises(InputError, match=message):
            noisy_pauli_sums([program], labels, coefficients, **options)

    refused(r"coefficient of 'XX' in observable 0 is .*1j.*not Hermitian", ["ZZ", "XX"], [[1.0, 0.5 + 1j]])
    refused("coefficient of 'XX' in observable 1 is nan", ["XX"], [[1.0], [np.nan]])
    refused("coefficient of 'XX' in observable 0 is inf", ["XX"], [[np.inf]])
    refused(r"coefficients \[n_obs, 2\].*got shape \(1, 3\)", ["XX", "ZZ"], [[1.0, 2.0, 3.0]])
    refused(r"coefficients \[n_obs, 1\].*got shape \(1,\)", ["XX"], [1.0])
    refused("'XXX' has 3 characters and the program reads 2 qubits", ["XXX"], [[1.0]])
    refused("'X' and 'XX' have 1 and 2 characters", ["X", "XX"], [[1.0, 1.0]])
    refused("the Pauli label 'XA'", ["XA"], [[1.0]])
    refused("the Pauli label ''", [""], [[1.0]])
    refused("the one string 'XX'", "XX", [[1.0]])
    refused("real coefficients", ["XX"], [["a"]])
    refused("an engine of", ["XX"], [[1.0]], engine="fast")
    real = noisy_pauli_sums([program], ["ZZ"], np.array([[1.0 + 0j]]))  # real numbers in a complex array
    np.testing.assert_array_equal(real, noisy_pauli_sums([program], ["ZZ"], [[1.0]]))


def test_sums_know_what_they_touch():
    sums = PauliSums(["IXI", "ZII", "IIY"], [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert sums.supports == ((1, 2), (), (1,))
    assert sums.touched == (1, 2)
    np.testing.assert_array_equal(
        sums.operator(0, (1, 2)), 1.0 * np.eye(16)[4].reshape(4, 4) + 2 * np.eye(16)[3].reshape(4, 4)
    )
