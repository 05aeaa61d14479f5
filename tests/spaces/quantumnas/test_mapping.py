"""From weights to the device: one order of qubits, the layout kept, the same state at every level."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import Operator, Statevector

from coevo.hardware.quantum import QuantumDevice
from coevo.kernels.statevector import LayeredCircuit, product_states, run_gates
from coevo.spaces.quantumnas import CoDesign
from coevo.spaces.quantumnas.circuits import INPUTS, Mapper, body_circuit, gate_angles, logical_circuit
from coevo.spaces.quantumnas.data import ENCODER
from coevo.spaces.quantumnas.space import RING

DESIGN = CoDesign((4, 1, 0, 3), ((4, 3), (2, 4), (3, 1)))
RNG = np.random.default_rng(3)
ANGLES = RNG.uniform(-3, 3, (3, 2, 4, 3)) * DESIGN.mask()
X = RNG.uniform(-0.5, 2.8, (2, 16))


def state_of(x):
    gates = [(name, qubits, tuple(ANGLES[place])) for name, qubits, place in DESIGN.gates]
    return run_gates(gates, product_states(x[None], ENCODER, 4))[0]


def test_the_kernels_unitary_is_qiskits():
    unitary, _ = LayeredCircuit(4, RING).unitary(ANGLES[None])
    body = body_circuit(DESIGN, gate_angles(DESIGN, ANGLES))
    np.testing.assert_allclose(unitary[0], Operator(body).data, atol=1e-12)


def test_the_logical_circuit_prepares_the_kernels_state():
    circuit = logical_circuit(DESIGN, gate_angles(DESIGN, ANGLES)).remove_final_measurements(inplace=False)
    bound = circuit.assign_parameters(dict(zip(INPUTS, X[0], strict=True)))
    np.testing.assert_allclose(Statevector(bound).data, state_of(X[0]), atol=1e-12)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("layout", [(4, 1, 0, 3), (0, 1, 2, 3), None])
def test_the_mapped_circuit_prepares_the_same_state(level, layout):
    device = QuantumDevice.from_name("FakeQuitoV2")
    mapped = Mapper(device, level, 42).map(body_circuit(DESIGN, gate_angles(DESIGN, ANGLES)), layout)
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
    mapped = Mapper(device, 2, 42).map(body_circuit(DESIGN, gate_angles(DESIGN, ANGLES)), DESIGN.layout)
    names = [instruction.name for instruction in mapped.whole().data]
    assert names.count("barrier") == 1 and names.count("measure") == 4
    assert {qubit._index for instruction in mapped.encoder.data for qubit in instruction.qubits} == {0, 1, 3, 4}
    assert all(len(instruction.qubits) == 1 for instruction in mapped.encoder.data)
    assert mapped.encoder.parameters == set(INPUTS) and not mapped.body.parameters
    assert mapped.two_qubit_gates == mapped.body.count_ops()["cx"]
    assert mapped.depth < mapped.body.depth()


def test_mapping_repeats_and_does_not_depend_on_what_was_mapped_before():
    device = QuantumDevice.from_name("FakeQuitoV2")
    used, fresh = Mapper(device, 2, 42), Mapper(device, 2, 42)
    other = CoDesign((4, 1, 0, 3), ((1, 4),))
    used.map(body_circuit(other, gate_angles(other, ANGLES)), other.layout)
    body = body_circuit(DESIGN, gate_angles(DESIGN, ANGLES))
    assert used.map(body, DESIGN.layout).body == fresh.map(body, DESIGN.layout).body
