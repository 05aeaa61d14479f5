"""Layouts that Qiskit chooses: the circuit stays what it is, the layout says where it is, and errors do not grow."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import Statevector

from coevo.cost_models.circuit_noise import success_rate
from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.kernels.statevector import product_states, run_gates
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.mapping.circuits import Front, Mapper, body_circuit
from coevo.spaces.quantumnas.mapping.qiskit_layouts import QiskitLayouts, post_layout
from coevo.spaces.quantumnas.tasks.catalogue import task_of

TEMPLATE = Template(GATE_SETS["u3cu3"], 4, 2)
RNG = np.random.default_rng(4)
ANGLES = RNG.uniform(-3, 3, TEMPLATE.n_angles)
X = RNG.uniform(-0.5, 2.8, 16)
ENCODER = task_of("mnist4").encoder
FRONT = Front(ENCODER, 4)
RING = TEMPLATE.gates_of(((0, 1, 2, 3),) * 4)
LINE = TEMPLATE.gates_of(((0, 1, 2, 3), (0, 1, 2)))  # fits a line of qubits without a SWAP


@pytest.fixture(scope="module")
def guadalupe():
    return QuantumDevice.from_name("FakeGuadalupeV2")


def body_of(gates):
    return body_circuit(gates, 4, ANGLES.tolist())


def fidelity(mapped, gates):
    """Of the whole mapped circuit with the kernels' state of the same gates, brought to its final places."""
    bound = [(name, qubits, tuple(ANGLES[list(slots)])) for name, qubits, slots in gates]
    state = run_gates(bound, product_states(X[None], ENCODER, 4))[0]
    whole = mapped.whole(measured=False).assign_parameters(dict(zip(FRONT.inputs, X, strict=True)))
    wanted = np.zeros(2**whole.num_qubits, complex)
    for index, amplitude in enumerate(state):
        wanted[sum((index >> q & 1) << mapped.final[q] for q in range(4))] = amplitude
    return abs(np.vdot(wanted, Statevector(whole).data)) ** 2


def check_layout(mapped, device):
    whole = mapped.whole()
    assert whole.layout.initial_index_layout(filter_ancillas=True) == list(mapped.initial)
    assert whole.layout.final_index_layout() == list(mapped.final)
    assert len(set(mapped.initial)) == len(set(mapped.final)) == 4
    success_rate(whole, device)  # raises where a gate is not the device's, there
    measured = {
        whole.find_bit(item.clbits[0]).index: whole.find_bit(item.qubits[0]).index
        for item in whole.data
        if item.name == "measure"
    }
    assert measured == dict(enumerate(mapped.final))


@pytest.mark.parametrize("gates", [RING, LINE], ids=["ring", "line"])
@pytest.mark.parametrize("level", [1, 3])
def test_qiskit_maps_once_a_seed_and_the_state_stays(gates, level, guadalupe):
    layouts = QiskitLayouts(guadalupe, FRONT, level, seeds=(1, 2, 3))
    found = layouts(body_of(gates))
    assert len(found) == 3
    for mapped, seed in zip(found, (1, 2, 3), strict=True):
        check_layout(mapped, guadalupe)
        assert fidelity(mapped, gates) == pytest.approx(1, abs=1e-10)
        assert mapped.body == Mapper(guadalupe, FRONT, level, seed).map(body_of(gates), None).body
    if gates is LINE:
        assert all(mapped.initial == mapped.final for mapped in found)


@pytest.mark.parametrize("name", ["FakeGuadalupeV2", "FakeQuitoV2", "FakeBrisbane"])
@pytest.mark.parametrize("gates", [RING, LINE], ids=["ring", "line"])
def test_a_moved_circuit_is_the_same_circuit_where_errors_are_lower(name, gates):
    device = QuantumDevice.from_name(name)
    layout = {"FakeQuitoV2": (0, 1, 3, 4), "FakeGuadalupeV2": (0, 1, 2, 3), "FakeBrisbane": (0, 1, 2, 3)}[name]
    before = Mapper(device, FRONT, 2, 42).map(body_of(gates), layout)
    assert before.initial == layout
    after = post_layout(before, device)
    check_layout(after, device)
    assert dict(after.body.count_ops()) == dict(before.body.count_ops()) and after.depth == before.depth
    if device.num_qubits <= 16:
        assert fidelity(after, gates) == pytest.approx(1, abs=1e-10)
    rates = [success_rate(one.whole(), device, variant="full") for one in (before, after)]
    assert rates[1] >= rates[0] - 1e-3
    if name != "FakeQuitoV2":  # 16 and 127 qubits have better ones than the first four
        assert after.initial != before.initial and rates[1] > rates[0]
    assert post_layout(after, device).initial == after.initial  # nothing better is left


@pytest.mark.parametrize("name", ["FakeGuadalupeV2", "FakeQuitoV2"])
@pytest.mark.parametrize("layers", [((0, 1), (0,)), ((0, 1, 2, 3), (0, 2)), ((0,), ())])
def test_qubits_that_share_no_gate_move_or_stay(name, layers):
    device = QuantumDevice.from_name(name)
    gates = TEMPLATE.gates_of(layers)
    before = Mapper(device, FRONT, 3, 42).map(body_of(gates), (0, 1, 2, 3))
    after = post_layout(before, device)
    check_layout(after, device)
    assert fidelity(after, gates) == pytest.approx(1, abs=1e-10)
    rates = [success_rate(one.whole(), device, variant="full") for one in (before, after)]
    assert rates[1] >= rates[0] - 1e-3


def test_the_best_place_stays(guadalupe):
    """Nothing is touched where no isomorphic place is better."""
    best = post_layout(Mapper(guadalupe, FRONT, 2, 42).map(body_of(LINE), (0, 1, 2, 3)), guadalupe)
    again = Mapper(guadalupe, FRONT, 2, 42).map(body_of(LINE), best.initial)
    assert post_layout(again, guadalupe) is again


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"seeds": ()}, r"distinct transpiler seeds, one or more, got \[\]"),
        ({"seeds": (1, 1)}, r"distinct transpiler seeds, one or more, got \[1, 1\]"),
        ({"optimization_level": 4}, "optimization level of 0 to 3, got 4"),
    ],
)
def test_wrong_arguments_are_refused(arguments, says, guadalupe):
    with pytest.raises(InputError, match=says):
        QiskitLayouts(guadalupe, FRONT, **arguments)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("FakeTorino", "the circuit is on 16 qubits and fake_torino has 133"),
        ("FakeMelbourneV2", "the circuit is on 16 qubits and fake_melbourne has 15"),
    ],
)
def test_a_circuit_of_another_device_is_refused(name, says, guadalupe):
    mapped = Mapper(guadalupe, FRONT, 2, 42).map(body_of(LINE), (0, 1, 2, 3))
    with pytest.raises(InputError, match=says):
        post_layout(mapped, QuantumDevice.from_name(name))


def test_a_coupling_of_another_device_is_refused():
    """Belem's T of couplings is not Santiago's line."""
    mapped = Mapper(QuantumDevice.from_name("FakeBelemV2"), FRONT, 2, 42).map(body_of(LINE), (0, 1, 3, 4))
    with pytest.raises(InputError, match=r"fake_santiago has no 'cx' on qubits \((1, 3|3, 1)\); expected a circuit"):
        post_layout(mapped, QuantumDevice.from_name("FakeSantiagoV2"))
