"""Noise-aware gradients: equal to finite differences and to autograd through a plain implementation."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from coevo.cost_models.circuit_noise import (
    NoiseAwareCircuit,
    PauliSums,
    bind_weights,
    cross_entropy,
    energy,
    noise_aware_gradients,
    noisy_expectations,
    noisy_pauli_sums,
    read_program,
)
from coevo.errors import InputError

pytest.importorskip("numba")

X, W = ParameterVector("x", 4), ParameterVector("w", 8)


def template(pairs=((0, 1), (1, 2), (1, 3), (1, 0), (3, 1))):
    """Data on qubits 0, 1, 2 and 4 (never entangled); weights shared, scaled and summed; tails; both directions."""
    circuit = QuantumCircuit(5)
    for index, qubit in enumerate((0, 1, 2, 4)):
        circuit.sx(qubit)
        circuit.rz(X[index], qubit)
        circuit.sx(qubit)
    circuit.barrier()
    for index, (a, b) in enumerate(pairs):
        circuit.rz(W[index], a)
        circuit.sx(a)
        circuit.rz(0.5 * W[index] - 2 * W[(index + 1) % 8] + 0.3, b)
        circuit.delay(400, b)
        circuit.cx(a, b)
    circuit.sx(3)
    circuit.rz(W[7], 3)
    circuit.sx(3)
    return circuit


def problem(device, circuit, qubits, samples=6, dtype=np.float64):
    rng = np.random.default_rng(0)
    program = read_program(circuit, device, qubits, inputs=X, weights=W)
    data, labels = rng.uniform(-3, 3, (samples, 4)), rng.integers(0, len(qubits), samples)
    return program, NoiseAwareCircuit(program, data, dtype), data, cross_entropy(labels), rng.uniform(-3, 3, 8)


CASES = {
    "several readouts": (template(), [3, 0, 4]),
    "one readout": (template(), [2]),
    "no two-qubit gate": (template(()), [3, 0]),
    "one pair": (template(((0, 1),)), [1, 0]),
    "light cone drops gates": (template(((0, 1), (3, 4), (1, 3))), [0]),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_finite_differences(case, quito):
    program, circuit, data, loss, weights = problem(quito, *CASES[case])
    wanted = noisy_expectations([bind_weights(program, weights)], data)[0]
    np.testing.assert_allclose(circuit.values(weights), wanted, rtol=0, atol=1e-12)
    value, gradient = circuit.value_and_gradient(weights, loss)
    assert value == pytest.approx(loss(wanted)[0], abs=1e-12)
    for index in range(8):
        change = np.zeros(8)
        change[index] = 1e-5
        slope = (loss(circuit.values(weights + change))[0] - loss(circuit.values(weights - change))[0]) / 2e-5
        assert gradient[index] == pytest.approx(slope, abs=1e-8)


SUMS = {
    "a Hamiltonian on all read qubits": (template(), [3, 0, 1], ["XYZ", "ZZI", "YIX", "III"], [[0.5, -1.0, 0.7, 2.0]]),
    "several sums of different supports": (template(), [3, 0, 4], ["IIX", "ZYI", "XXX"], np.eye(3)),
    "a read qubit that no string touches": (template(), [2, 0, 3], ["IXI", "XIZ"], [[1.0, 0.0], [0.3, 0.4]]),
    "no two-qubit gate": (template(()), [3, 0], ["XY", "ZX"], [[1.0, 0.5]]),
    "one pair, the other way round": (template(((0, 1),)), [1, 0], ["XY", "YZ"], [[1.0, 0.5]]),
}


@pytest.mark.parametrize("case", SUMS)
def test_gradients_of_pauli_sums_equal_finite_differences(case, quito):
    circuit, qubits, labels, coefficients = SUMS[case]
    rng = np.random.default_rng(1)
    program = read_program(circuit, quito, qubits, inputs=X, weights=W)
    data, weights = rng.uniform(-3, 3, (4, 4)), rng.uniform(-3, 3, 8)
    trained = NoiseAwareCircuit(program, data, observables=PauliSums(labels, coefficients))
    wanted = noisy_pauli_sums([bind_weights(program, weights)], labels, coefficients, data, engine="reference")[0]
    np.testing.assert_allclose(trained.values(weights), wanted, rtol=0, atol=1e-12)
    pull = rng.normal(size=wanted.shape)

    def loss(values):
        return float((pull * np.tanh(values)).sum()), pull / np.cosh(values) ** 2

    value, gradient = trained.value_and_gradient(weights, loss)
    assert value == pytest.approx(loss(wanted)[0], abs=1e-12)
    assert np.abs(gradient).max() > 1e-3
    for index in range(8):
        change = np.zeros(8)
        change[index] = 1e-5
        slope = (loss(trained.values(weights + change))[0] - loss(trained.values(weights - change))[0]) / 2e-5
        assert gradient[index] == pytest.approx(slope, abs=1e-8)


def test_the_energy_of_a_hamiltonian_falls_to_its_noisy_ground_state(quito):
    """VQE without data: Z0 Z1 + X0 + X1 on a circuit that can reach its ground state, -sqrt(5) without noise."""
    labels, coefficients = ["ZZ", "IX", "XI"], [[1.0, 1.0, 1.0]]
    circuit = QuantumCircuit(5)
    for layer in range(2):
        for qubit in (0, 1):
            circuit.sx(qubit)
            circuit.rz(W[4 * layer + qubit], qubit)
            circuit.sx(qubit)
            circuit.rz(W[4 * layer + 2 + qubit], qubit)
        if not layer:
            circuit.cx(0, 1)
    program = read_program(circuit, quito, [0, 1], weights=W)
    trained = NoiseAwareCircuit(program, observables=PauliSums(labels, coefficients))
    weights = np.random.default_rng(0).uniform(-1, 1, 8)
    first, _ = trained.value_and_gradient(weights, energy)
    for _ in range(300):
        _, gradient = trained.value_and_gradient(weights, energy)
        weights -= 0.1 * gradient
    last, gradient = trained.value_and_gradient(weights, energy)
    assert np.abs(gradient).max() < 1e-2
    assert -np.sqrt(5) < last < min(first, -1.6)  # noise keeps it above the ground state
    exact = noisy_pauli_sums([bind_weights(program, weights)], labels, coefficients)[0, 0, 0]
    assert last == pytest.approx(exact, abs=1e-12)


def test_encoded_qubits_that_nothing_measured_sees_are_left_out(quito):
    program = read_program(template(((1, 3),)), quito, [3, 0], inputs=X, weights=W)
    data, weights = np.random.default_rng(0).uniform(-3, 3, (3, 4)), np.linspace(-1, 2, 8)
    trained = NoiseAwareCircuit(program, data, max_qubits=3)  # five qubits carry gates, four of them data
    wanted = noisy_expectations([bind_weights(program, weights)], data, engine="reference")[0]
    np.testing.assert_allclose(trained.values(weights), wanted, rtol=0, atol=1e-12)


def test_sums_that_no_weight_changes_or_that_do_not_fit_are_refused(quito):
    program = problem(quito, *CASES["several readouts"])[0]
    data = np.zeros((1, 4))
    with pytest.raises(InputError, match="multiples of the identity"):
        NoiseAwareCircuit(program, data, observables=PauliSums(["III", "XXX"], [[1.0, 0.0]]))
    with pytest.raises(InputError, match="'XX' has 2 characters and the program reads 3 qubits"):
        NoiseAwareCircuit(program, data, observables=PauliSums(["XX"], [[1.0]]))


def test_a_two_qubit_rotation_has_a_gradient(device_named):
    device = device_named("FakeFractionalBackend")
    a, b = sorted(qubits for qubits in device.target["rzz"] if len(qubits) == 2)[0]
    circuit = QuantumCircuit(device.num_qubits)
    for index, qubit in enumerate((a, b)):
        circuit.rx(X[index], qubit)
    circuit.rzz(W[0], a, b)
    circuit.rx(W[1], a)
    circuit.rx(W[2] + W[0], b)
    circuit.rzz(W[3], a, b)
    circuit.rx(W[4], b)
    _, trained, _, loss, weights = problem(device, circuit, [b, a])
    _, gradient = trained.value_and_gradient(weights, loss)
    for index in range(8):
        change = np.zeros(8)
        change[index] = 1e-5
        slope = (loss(trained.values(weights + change))[0] - loss(trained.values(weights - change))[0]) / 2e-5
        assert gradient[index] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("case", ["several readouts", "one pair"])
def test_gradients_equal_autograd_through_a_plain_implementation(case, quito):
    torch = pytest.importorskip("torch")
    from coevo.hardware.quantum.table import SINGLE_BASIS

    program, circuit, data, loss, weights = problem(quito, *CASES[case])
    _, gradient = circuit.value_and_gradient(weights, loss)
    leaf = torch.tensor(weights, requires_grad=True)
    singles, doubles = (torch.tensor(array) for array in (quito.channels.singles, quito.channels.doubles))
    basis = torch.tensor(SINGLE_BASIS)

    def push(state, part, values):  # [samples] + [4] * 5
        angles = [
            values.new_tensor(angle) + torch.zeros(values.shape[:-1], dtype=values.dtype) for angle in part.angles
        ]
        for (row, index), slope in zip(part.terms.tolist(), part.slopes.tolist(), strict=True):
            angles[row] = angles[row] + slope * values[..., index]
        for (first, second, rotation, after), angle in zip(part.rows.tolist(), angles, strict=True):
            if second < 0:
                matrix = torch.eye(4, dtype=torch.float64)
                if rotation >= 0:
                    wide = angle[..., None, None]
                    matrix = (
                        basis[rotation, 0] + torch.cos(wide) * basis[rotation, 1] + torch.sin(wide) * basis[rotation, 2]
                    )
                matrix = singles[after] @ matrix if after >= 0 else matrix
                moved = state.movedim(1 + first, -1)
                matrix = matrix.reshape(-1, *[1] * 4, 4, 4) if matrix.ndim == 3 else matrix
                state = (matrix @ moved[..., None])[..., 0].movedim(-1, 1 + first)
            else:
                moved = state.movedim((1 + first, 1 + second), (-2, -1))
                flat = moved.reshape(*moved.shape[:-2], 16) @ doubles[after].T
                state = flat.reshape(moved.shape).movedim((-2, -1), (1 + first, 1 + second))
        return state

    state = torch.ones(len(data), dtype=torch.float64)
    for _ in range(5):
        state = state[..., None] * torch.tensor([1.0, 0, 0, 1], dtype=torch.float64)
    for part in program.encoder.parts:
        state = push(state, part, torch.tensor(data))
    state = push(state, program.body, leaf)
    columns = []
    for qubit, (identity, z) in zip(program.read, program.readout, strict=True):
        place = [0] * 5
        mean = identity * state[(slice(None), *place)]
        place[qubit] = 3
        columns.append(mean + z * state[(slice(None), *place)])
    values = torch.stack(columns, dim=1)
    np.testing.assert_allclose(values.detach().numpy(), circuit.values(weights), rtol=0, atol=1e-12)
    values.backward(torch.tensor(loss(values.detach().numpy())[1]))
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=0, atol=1e-8)


def test_single_precision_and_several_candidates(quito):
    made = [problem(quito, *CASES[case]) for case in ("several readouts", "light cone drops gates", "one readout")]
    weights = [each[4] for each in made]
    alone = [each[1].value_and_gradient(each[4], each[3]) for each in made[:1]]
    together = noise_aware_gradients([each[1] for each in made[:1]] * 2, [weights[0], weights[1]], made[0][3])
    np.testing.assert_array_equal(together[0][1], alone[0][1])
    single = problem(quito, *CASES["several readouts"], dtype=np.float32)[1]
    _, gradient = single.value_and_gradient(weights[0], made[0][3])
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, alone[0][1], atol=1e-5)


def test_what_cannot_be_trained_is_refused(quito):
    program, circuit, data, _, weights = problem(quito, *CASES["several readouts"])
    with pytest.raises(InputError, match="expected 8 finite weights"):
        circuit.values(weights[:7])
    with pytest.raises(InputError, match="expected 8 finite weights"):
        circuit.values(weights * np.nan)
    with pytest.raises(InputError, match="unbound weights; bind them"):
        noisy_expectations([program], data)
    with pytest.raises(InputError, match=r"expected finite inputs \[samples, 4\]"):
        NoiseAwareCircuit(program, data[:, :3])
    with pytest.raises(InputError, match="max_qubits=3"):
        NoiseAwareCircuit(program, data, max_qubits=3)
    with pytest.raises(InputError, match="gave a gradient of shape"):
        circuit.value_and_gradient(weights, lambda values: (0.0, values[:2]))
