"""What is offered above the size limit: sampled trajectories and success rates; and programs without Qiskit."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from coevo.cost_models.circuit_noise import (
    Input,
    noisy_expectations,
    program_from_gates,
    read_program,
    success_rate,
    trajectory_expectations,
)
from coevo.cost_models.circuit_noise.jumps import kraus_operators
from coevo.cost_models.circuit_noise.trajectories import standard_error
from coevo.errors import InputError
from coevo.hardware.quantum.channels import average_infidelity, relaxation


def test_kraus_operators_give_the_channel_back(quito):
    from qiskit.quantum_info import PTM, Kraus

    for name, qubits in (("sx", (1,)), ("cx", (0, 1)), ("x", (2,))):
        matrix = quito.transfer_matrix(name, qubits)
        kraus = kraus_operators(matrix)
        assert 1 < len(kraus) <= len(matrix)
        np.testing.assert_allclose(np.einsum("kji,kjl->il", kraus.conj(), kraus), np.eye(len(kraus[0])), atol=1e-12)
        again = PTM(Kraus(list(kraus))).data.real
        np.testing.assert_allclose(again, matrix, atol=1e-12)  # one order of qubits in both


def test_trajectories_scatter_around_the_exact_values(quito, random_circuit):
    rng = np.random.default_rng(4)
    circuit, active = random_circuit(quito, 4, 40, rng)
    program = read_program(circuit, quito, active)
    found = trajectory_expectations(program, trajectories=3000, seed=1)
    exact = noisy_expectations([program], engine="torch")[0]
    assert (found.standard_error > 0).all()
    assert (found.standard_error < 0.03).all()
    assert (np.abs(found.mean - exact) < 4 * found.standard_error).all()
    again = trajectory_expectations(program, trajectories=3000, seed=1)
    np.testing.assert_array_equal(again.mean, found.mean)
    assert (trajectory_expectations(program, trajectories=3000, seed=2).mean != found.mean).any()


def test_trajectories_of_encoded_samples(quito):
    x = ParameterVector("x", 2)
    circuit = QuantumCircuit(5)
    for index in range(2):
        circuit.sx(index)
        circuit.rz(x[index], index)
        circuit.sx(index)
    circuit.cx(0, 1)
    program = read_program(circuit, quito, [1, 0], inputs=x)
    data = np.array([[0.4, 2.0], [-1.0, 0.1]])
    found = trajectory_expectations(program, data, trajectories=4000, seed=0)
    exact = noisy_expectations([program], data, engine="torch")[0]
    assert found.mean.shape == (2, 2)
    assert (np.abs(found.mean - exact) < 4 * found.standard_error).all()


def test_readouts_of_one_trajectory_covary(quito):
    circuit = QuantumCircuit(5)
    for gate in ("sx", "x", "sx"):
        getattr(circuit, gate)(1)
    for _ in range(6):
        circuit.cx(1, 0)
        circuit.cx(0, 1)
    program = read_program(circuit, quito, [0, 1])
    runs = [trajectory_expectations(program, trajectories=1000, seed=seed) for seed in range(200)]
    wanted = np.cov(np.array([run.mean[0] for run in runs]).T)
    told = np.mean([run.covariance[0] for run in runs], axis=0)
    assert abs(wanted[0, 1]) > 0.05 * wanted[0, 0]  # there is something to see
    np.testing.assert_allclose(told, wanted, rtol=0.35)
    np.testing.assert_allclose(np.diagonal(runs[0].covariance[0]), runs[0].standard_error[0] ** 2)


def test_trajectories_reach_where_operators_do_not(device_named):
    device = device_named("FakeGuadalupeV2")
    line = [0, 1, 2, 3, 5, 8, 11, 14, 13, 12, 10, 7]
    circuit = QuantumCircuit(16)
    circuit.x(0)  # the excitation travels down the line, and every error on the way can flip what is read
    for a, b in itertools.pairwise(line):
        circuit.cx(a, b)
    program = read_program(circuit, device, [7])
    with pytest.raises(InputError, match=r"12 qubits.*max_qubits=10.*trajectory_expectations"):
        noisy_expectations([program], engine="torch")
    found = trajectory_expectations(program, trajectories=400, seed=0)
    exact = noisy_expectations([program], engine="compiled", max_qubits=12)[0]
    assert (np.abs(found.mean - exact) < 4 * found.standard_error).all()
    with pytest.raises(InputError, match="12 qubits, more than max_qubits=11"):
        trajectory_expectations(program, trajectories=4, seed=0, max_qubits=11)
    with pytest.raises(InputError, match="2 trajectories or more"):
        trajectory_expectations(program, trajectories=1, seed=0)


@pytest.mark.parametrize("n", [100, 1000])
def test_the_standard_error_is_honest_for_rare_events(n):
    """Of n outcomes +1 or -1: mean +- 1.96 standard errors holds the truth in 94 % of all cases at any share, by the
    binomial distribution itself."""
    stats = pytest.importorskip("scipy.stats")
    counts = np.arange(n + 1)
    values = 1 - 2 * (np.arange(n)[:, None] < counts[None])  # column k: k outcomes of -1
    mean, bound = values.mean(axis=0), np.ones(n + 1)
    error = standard_error(values, -bound, bound)
    plain = values.std(axis=0, ddof=1) / np.sqrt(n)
    for share in np.geomspace(1e-4 / n, 0.5, 400):
        chance, truth = stats.binom.pmf(counts, n, share), 1 - 2 * share
        assert chance[np.abs(mean - truth) <= 1.96 * error].sum() > 0.94
        if share < 0.1 / n:  # nothing seen, no spread: the usual error is wrong almost always
            assert chance[np.abs(mean - truth) <= 1.96 * plain].sum() < 0.1
    common = counts == n // 2
    np.testing.assert_allclose(error[common], plain[common], rtol=3 / np.sqrt(n))


def test_errors_too_rare_to_be_drawn_stay_within_the_standard_error(quito):
    circuit = QuantumCircuit(5)
    circuit.x(0)
    circuit.x(0)
    program = read_program(circuit, quito.scaled(0.1), [0])
    exact = noisy_expectations([program], engine="torch")[0, 0]
    found = [trajectory_expectations(program, trajectories=20, seed=seed) for seed in range(40)]
    assert len({float(each.mean[0, 0]) for each in found}) < 5  # 20 trajectories hardly ever see an error of 1e-4
    inside = [abs(each.mean - exact)[0, 0] <= 1.96 * each.standard_error[0, 0] for each in found]
    assert np.mean(inside) >= 0.94


def test_without_noise_one_trajectory_is_exact(quito):
    circuit = QuantumCircuit(5)
    circuit.sx(0)
    circuit.rz(0.4, 0)
    circuit.sx(0)
    circuit.cx(0, 1)
    program = read_program(circuit, quito.scaled(0), [1, 0])
    found = trajectory_expectations(program, trajectories=2, seed=0)
    np.testing.assert_allclose(found.mean, noisy_expectations([program], engine="torch")[0], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.standard_error, 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tensors_walk_the_same_trajectories(dtype, quito, random_circuit):
    pytest.importorskip("torch")
    circuit, active = random_circuit(quito, 4, 30, np.random.default_rng(9))
    program = read_program(circuit, quito, active)
    options = {"trajectories": 50, "seed": 3}
    plain = trajectory_expectations(program, **options)
    found = trajectory_expectations(program, engine="torch", dtype=dtype, **options)
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(found.mean, plain.mean, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.standard_error, plain.standard_error, rtol=0, atol=tolerance)


def test_a_chunk_of_trajectories_at_a_time_changes_nothing(quito, random_circuit, monkeypatch):
    from coevo.cost_models.circuit_noise import trajectories as module

    circuit, active = random_circuit(quito, 4, 30, np.random.default_rng(9))
    program = read_program(circuit, quito, active)
    whole = trajectory_expectations(program, trajectories=50, seed=3)
    monkeypatch.setattr(module, "_CHUNK", 16 * 7)
    parts = trajectory_expectations(program, trajectories=50, seed=3)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=0, atol=1e-13)


def test_readouts_with_small_cones_of_a_wide_circuit(device_named):
    """27 qubits in one layer of couplings: no state holds them together, each readout sees two to four."""
    device = device_named("FakeMontrealV2")
    circuit = QuantumCircuit(27)
    for qubit in range(27):
        circuit.sx(qubit)
        circuit.rz(0.1 * qubit, qubit)
        circuit.sx(qubit)
    used = set()
    for a, b in device.edges:
        if not {a, b} & used:
            circuit.cx(a, b) if (a, b) in device.target["cx"] else circuit.cx(b, a)
            used |= {a, b}
    program = read_program(circuit, device, range(27))
    found = trajectory_expectations(program, trajectories=300, seed=0, max_qubits=6)
    exact = np.array(
        [noisy_expectations([read_program(circuit, device, [qubit])], engine="torch")[0, 0, 0] for qubit in range(27)]
    )
    assert (np.abs(found.mean[0] - exact) < 4 * found.standard_error[0]).all()
    with pytest.raises(InputError, match=r"readout of qubit \d+ has 2 qubits, more than max_qubits=1"):
        trajectory_expectations(program, trajectories=2, seed=0, max_qubits=1)


def test_wrong_trajectory_options_are_refused(quito):
    program = read_program(QuantumCircuit(5), quito, [0])
    with pytest.raises(InputError, match="dtype float64 or float32, got int64"):
        trajectory_expectations(program, trajectories=2, seed=0, dtype=np.int64)
    with pytest.raises(InputError, match="an engine of numpy, torch, got 'fast'"):
        trajectory_expectations(program, trajectories=2, seed=0, engine="fast")


def test_the_artifacts_success_rate_multiplies_gate_errors_alone(quito):
    circuit = QuantumCircuit(5)
    circuit.sx(0)
    circuit.rz(0.3, 0)
    circuit.cx(0, 1)
    sx, cx = quito.target["sx"][(0,)].error, quito.target["cx"][(0, 1)].error
    assert success_rate(circuit, quito, variant="estnoise") == pytest.approx((1 - sx) * (1 - cx), rel=1e-12)


def test_the_full_success_rate_has_readout_and_waiting(quito):
    circuit = QuantumCircuit(5)
    circuit.sx(0)
    circuit.delay(2e-6, 0, unit="s")
    sx = quito.target["sx"][(0,)].error
    read = 1 - quito.target["measure"][(0,)].error
    waited = 1 - average_infidelity(relaxation(*quito.relaxation_times(0), 2e-6))
    assert success_rate(circuit, quito, [0]) == pytest.approx((1 - sx) * waited * read, rel=1e-12)
    # Without delays it is scheduled: qubit 1 waits after its sx until qubit 0 has had its three.
    plain = QuantumCircuit(5)
    for _ in range(3):
        plain.sx(0)
    plain.sx(1)
    plain.cx(0, 1)
    length = quito.target["sx"][(0,)].duration
    gates = (1 - sx) ** 3 * (1 - quito.target["sx"][(1,)].error) * (1 - quito.target["cx"][(0, 1)].error)
    idle = 1 - average_infidelity(relaxation(*quito.relaxation_times(1), 2 * length))
    readout = math.prod(1 - quito.target["measure"][(q,)].error for q in (0, 1))
    assert success_rate(plain, quito, [0, 1]) == pytest.approx(gates * idle * readout, rel=1e-12)


def test_a_gate_that_always_fails_is_clamped_in_the_artifacts_variant(quito, monkeypatch):
    from dataclasses import replace

    places = dict(quito.calibration.instructions["sx"])
    places[(0,)] = replace(places[(0,)], error=1.0)
    instructions = {**quito.calibration.instructions, "sx": places}
    monkeypatch.setattr(quito, "calibration", replace(quito.calibration, instructions=instructions))
    circuit = QuantumCircuit(5)
    circuit.sx(0)
    assert success_rate(circuit, quito, variant="estnoise") == 1e-5
    assert success_rate(circuit, quito, [0]) == 0
    with pytest.raises(InputError, match="'full' or 'estnoise', got 'some'"):
        success_rate(circuit, quito, variant="some")


def test_programs_without_qiskit_equal_those_from_circuits(quito):
    x = ParameterVector("x", 2)
    circuit = QuantumCircuit(5)
    circuit.sx(1)
    circuit.rz(2 * x[1] + 0.5, 1)
    circuit.sx(1)
    circuit.delay(1e-6, 1, unit="s")
    circuit.rz(-x[0], 3)
    circuit.x(3)
    circuit.cx(1, 3)
    circuit.rz(0.7, 3)
    gates = [
        ("sx", (1,), ()),
        ("rz", (1,), (Input(1, 2.0, 0.5),)),
        ("sx", (1,), ()),
        ("delay", (1,), (1e-6,)),
        ("rz", (3,), (Input(0, -1.0),)),
        ("x", (3,), ()),
        ("cx", (1, 3), ()),
        ("rz", (3,), (0.7,)),
    ]
    data = np.random.default_rng(0).uniform(-3, 3, (4, 2))
    wanted = noisy_expectations([read_program(circuit, quito, [3, 1], inputs=x)], data, engine="torch")
    found = noisy_expectations([program_from_gates(gates, quito, [3, 1], num_inputs=2)], data, engine="torch")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)
    with pytest.raises(InputError, match="takes input 5 of 2"):
        program_from_gates([("rz", (0,), (Input(5),))], quito, [0], num_inputs=2)
