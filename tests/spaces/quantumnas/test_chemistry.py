"""Baseline circuits: gates against matrix exponentials, gradients, conserved electrons, and ADAPT-VQE."""

import functools

import numpy as np
import pytest
from qiskit.quantum_info import Operator, Statevector
from scipy.linalg import expm

from coevo.errors import InputError
from coevo.spaces.quantumnas.ansatz.adapt_vqe import GeneratorProduct, adapt_vqe
from coevo.spaces.quantumnas.ansatz.amplitude_circuit import AmplitudeCircuit
from coevo.spaces.quantumnas.ansatz.chemistry import generator_product, hardware_efficient, hartree_fock, uccsd_gates
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
from coevo.spaces.quantumnas.tasks.molecule import read_molecule

read = functools.cache(read_molecule)
CHEMICAL_ACCURACY_HA = 1.6e-3


def generators(molecule):
    return [excitation.generator for excitation in molecule.excitations]


def by_exponentials(molecule, amplitudes):
    """The same state by scipy's matrix exponentials."""
    state = np.zeros(2**molecule.hamiltonian.n_qubits, complex)
    state[int(molecule.hartree_fock_state, 2)] = 1
    for generator, t in zip(generators(molecule), amplitudes, strict=True):
        state = expm(1j * t * generator.matrix()) @ state
    return state


def by_kernel(circuit, amplitudes):
    """The state by the state-vector kernel."""
    zero = np.zeros((1, 2**circuit.n_qubits), complex)
    zero[0, 0] = 1
    return circuit.circuit().evolve(circuit.angles(amplitudes)[None], zero)[0][0, 0]


@pytest.mark.parametrize("name", ["h2", "lih", "beh2-6q"])
def test_uccsd_in_gates_is_the_product_of_exponentials(name):
    molecule = read(name)
    circuit = uccsd_gates(molecule)
    amplitudes = np.random.default_rng(1).uniform(-1, 1, circuit.n_amplitudes)
    expected = by_exponentials(molecule, amplitudes)
    qiskit = Statevector(circuit.to_qiskit(amplitudes)).data
    np.testing.assert_allclose(qiskit, expected, atol=1e-10)
    np.testing.assert_allclose(by_kernel(circuit, amplitudes), expected, atol=1e-10)
    product = GeneratorProduct(molecule.hartree_fock_state, generators(molecule))
    np.testing.assert_allclose(product.final_state(amplitudes), expected, atol=1e-10)
    assert molecule.hamiltonian.expectation(qiskit) == pytest.approx(
        float((expected.conj() @ molecule.hamiltonian.matrix() @ expected).real), abs=1e-10
    )


@pytest.mark.parametrize("name", ["h2", "lih", "h2o"])
def test_uccsd_conserves_electrons_and_the_norm(name):
    molecule = read(name)
    circuit = uccsd_gates(molecule)
    start = uccsd_gates(molecule).to_qiskit(np.zeros(circuit.n_amplitudes))
    state = by_kernel(circuit, np.random.default_rng(2).uniform(-2, 2, circuit.n_amplitudes))
    assert np.linalg.norm(state) == pytest.approx(1, abs=1e-12)
    for number in molecule.number_operators.values():
        electrons = number.expectation(Statevector(start).data)
        assert number.expectation(state) == pytest.approx(electrons, abs=1e-10)
        assert number.expectation(number.apply(state)) == pytest.approx(electrons**3, abs=1e-9)  # no spread either


def test_all_gates_are_of_the_few_that_were_promised():
    circuit = uccsd_gates(read("lih"))
    assert {name for name, _, _ in circuit.gates} <= {"x", "h", "s", "sdg", "cx", "rz"}
    assert all((name == "rz") == bool(slots) for name, _, slots in circuit.gates)
    assert circuit.n_angles == sum(len(e.generator.labels) for e in read("lih").excitations)
    assert len(set(circuit.drivers)) == circuit.n_amplitudes == 8 < circuit.n_angles


def test_an_unbound_circuit_is_bound_by_amplitudes():
    circuit = uccsd_gates(read("h2"))
    unbound, amplitudes = circuit.to_qiskit(), [0.3, -0.2, 0.7]
    assert len(unbound.parameters) == 3
    bound = unbound.assign_parameters(amplitudes)
    np.testing.assert_allclose(Operator(bound).data, Operator(circuit.to_qiskit(amplitudes)).data, atol=1e-12)


@pytest.mark.parametrize("name", ["h2", "lih", "ch4-6q"])
def test_gradients_are_those_of_finite_differences_and_of_the_kernel(name):
    molecule = read(name)
    product = GeneratorProduct(molecule.hartree_fock_state, generators(molecule))
    amplitudes = np.random.default_rng(3).uniform(-1, 1, len(molecule.excitations))
    energy, gradient = product.energy_and_gradient(molecule.hamiltonian, amplitudes)
    step = 1e-5
    for k in range(len(amplitudes)):
        shift = step * np.eye(len(amplitudes))[k]
        up, down = (product.energy_and_gradient(molecule.hamiltonian, amplitudes + s)[0] for s in (shift, -shift))
        assert gradient[k] == pytest.approx((up - down) / (2 * step), abs=1e-8)
    circuit = uccsd_gates(molecule)
    kernel, zero = circuit.circuit(), np.zeros((1, 2**circuit.n_qubits), complex)
    zero[0, 0] = 1
    states, record = kernel.evolve(circuit.angles(amplitudes)[None], zero)
    assert molecule.hamiltonian.expectation(states[0, 0]) == pytest.approx(energy, abs=1e-11)
    by_angle = kernel.gradient(record, 2 * molecule.hamiltonian.apply(states))
    np.testing.assert_allclose(circuit.amplitude_gradient(by_angle)[0], gradient, atol=1e-10)


@pytest.mark.parametrize("label", ["XYZ", "ZIZ", "IYI", "YYX"])
def test_a_pool_of_pauli_strings_rotates_as_exponentials_do(label):
    rng = np.random.default_rng(7)
    strings = [PauliSum.from_terms({"XXI": 1.0}, ""), PauliSum.from_terms({label: 1.0}, "")]
    amplitudes = rng.uniform(-2, 2, 2)
    expected = np.eye(8, dtype=complex)[0b101]
    for string, t in zip(strings, amplitudes, strict=True):
        expected = expm(1j * t * string.matrix()) @ expected
    product = GeneratorProduct("101", strings)
    np.testing.assert_allclose(product.final_state(amplitudes), expected, atol=1e-12)
    h = PauliSum.from_terms({"ZXY": 0.3, "YIX": -0.7, "IZZ": 0.2}, "J")
    up, down = (product.energy_and_gradient(h, amplitudes + np.array([0, s]))[0] for s in (1e-5, -1e-5))
    assert product.energy_and_gradient(h, amplitudes)[1][1] == pytest.approx((up - down) / 2e-5, abs=1e-8)


def test_optimised_uccsd_of_hydrogen_is_exact():
    molecule = read("h2")
    product = GeneratorProduct(molecule.hartree_fock_state, generators(molecule))
    amplitudes, energy = product.minimise(molecule.hamiltonian)
    assert energy == pytest.approx(molecule.energies["ground"], abs=1e-6)
    state = Statevector(uccsd_gates(molecule).to_qiskit(amplitudes)).data
    assert molecule.hamiltonian.expectation(state) == pytest.approx(molecule.energies["ground"], abs=1e-6)


@pytest.mark.parametrize("name", ["lih", "h2o", "ch4-6q", "beh2-6q"])
def test_optimised_uccsd_reaches_below_hartree_fock(name):
    molecule = read(name)
    _, energy = GeneratorProduct(molecule.hartree_fock_state, generators(molecule)).minimise(molecule.hamiltonian)
    assert molecule.energies["ground"] - 1e-9 <= energy < molecule.energies["ground"] + CHEMICAL_ACCURACY_HA
    assert energy < molecule.energies["hartree_fock"] - 0.01
    allowed = uccsd_gates(molecule, forbidden=False)
    chosen = [e.generator for e in molecule.excitations if e.symmetry_allowed]
    assert allowed.n_amplitudes == len(chosen)
    _, same = GeneratorProduct(molecule.hartree_fock_state, chosen).minimise(molecule.hamiltonian)
    assert same == pytest.approx(energy, abs=1e-7)


@pytest.mark.parametrize("name", ["h2", "lih", "beh2-6q"])
def test_adapt_vqe_grows_to_chemical_accuracy(name):
    molecule = read(name)
    pool = generators(molecule)
    found = adapt_vqe(molecule.hamiltonian, pool, molecule.hartree_fock_state, 20, 1e-3)
    assert found.converged
    assert found.gradient_norm < 1e-3
    assert found.energies[0] == pytest.approx(molecule.energies["hartree_fock"], abs=1e-9)
    assert np.all(np.diff(found.energies) < 0)
    assert 0 <= found.energy - molecule.energies["ground"] + 1e-9 < CHEMICAL_ACCURACY_HA
    circuit = generator_product(molecule.hartree_fock_state, [pool[k] for k in found.operators])
    state = by_kernel(circuit, found.amplitudes)
    assert molecule.hamiltonian.expectation(state) == pytest.approx(found.energy, abs=1e-9)


def test_the_first_operator_of_adapt_vqe_is_the_steepest_commutator():
    molecule = read("h2o")
    h, pool = molecule.hamiltonian.matrix(), generators(molecule)
    start = np.eye(2**6)[int(molecule.hartree_fock_state, 2)]
    commutators = [abs(start @ (h @ (1j * g.matrix()) - 1j * g.matrix() @ h) @ start) for g in pool]
    found = adapt_vqe(molecule.hamiltonian, pool, molecule.hartree_fock_state, 1, 1e-9)
    assert commutators[found.operators[0]] == pytest.approx(max(commutators), abs=1e-9)
    assert not found.converged
    assert len(found.operators) == 1


def test_adapt_vqe_stops_at_once_in_an_eigenstate():
    found = adapt_vqe(PauliSum.from_terms({"ZZ": 1.0}, "J"), [PauliSum.from_terms({"XY": 1.0}, "")], "01", 5, 1e-6)
    assert (found.operators, found.converged, found.energy) == ((), True, -1.0)


@pytest.mark.parametrize(("entangler", "cx"), [("line", 3), ("ring", 4)])
def test_the_hardware_efficient_ansatz(entangler, cx):
    circuit = hardware_efficient(4, 2, entangler)
    assert circuit.n_amplitudes == circuit.n_angles == 12
    names = [name for name, _, _ in circuit.gates]
    assert (names.count("ry"), names.count("cx")) == (12, 2 * cx)
    amplitudes = np.random.default_rng(4).uniform(-1, 1, 12)
    state = Statevector(circuit.to_qiskit(amplitudes)).data
    np.testing.assert_allclose(by_kernel(circuit, amplitudes), state, atol=1e-12)
    zero = Statevector(hardware_efficient(4, 0, entangler, "0110").to_qiskit(np.zeros(4))).data
    assert abs(zero[0b0110]) == pytest.approx(1)


def test_a_ring_of_two_qubits_is_a_line():
    assert hardware_efficient(2, 3, "ring").gates == hardware_efficient(2, 3, "line").gates
    assert not any(name == "cx" for name, _, _ in hardware_efficient(1, 3, "ring").gates)


def test_hartree_fock_is_the_basis_state():
    state = Statevector(hartree_fock(3, "110").to_qiskit([])).data
    assert abs(state[0b110]) == pytest.approx(1)


def test_circuits_follow_each_other():
    first, second = hardware_efficient(2, 1), uccsd_gates(read("h2"))
    both = first.then(second)
    amplitudes = np.random.default_rng(5).uniform(-1, 1, both.n_amplitudes)
    a, b = np.split(amplitudes, [first.n_amplitudes])
    expected = Operator(second.to_qiskit(b)).data @ Operator(first.to_qiskit(a)).data
    np.testing.assert_allclose(Operator(both.to_qiskit(amplitudes)).data, expected, atol=1e-12)
    np.testing.assert_allclose(both.angles(amplitudes), np.concatenate([first.angles(a), second.angles(b)]))


def test_bad_input_is_named():
    h2 = read("h2")
    with pytest.raises(InputError, match="basis state of 3 characters 0 or 1, got '01'"):
        hartree_fock(3, "01")
    with pytest.raises(InputError, match="generator 0 is of 2 qubits, the state '010' of 3"):
        generator_product("010", generators(h2))
    clash = PauliSum.from_terms({"XI": 0.5, "ZI": 0.5}, "")
    with pytest.raises(InputError, match="'XI' and 'ZI' of generator 0 do not commute"):
        generator_product("01", [clash])
    with pytest.raises(InputError, match=r"generator 1 .*eigenvalues other than 0, 1 and -1"):
        GeneratorProduct("01", [generators(h2)[0], PauliSum.from_terms({"XY": 2.0}, "")])
    with pytest.raises(InputError, match=r"generator 0 \(XY, ...\): its strings flip 2 different sets of qubits"):
        GeneratorProduct("01", [PauliSum.from_terms({"XY": 0.5, "IY": 0.5}, "")])
    with pytest.raises(InputError, match="generator 0 is of 2 qubits, the state of 1"):
        GeneratorProduct("0", generators(h2))
    with pytest.raises(InputError, match="3 finite amplitudes"):
        GeneratorProduct("01", generators(h2)).final_state([0.0, np.nan, 0.0])
    with pytest.raises(InputError, match="at least 1 qubit and 0 layers"):
        hardware_efficient(0, 1)
    with pytest.raises(InputError, match="'ring' or 'line', got 'star'"):
        hardware_efficient(3, 1, "star")
    with pytest.raises(InputError, match=r"amplitudes \[..., 3\], got shape \(2,\)"):
        uccsd_gates(h2).angles([0.1, 0.2])
    with pytest.raises(InputError, match="amplitude 1 is not finite"):
        uccsd_gates(h2).to_qiskit([0.1, np.inf, 0.0])
    with pytest.raises(InputError, match=r"gradients of \d+ angles"):
        uccsd_gates(h2).amplitude_gradient(np.zeros(1))
    with pytest.raises(InputError, match="cannot follow"):
        hartree_fock(2, "01").then(hartree_fock(3, "011"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pool": []}, "pool of operators is empty"),
        ({"max_operators": 0}, "max_operators = 0"),
        ({"tolerance": 0.0}, "tolerance = 0.0"),
        ({"tolerance": float("nan")}, "tolerance = nan"),
        ({"state": "011"}, "Hamiltonian is of 2 qubits, the state '011' of 3"),
    ],
)
def test_bad_questions_to_adapt_vqe(changes, message):
    h2 = read("h2")
    given = {
        "hamiltonian": h2.hamiltonian,
        "pool": generators(h2),
        "state": "01",
        "max_operators": 3,
        "tolerance": 1e-3,
    }
    with pytest.raises(InputError, match=message):
        adapt_vqe(**given | changes)


def test_an_amplitude_circuit_takes_batches():
    circuit = uccsd_gates(read("h2"))
    batch = np.random.default_rng(6).uniform(-1, 1, (5, 3))
    assert circuit.angles(batch).shape == (5, circuit.n_angles)
    np.testing.assert_array_equal(circuit.angles(batch)[2], circuit.angles(batch[2]))
    assert isinstance(circuit, AmplitudeCircuit)
