"""Pulled-back observables are exact: equal to Aer's density matrices and to the plain reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from coevo.cost_models.circuit_noise import Observables, noisy_observables, reference_expectations
from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice

# cx, u3 and rzz devices whose error terms Aer keeps in full; a T, a line, a bow tie and larger maps.
KEPT = ["FakeQuitoV2", "FakeYorktownV2", "FakeLimaV2", "FakeJakartaV2", "FakeGuadalupeV2", "FakeEssexV2"]
# Devices with ecr, cz or fractional gates, or on which Aer drops tiny error terms (Santiago, Peekskill, Prague).
OTHER = ["FakeSantiagoV2", "FakePeekskill", "FakePrague", "FakeFractionalBackend"]


@pytest.mark.parametrize("name", KEPT)
def test_random_circuits_equal_aers_density_matrix_simulator(
    name, device_named, random_circuit, aer_expectations, exact
):
    device, rng = device_named(name), np.random.default_rng(7)
    pairs = [random_circuit(device, 1 + index, 20 * (1 + index), rng) for index in range(5)]
    aers, lost = aer_expectations(device, *zip(*pairs, strict=True))
    assert max(np.abs(lost)) < 1e-12
    for (circuit, active), wanted in zip(pairs, aers, strict=True):
        np.testing.assert_allclose(exact(circuit, device, active), wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", OTHER)
def test_random_circuits_equal_aer_where_it_is_given_whole_channels(
    name, device_named, random_circuit, aer_expectations, exact
):
    device, rng = device_named(name), np.random.default_rng(3)
    circuits, actives = zip(*(random_circuit(device, 4, 40, rng) for _ in range(2)), strict=True)
    ours = [exact(circuit, device, active) for circuit, active in zip(circuits, actives, strict=True)]
    whole, _ = aer_expectations(device, circuits, actives, whole_channels=True)
    stock, lost = aer_expectations(device, circuits, actives)
    for mine, wanted, dropped, trace in zip(ours, whole, stock, lost, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=1e-10)
        assert np.abs(mine - dropped).max() <= trace + 1e-10  # no more than the trace that Aer lost


@pytest.mark.parametrize("seed", range(6))
def test_random_circuits_equal_the_plain_reference(seed, quito, random_circuit, exact):
    rng = np.random.default_rng(seed)
    circuit, active = random_circuit(quito, int(rng.integers(1, 5)), int(rng.integers(0, 30)), rng)
    wanted = reference_expectations(circuit, quito, active)
    np.testing.assert_allclose(exact(circuit, quito, active), wanted, rtol=0, atol=1e-12)


def circuit_of(*gates, num_qubits=5):
    """("sx", 0), ("rz", 0.3, 1), ("cx", 0, 1) ... as a circuit."""
    circuit = QuantumCircuit(num_qubits)
    for name, *arguments in gates:
        getattr(circuit, name)(*arguments)
    return circuit


EDGE_CASES = {
    "no gate at all": ([], [0]),
    "one gate": ([("sx", 0)], [0]),
    "one two-qubit gate, both read": ([("x", 0), ("cx", 0, 1)], [1, 0]),
    "a read qubit without gates": ([("x", 0)], [3, 0]),
    "only error-free gates": ([("rz", 0.4, 2)], [2]),
    "both directions of a pair": ([("sx", 0), ("cx", 0, 1), ("rz", 0.7, 1), ("cx", 1, 0), ("sx", 1)], [0, 1]),
    "the same gate many times": ([("x", 1)] * 9 + [("cx", 1, 3)] * 8, [3, 1]),
    "a swap by three": ([("x", 3), ("cx", 3, 4), ("cx", 4, 3), ("cx", 3, 4)], [4, 3]),
    "gates after the last two-qubit gate": ([("cx", 0, 1), ("sx", 1), ("rz", 0.2, 1), ("sx", 1)], [1, 0]),
    "two pairs apart": ([("sx", 0), ("cx", 0, 1), ("sx", 3), ("cx", 3, 4), ("cx", 0, 1)], [4, 1]),
    "an interrupted pair": ([("sx", 1), ("cx", 1, 3), ("cx", 1, 2), ("sx", 3), ("cx", 1, 3)], [3, 2, 1]),
}


@pytest.mark.parametrize("case", EDGE_CASES)
def test_edge_cases_equal_the_plain_reference(case, quito, exact):
    gates, qubits = EDGE_CASES[case]
    circuit = circuit_of(*gates)
    wanted = reference_expectations(circuit, quito, qubits)
    np.testing.assert_allclose(exact(circuit, quito, qubits), wanted, rtol=0, atol=1e-12)


def test_readout_error_stands_in_the_operator(quito):
    observables = noisy_observables(QuantumCircuit(5), quito, [2])
    flip = quito.readout_matrix(2)[1, 0]
    assert observables.qubits == (2,)
    np.testing.assert_allclose(observables.coefficients, [[0, 0, 0, 1 - 2 * flip]], atol=1e-15)


def test_asymmetric_readout_shifts_the_mean(quito, monkeypatch, exact):
    device = QuantumDevice(quito.calibration)  # of its own: a device computes its readouts once
    monkeypatch.setattr(device, "readout_matrix", lambda qubit: np.array([[0.98, 0.2], [0.02, 0.8]]))
    observables = noisy_observables(QuantumCircuit(5), device, [0])
    np.testing.assert_allclose(observables.coefficients, [[0.18, 0, 0, 0.78]], atol=1e-15)
    assert exact(QuantumCircuit(5), device, [0]) == pytest.approx(0.96)


def test_rows_follow_the_readout_order_and_digits_the_ascending_qubits(quito):
    circuit = circuit_of(("cx", 3, 1))
    forth, back = (noisy_observables(circuit, quito, qubits) for qubits in ([3, 1], [1, 3]))
    assert forth.qubits == back.qubits == (1, 3)
    np.testing.assert_allclose(forth.coefficients, back.coefficients[::-1])
    z_of_1, zz = 4 * 3 + 0, 4 * 3 + 3  # 4 * P(qubit 1) + P(qubit 3)
    assert forth.coefficients[1, zz] > 0.7
    assert abs(forth.coefficients[1, z_of_1]) < 0.1


def test_gates_outside_the_light_cone_change_nothing(quito):
    inside = circuit_of(("sx", 0), ("cx", 0, 1))
    outside = circuit_of(("sx", 3), ("sx", 0), ("cx", 0, 1), ("cx", 3, 4), ("sx", 4))
    a, b = noisy_observables(inside, quito, [1]), noisy_observables(outside, quito, [1])
    assert a.qubits == b.qubits == (0, 1)
    np.testing.assert_array_equal(a.coefficients, b.coefficients)


def test_each_observable_is_what_it_is_alone(quito, random_circuit):
    circuit, active = random_circuit(quito, 4, 50, np.random.default_rng(11))
    together = noisy_observables(circuit, quito, active)
    for row, qubit in enumerate(active):
        alone = noisy_observables(circuit, quito, [qubit])
        assert set(alone.qubits) <= set(together.qubits)
        place = tuple(slice(None) if other in alone.qubits else 0 for other in together.qubits)  # identity elsewhere
        inside = together.coefficients[row].reshape([4] * len(together.qubits))[place]
        np.testing.assert_allclose(inside.ravel(), alone.coefficients[0], atol=1e-14)
        assert np.linalg.norm(inside) == pytest.approx(np.linalg.norm(together.coefficients[row]))


def test_barriers_and_final_measurements_are_no_gates(quito):
    plain = circuit_of(("sx", 0), ("cx", 0, 1))
    dressed = QuantumCircuit(5, 2)
    dressed.sx(0)
    dressed.barrier()
    dressed.cx(0, 1)
    dressed.measure(1, 0)
    dressed.measure(0, 1)
    wanted = noisy_observables(plain, quito, [1, 0]).coefficients
    np.testing.assert_array_equal(noisy_observables(dressed, quito, [1, 0]).coefficients, wanted)
    np.testing.assert_array_equal(noisy_observables(dressed, quito).coefficients, wanted)  # by classical bit


def test_qubits_are_positions_at_the_end_after_routing(quito, exact):
    """Logical 0 and 1 are no neighbours in this layout, so the transpiler moves them; the bits end as 1, 0, 0."""
    from qiskit import transpile

    logical = QuantumCircuit(3)
    logical.x(0)
    for a, b in ((1, 0), (2, 1), (1, 0)):
        logical.cx(a, b)
    start = [4, 0, 2]
    routed = transpile(logical, target=quito.target, initial_layout=start, optimization_level=0, seed_transpiler=0)
    final = routed.layout.final_index_layout()
    assert final != start
    assert list(np.sign(exact(routed, quito, final))) == [-1, 1, 1]
    assert list(np.sign(exact(routed, quito, start))) != [-1, 1, 1]


def refused(circuit, message, device, qubits=(0,), **options):
    with pytest.raises(InputError, match=message):
        noisy_observables(circuit, device, qubits, **options)


def test_a_coupling_that_the_device_lacks_is_refused(quito):
    refused(circuit_of(("cx", 0, 4)), r"fake_quito has no 'cx' on qubits \(0, 4\)", quito)


def test_a_gate_that_the_device_lacks_is_refused_also_outside_the_cone(quito):
    refused(circuit_of(("h", 0)), "fake_quito has no gate 'h'", quito)
    refused(circuit_of(("h", 4)), "fake_quito has no gate 'h'", quito)


def test_a_one_way_gate_the_wrong_way_round_is_refused(device_named):
    peekskill = device_named("FakePeekskill")
    a, b = next(qubits for qubits in peekskill.target["ecr"] if qubits[::-1] not in peekskill.target["ecr"])
    circuit = circuit_of(("ecr", b, a), num_qubits=peekskill.num_qubits)
    refused(circuit, r"no 'ecr' on qubits .*the other direction exists", peekskill, (a,))


def test_what_the_model_does_not_cover_is_refused(quito):
    reset = QuantumCircuit(5)
    reset.reset(1)
    refused(reset, "'reset' on qubit 1", quito)
    branch = QuantumCircuit(5, 1)
    with branch.if_test((0, 1)):
        branch.x(0)
    refused(branch, "control flow .'if_else'", quito)
    refused(circuit_of(("ccx", 0, 1, 2)), r"'ccx' acts on 3 qubits \(0, 1, 2\)", quito)


def test_a_measurement_in_the_middle_is_refused(quito):
    circuit = QuantumCircuit(5, 1)
    circuit.measure(0, 0)
    circuit.barrier()
    circuit.x(0)
    refused(circuit, r"'x' on qubits \(0,\) follows a measurement", quito)


def test_an_unbound_parameter_is_named(quito):
    refused(circuit_of(("rz", Parameter("theta"), 0)), "'rz' on qubits .* unbound parameter theta; bind", quito)


def test_wrong_readout_qubits_are_refused(quito):
    refused(QuantumCircuit(5), "no qubit to read out", quito, ())
    refused(QuantumCircuit(5), "no qubit to read out", quito, None)
    refused(QuantumCircuit(5), r"\[1, 1\] repeat one", quito, (1, 1))
    refused(QuantumCircuit(5), "readout of qubit 5, but fake_quito has qubits 0 to 4", quito, (5,))


def test_a_circuit_larger_than_the_device_is_refused(quito):
    refused(QuantumCircuit(6), "the circuit has 6 qubits and fake_quito has 5", quito)


def test_a_light_cone_beyond_the_limit_says_its_size(device_named):
    guadalupe = device_named("FakeGuadalupeV2")
    chain = [0, 1, 2, 3, 5, 8, 11, 14, 13, 12, 10]  # a line on the device's map
    circuit = circuit_of(*(("cx", a, b) for a, b in itertools.pairwise(chain)), num_qubits=16)
    refused(circuit, "has 11 qubits .*max_qubits=10: 1 observables would take 4\\^11 .* 32 MiB", guadalupe, (10,))
    refused(circuit, "has 4 qubits .*max_qubits=2", guadalupe, (2,), max_qubits=2)
    assert len(noisy_observables(circuit, guadalupe, [13]).qubits) == 10


def test_coefficients_that_do_not_fit_their_qubits_are_refused():
    with pytest.raises(InputError, match=r"expected coefficients \[n_obs, 4\^2\].*got shape \(1, 4\)"):
        Observables(np.zeros((1, 4)), (0, 1))
