"""Decompositions equal the gates they stand for, in few pulses, with affine angles."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("qiskit")

from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator

from coevo.cost_models.circuit_noise import read_program
from coevo.cost_models.circuit_noise.program import affine_angles
from coevo.errors import InputError, UnknownName
from coevo.hardware.quantum import QuantumDevice
from coevo.kernels.statevector.circuit import GATES
from coevo.kernels.statevector.reference import apply_gate, gate_matrix
from coevo.spaces.quantumnas.mapping.decompose import decompose

ANGLES = {"u3": 3, "cu3": 3} | dict.fromkeys(("rx", "ry", "rz", "u1", "rzz", "rxx", "ryy", "rzx"), 1)
TWO_QUBITS = {"cu3", "rzz", "rxx", "ryy", "rzx", "cx", "cz", "swap", "sqrtswap"}


def shape(name):
    """(qubits, angles) of a gate."""
    return 1 + (name in TWO_QUBITS), ANGLES.get(name, 0)


MOST_CX = dict.fromkeys(("cu3", "rzz", "rxx", "ryy", "rzx"), 2) | {"cx": 1, "cz": 1, "swap": 3, "sqrtswap": 3}
MOST_SX = {"u3": 2, "rx": 2, "ry": 2, "h": 1, "sx": 1, "cu3": 4, "rxx": 4, "ryy": 4, "rzx": 2, "cz": 2, "sqrtswap": 4}


def by_reference(n_qubits, gates, angles):
    """[2^n, 2^n], by the textbook kernels."""
    columns = np.eye(2**n_qubits, dtype=complex)
    for name, qubits, slots in gates:
        columns = apply_gate(columns, gate_matrix(name, [angles[slot] for slot in slots]), qubits)
    return columns.T


def same_up_to_phase(found, wanted):
    overlap = np.trace(wanted.conj().T @ found) / len(wanted)
    np.testing.assert_allclose(found, overlap * wanted, rtol=0, atol=1e-12)
    assert abs(overlap) == pytest.approx(1, abs=1e-12)


def operator(circuit, angles):
    ordered = sorted(circuit.parameters, key=lambda parameter: parameter.index)
    return Operator(circuit.assign_parameters({each: angles[each.index] for each in ordered})).data


@pytest.mark.parametrize("name", GATES)
def test_every_gate_on_every_order_of_its_qubits(name):
    rng = np.random.default_rng(len(name))
    qubits, count = shape(name)
    orders = [(0,), (1,)] if qubits == 1 else [(0, 1), (1, 0), (0, 2), (2, 1)]
    for order in orders:
        n_qubits = max(order) + 1
        gates = [(name, order, tuple(range(count)))]
        circuit = decompose(n_qubits, gates)
        counts = circuit.count_ops()
        assert set(counts) <= {"rz", "sx", "x", "cx"}
        assert counts.get("cx", 0) <= MOST_CX.get(name, 0)
        assert counts.get("sx", 0) <= MOST_SX.get(name, 0)
        corners = [np.zeros(count), np.full(count, np.pi), np.full(count, -np.pi / 2)] if count else []
        for angles in [*corners, *rng.uniform(-7, 7, (4, count))]:
            wanted = by_reference(n_qubits, gates, angles)
            same_up_to_phase(operator(circuit, angles), wanted)
            same_up_to_phase(Operator(decompose(n_qubits, gates, angles.tolist())).data, wanted)


def test_a_u3_is_five_rotations():
    circuit = decompose(1, [("u3", (0,), (0, 1, 2))])
    assert [item.operation.name for item in circuit.data] == ["rz", "sx", "rz", "sx", "rz"]


def random_gates(n_qubits, count, seed):
    rng = np.random.default_rng(seed)
    gates, slot = [], 0
    for name in rng.choice([name for name in GATES if shape(name)[0] <= n_qubits], count):
        qubits, angles = shape(name)
        gates.append((str(name), tuple(rng.permutation(n_qubits)[:qubits].tolist()), tuple(range(slot, slot + angles))))
        slot += angles
    return gates, rng.uniform(-4, 4, slot)


@pytest.mark.parametrize(("n_qubits", "seed"), [(1, 0), (2, 1), (3, 2), (4, 3)])
def test_whole_circuits(n_qubits, seed):
    gates, angles = random_gates(n_qubits, 40, seed)
    circuit = decompose(n_qubits, gates)
    assert circuit.num_parameters == len(angles)
    same_up_to_phase(operator(circuit, angles), by_reference(n_qubits, gates, angles))


def test_gates_may_share_angles_and_take_expressions():
    weight, gates = Parameter("w"), [("ry", (0,), (0,)), ("rzz", (0, 1), (0,)), ("rx", (1,), (1,))]
    circuit = decompose(2, gates, [2 * weight - 1, 0.3])
    found = Operator(circuit.assign_parameters({weight: 0.7})).data
    same_up_to_phase(found, by_reference(2, gates, [0.4, 0.3]))


def test_neighbouring_rz_are_one_and_none_turns_by_nothing():
    assert decompose(1, [("rz", (0,), (0,)), ("u1", (0,), (1,)), ("s", (0,), ())]).count_ops() == {"rz": 1}
    assert decompose(2, [("t", (0,), ()), ("cx", (0, 1), ()), ("tdg", (0,), ())]).count_ops() == {"cx": 1}
    assert decompose(1, [("z", (0,), ()), ("z", (0,), ())]).count_ops() == {}
    assert decompose(2, []).num_qubits == 2


def test_every_angle_is_affine_in_the_weights():
    device = QuantumDevice.from_name("FakeQuitoV2")
    gates = [("u3", (0,), (0, 1, 2)), ("cu3", (0, 1), (3, 4, 5)), ("rxx", (1, 0), (6,)), ("ry", (1,), (7,))]
    circuit = decompose(2, gates)
    weights = list(circuit.parameters)
    program = read_program(circuit, device, [0, 1], weights=weights)
    values = np.random.default_rng(0).uniform(-3, 3, len(weights))
    bound = read_program(circuit.assign_parameters(dict(zip(weights, values, strict=True))), device, [0, 1])
    difference = affine_angles(program.body, values) - bound.body.angles
    np.testing.assert_allclose(np.exp(1j * difference), 1, rtol=0, atol=1e-12)
    assert np.bincount(program.body.terms[:, 0]).max() > 1  # sums of several weights do occur


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: decompose(1, [("u4", (0,), ())]), UnknownName, r"unknown gate 'u4' in gate 0.*Did you mean"),
        (lambda: decompose(2, [("h", (0,), ()), ("cx", (0, 0), ())]), InputError, "gate 1, 'cx' on qubits"),
        (lambda: decompose(2, [("cx", (0, 2), ())]), InputError, "2 distinct qubits of 0 to 1"),
        (lambda: decompose(2, [("cx", (0,), ())]), InputError, "expected 2 distinct qubits"),
        (lambda: decompose(1, [("u3", (0,), (0, 1))]), InputError, "expected 3 of the 2 angles"),
        (lambda: decompose(1, [("rx", (0,), (1,))], [0.1]), InputError, "expected 1 of the 1 angles"),
        (lambda: decompose(1, [("rx", (0,), (0,))], [np.nan]), InputError, "angle 0 is nan"),
        (lambda: decompose(1, [("rx", (0,), (0,))], [np.float32(np.inf)]), InputError, "angle 0 is inf"),
    ],
)
def test_wrong_gates_are_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()
