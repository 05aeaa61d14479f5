"""From weights to the device: one order of qubits, the layout kept, the same state at every level."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import Operator, Statevector

from coevo.hardware.quantum import QuantumDevice
from coevo.kernels.statevector import product_states, run_gates
from coevo.search.canonical import stream
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
from coevo.spaces.quantumnas.ansatz.space import make_space
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.mapping.circuits import Front, Mapper, body_circuit, logical_circuit
from coevo.spaces.quantumnas.mapping.couplings import coupling_of
from coevo.spaces.quantumnas.tasks.catalogue import task_of

TEMPLATE = Template(GATE_SETS["u3cu3"], 4, 3)
LAYOUT = (4, 1, 0, 3)
LAYERS = tuple(tuple(range(width)) for width in (4, 3, 2, 4, 3, 1))
GATES = TEMPLATE.gates_of(LAYERS)
RNG = np.random.default_rng(3)
ANGLES = RNG.uniform(-3, 3, TEMPLATE.n_angles)
X = RNG.uniform(-0.5, 2.8, (2, 16))
ENCODER = task_of("mnist4").encoder
FRONT = Front(ENCODER, 4)
INPUTS = FRONT.inputs
BODY = body_circuit(GATES, 4, ANGLES.tolist())


def state_of(x):
    gates = [(name, qubits, tuple(ANGLES[list(slots)])) for name, qubits, slots in GATES]
    return run_gates(gates, product_states(x[None], ENCODER, 4))[0]


@pytest.mark.parametrize("name", GATE_SETS)
def test_the_kernels_unitary_is_qiskits(name):
    template = Template(GATE_SETS[name], 4, 2)
    angles = RNG.uniform(-3, 3, template.n_angles)
    unitary, _ = template.circuit.unitary(angles[None])
    body = Operator(body_circuit(template.gates, 4, angles.tolist())).data
    overlap = np.trace(body.conj().T @ unitary[0]) / 16
    assert abs(overlap) == pytest.approx(1, abs=1e-12)  # the root of SWAP differs by a phase
    if name != "rxyzu1cu3":
        np.testing.assert_allclose(unitary[0], body, atol=1e-12)


def test_the_logical_circuit_prepares_the_kernels_state():
    circuit = logical_circuit(FRONT, GATES, ANGLES.tolist()).remove_final_measurements(inplace=False)
    bound = circuit.assign_parameters(dict(zip(INPUTS, X[0], strict=True)))
    np.testing.assert_allclose(Statevector(bound).data, state_of(X[0]), atol=1e-12)


@pytest.mark.parametrize("device", ["FakeQuitoV2", "FakeJakartaV2", "FakeTorino", "FakeBrisbane"])
def test_native_circuits_need_one_gate_a_coupling_and_no_swap(device):
    coupling = coupling_of(device)
    template = Template(GATE_SETS["native"], 4, 3)
    space = make_space(template, coupling, qubits=range(min(8, coupling.num_qubits)))
    mapper = Mapper(QuantumDevice.from_name(device), FRONT, 1, 42)
    for index in range(4):
        design = space.build(space.sample(stream(0, "native", index)))
        gates = template.gates_of(design.layers)
        mapped = mapper.map(body_circuit(gates, 4, RNG.uniform(-3, 3, template.n_angles).tolist()), design.layout)
        assert mapped.initial == mapped.final == design.layout
        assert mapped.two_qubit_gates <= sum(gate == "cz" for gate, _, _ in gates)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("layout", [(4, 1, 0, 3), (0, 1, 2, 3), None])
def test_the_mapped_circuit_prepares_the_same_state(level, layout):
    device = QuantumDevice.from_name("FakeQuitoV2")
    mapped = Mapper(device, FRONT, level, 42).map(BODY, layout)
    if layout is not None:
        assert mapped.initial == layout
    whole = mapped.whole()
    assert whole.layout.initial_index_layout(filter_ancillas=True) == list(mapped.initial)
    assert whole.layout.final_index_layout() == list(mapped.final)
    assert {instruction.name for instruction in whole.data} <= {"sx", "x", "rz", "cx", "barrier", "measure"}
    bare = whole.remove_final_measurements(inplace=False)
    for x in X:
        got = Statevector(bare.assign_parameters(dict(zip(INPUTS, x, strict=True)))).data
        wanted = np.zeros(32, complex)
        for index, amplitude in enumerate(state_of(x)):
            wanted[sum((index >> q & 1) << mapped.final[q] for q in range(4))] = amplitude
        assert abs(np.vdot(wanted, got)) ** 2 == pytest.approx(1, abs=1e-10)


def test_the_encoder_lies_before_the_barrier_on_its_layout():
    device = QuantumDevice.from_name("FakeQuitoV2")
    mapped = Mapper(device, FRONT, 2, 42).map(BODY, LAYOUT)
    names = [instruction.name for instruction in mapped.whole().data]
    assert names.count("barrier") == 1 and names.count("measure") == 4
    assert {qubit._index for instruction in mapped.encoder.data for qubit in instruction.qubits} == {0, 1, 3, 4}
    assert all(len(instruction.qubits) == 1 for instruction in mapped.encoder.data)
    assert mapped.encoder.parameters == set(INPUTS) and not mapped.body.parameters
    assert mapped.two_qubit_gates == mapped.body.count_ops()["cx"]
    assert mapped.depth < mapped.body.depth()


def test_mapping_repeats_and_does_not_depend_on_what_was_mapped_before():
    device = QuantumDevice.from_name("FakeQuitoV2")
    used, fresh = Mapper(device, FRONT, 2, 42), Mapper(device, FRONT, 2, 42)
    other = body_circuit(TEMPLATE.gates_of(((0,), (0, 1, 2, 3))), 4, ANGLES.tolist())
    used.map(other, LAYOUT)
    assert used.map(BODY, LAYOUT).body == fresh.map(BODY, LAYOUT).body
