"""The noise engine on a CUDA device against the plain NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.cost_models.circuit_noise import (
    noisy_expectations,
    noisy_pauli_sums,
    outcome_probabilities,
    trajectory_expectations,
)

pytest.importorskip("torch")
pytestmark = pytest.mark.gpu

ENGINES = ["torch", "triton"]
PRECISIONS = [(np.float64, 1e-11), (np.float32, 2e-5)]


def random_sums(rng, qubits):
    labels = ["".join(rng.choice(list("IXYZ"), qubits)) for _ in range(5)]
    coefficients = rng.normal(size=(2, 5))
    coefficients[1, 1:] = 0  # observables of different supports
    return labels, coefficients


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("seed", range(25))
def test_expectations_equal_the_reference(engine, seed, dtype, tolerance, random_batch):
    programs, data = random_batch(seed)
    wanted = noisy_expectations(programs, data, engine="reference")
    found = noisy_expectations(programs, data, dtype=dtype, engine=engine, device="cuda")
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("seed", range(100, 115))
def test_pauli_sums_and_bit_strings_equal_the_reference(engine, seed, dtype, tolerance, random_batch):
    programs, data = random_batch(seed)
    labels, coefficients = random_sums(np.random.default_rng(seed), len(programs[0].read))
    wanted = noisy_pauli_sums(programs, labels, coefficients, data, engine="reference")
    found = noisy_pauli_sums(programs, labels, coefficients, data, dtype=dtype, engine=engine, device="cuda")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=4 * tolerance)
    chances = outcome_probabilities(programs, data, engine="reference")
    np.testing.assert_allclose(
        outcome_probabilities(programs, data, dtype=dtype, engine=engine, device="cuda"),
        chances,
        rtol=0,
        atol=tolerance,
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("qubits", [7, 8, 9, 10])
def test_many_qubits_equal_the_tensors_on_the_cpu(engine, qubits, dtype, tolerance, devices, random_program):
    rng = np.random.default_rng(qubits)
    device = devices["guadalupe"]
    programs = [random_program(device, rng, qubits, 150, qubits, 3) for _ in range(2)]
    data = rng.uniform(-3, 3, (4, 3))
    wanted = noisy_expectations(programs, data, engine="torch")
    found = noisy_expectations(programs, data, dtype=dtype, engine=engine, device="cuda")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("engine", ENGINES)
def test_many_qubits_without_a_two_qubit_gate(engine, devices, random_program):
    program = random_program(devices["guadalupe"], np.random.default_rng(0), 8, 0, 8, 0)
    wanted = noisy_expectations([program], engine="reference")
    found = noisy_expectations([program], engine=engine, device="cuda")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_trajectories_are_those_of_numpy(dtype, devices, random_program):
    rng = np.random.default_rng(3)
    program, data = random_program(devices["quito"], rng, 4, 40, 3, 2), rng.uniform(-3, 3, (2, 2))
    options = {"trajectories": 60, "seed": 5}
    wanted = trajectory_expectations(program, data, **options)
    found = trajectory_expectations(program, data, dtype=dtype, **options, engine="torch", device="cuda")
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(found.mean, wanted.mean, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.standard_error, wanted.standard_error, rtol=0, atol=tolerance)
