"""A device says what its calibration implies, and says clearly what it lacks."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from coevo.errors import InputError, MissingExtra, UnknownName
from coevo.hardware.quantum import QuantumDevice
from coevo.hardware.quantum.pauli import fixed_matrix, rotation_matrices

pytest.importorskip("qiskit_ibm_runtime")


@pytest.fixture(scope="module")
def quito():
    return QuantumDevice.from_name("FakeQuitoV2")


def test_a_fake_backend_by_name(quito):
    assert (quito.name, quito.num_qubits) == ("fake_quito", 5)
    assert quito.basis == ("cx", "id", "rz", "sx", "x")
    assert quito.edges == ((0, 1), (1, 2), (1, 3), (3, 4))
    assert repr(quito) == "QuantumDevice('fake_quito', num_qubits=5)"


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UnknownName, match=r"'FakeQuito'.*Did you mean 'FakeQuitoV2'"):
        QuantumDevice.from_name("FakeQuito")


def test_the_list_of_names_holds_devices_only():
    with pytest.raises(UnknownName) as caught:
        QuantumDevice.from_name("FakeProviderForBackendV2")
    assert "FakeTorino" in str(caught.value)
    assert "FakeProviderForBackendV2," not in str(caught.value)


def test_without_qiskit_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "qiskit_ibm_runtime", None)
    with pytest.raises(MissingExtra, match=r"coevo\[quantum\]"):
        QuantumDevice.from_name("FakeQuitoV2")


def test_without_aer_the_noise_model_names_the_extra(monkeypatch, make_backend):
    device = QuantumDevice.from_backend(make_backend())
    monkeypatch.setitem(sys.modules, "qiskit_aer.noise", None)
    with pytest.raises(MissingExtra, match=r"qiskit-aer.*coevo\[quantum\]"):
        _ = device.noise_model


def test_something_that_is_no_backend_is_refused():
    with pytest.raises(InputError, match=r"expected a qiskit BackendV2.*'FakeQuitoV2'"):
        QuantumDevice.from_backend("FakeQuitoV2")


@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakeEssexV2", "FakeFractionalBackend"])
def test_every_error_channel_is_the_one_of_aers_noise_model(name):
    from qiskit.quantum_info import PTM

    device = QuantumDevice.from_name(name)
    checked = 0
    for gate in device.basis:
        for qubits in device.target[gate]:
            ours = device.error_matrix(gate, qubits)
            aers = device.noise_model._local_quantum_errors.get(gate, {}).get(qubits)
            assert (ours is None) == (aers is None), (gate, qubits)
            if ours is not None and (len(qubits) == 1 or qubits == (0, 1)):  # Aer's two-qubit ones take 40 ms each
                matrix = PTM(aers.to_quantumchannel()).data.real
                if len(qubits) == 2:
                    matrix = matrix.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
                np.testing.assert_allclose(ours, matrix, atol=1e-12)
                checked += 1
    assert checked >= 5


def test_the_error_follows_the_ideal_gate(quito):
    error, cx = quito.error_matrix("cx", (0, 1)), fixed_matrix("cx")
    np.testing.assert_allclose(quito.transfer_matrix("cx", (0, 1)), error @ cx)
    assert not np.allclose(error @ cx, cx @ error)


def test_virtual_rotations_are_ideal(quito):
    assert quito.error_matrix("rz", (2,)) is None
    np.testing.assert_allclose(quito.transfer_matrix("rz", (2,), [0.3]), rotation_matrices("rz", 0.3))


def test_channels_are_cached_and_read_only(quito):
    first = quito.transfer_matrix("sx", [1])
    assert quito.transfer_matrix("sx", (1,)) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 2


def test_noisy_instructions_keep_the_trace_and_shrink_the_state(quito):
    for qubits in ((0, 1), (1, 0)):
        matrix = quito.transfer_matrix("cx", qubits)
        np.testing.assert_allclose(matrix[0], np.eye(16)[0], atol=1e-15)
        assert np.linalg.norm(matrix[1:, 1:], 2) < 1


@pytest.mark.parametrize(
    ("name", "qubits", "params", "message"),
    [
        ("ry", (0,), [0.1], "has no gate 'ry'; its gates are cx, id, rz, sx, x.*Transpile"),
        ("cx", (0, 4), [], r"has no 'cx' on qubits \(0, 4\)\. Transpile"),
        ("cx", (0,), [], r"has no 'cx' on qubits \(0,\)"),
        ("sx", (5,), [], "gate 'sx' on qubit 5, but its qubits are 0 to 4"),
        ("sx", (-1,), [], "gate 'sx' on qubit -1"),
        ("rz", (0,), [0.1, 0.2], "gate 'rz' takes 1 parameters, got 2"),
        ("sx", (0,), [0.1], "gate 'sx' takes 0 parameters, got 1"),
        ("measure", (0,), [], "has no gate 'measure'"),
    ],
)
def test_a_gate_that_the_device_lacks_is_named(quito, name, qubits, params, message):
    with pytest.raises(InputError, match=message):
        quito.transfer_matrix(name, qubits, params)


def test_a_one_way_coupling_says_that_the_other_direction_exists(make_backend):
    device = QuantumDevice.from_backend(make_backend())
    assert device.edges == ((0, 1), (1, 2))
    with pytest.raises(InputError, match=r"no 'cx' on qubits \(1, 0\) \(the other direction exists\)"):
        device.transfer_matrix("cx", (1, 0))


def test_a_missing_calibration_is_named(make_backend):
    from qiskit.transpiler import InstructionProperties as Properties

    no_error = QuantumDevice.from_backend(make_backend(sx={0: None, 1: Properties(error=0.1), 2: Properties(1e-8)}))
    with pytest.raises(InputError, match=r"'sx' on qubits \(0,\) has no calibrated error"):
        no_error.error_matrix("sx", (0,))
    with pytest.raises(InputError, match=r"'sx' on qubits \(1,\) has no calibrated duration"):
        no_error.error_matrix("sx", (1,))
    with pytest.raises(InputError, match=r"'sx' on qubits \(2,\) has no calibrated error"):
        no_error.error_matrix("sx", (2,))
    no_t1 = QuantumDevice.from_backend(make_backend(t1=None))
    with pytest.raises(InputError, match="qubit 0 has no calibrated T1 and T2, so the noise of 'sx'"):
        no_t1.error_matrix("sx", (0,))
    assert no_t1.error_matrix("rz", (0,)) is None


def test_a_gate_offered_everywhere_at_once_has_no_calibration(make_backend):
    from qiskit.circuit.library import HGate

    device = QuantumDevice.from_backend(make_backend(extra=[(HGate(), None)]))
    assert "h" not in device.basis
    with pytest.raises(InputError, match="offers 'h' without saying on which qubits"):
        device.error_matrix("h", (0,))


def test_a_gate_outside_our_tables_uses_its_own_matrix(make_backend):
    from qiskit.circuit.library import DCXGate, iSwapGate
    from qiskit.quantum_info import PTM
    from qiskit.transpiler import InstructionProperties

    ideal = {(0, 1): InstructionProperties(error=0.0, duration=0.0)}
    device = QuantumDevice.from_backend(make_backend(extra=[(DCXGate(), ideal), (iSwapGate(), ideal)]))
    for gate in (DCXGate(), iSwapGate()):  # DCX tells its qubits apart
        wanted = PTM(gate).data.real.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
        np.testing.assert_allclose(device.transfer_matrix(gate.name, (0, 1)), wanted, atol=1e-14)


def test_readout_is_measured_given_prepared(make_backend):
    device = QuantumDevice.from_backend(make_backend())
    np.testing.assert_allclose(device.readout_matrix(1), [[0.98, 0.2], [0.02, 0.8]])
    aers = device.noise_model._local_readout_errors[(1,)].probabilities  # [prepared, measured]
    np.testing.assert_allclose(device.readout_matrix(1), np.transpose(aers))


def test_readout_with_one_error_figure_is_symmetric(quito):
    matrix = quito.readout_matrix(0)
    np.testing.assert_allclose(matrix, matrix.T)
    np.testing.assert_allclose(matrix.sum(axis=0), 1)
    assert matrix[1, 0] == quito.target["measure"][(0,)].error > 0


def test_readout_that_is_missing_or_out_of_range_is_named(make_backend, quito):
    device = QuantumDevice.from_backend(make_backend(measure={0: None, 1: None, 2: None}))
    with pytest.raises(InputError, match="qubit 2 has no calibrated readout error"):
        device.readout_matrix(2)
    with pytest.raises(InputError, match="readout on qubit 5"):
        quito.readout_matrix(5)


def test_the_fingerprint_is_json_and_names_the_snapshot(quito):
    print_ = quito.fingerprint()
    assert json.loads(json.dumps(print_)) == print_
    assert (print_["name"], print_["version"], print_["snapshot"][:10]) == ("fake_quito", "1.0.8", "2021-03-15")
    assert len(print_["calibration_sha256"]) == 64
    assert QuantumDevice.from_name("FakeQuitoV2").fingerprint() == print_


def test_the_digest_follows_the_calibration(make_backend):
    from qiskit.transpiler import InstructionProperties

    same, again = (QuantumDevice.from_backend(make_backend()).fingerprint() for _ in range(2))
    assert same == again
    assert same["snapshot"] is None
    for changed in (
        make_backend(t1=61e-6),
        make_backend(cx=InstructionProperties(error=2.1e-2, duration=3e-7)),
        make_backend(measure={0: None, 1: None, 2: None}),
    ):
        print_ = QuantumDevice.from_backend(changed).fingerprint()
        assert print_["calibration_sha256"] != same["calibration_sha256"]
