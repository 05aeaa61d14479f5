"""Snapshots: written and read back equal, and every flaw in one is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice

pytest.importorskip("qiskit_ibm_runtime")


@pytest.fixture(scope="module")
def quito():
    return QuantumDevice.from_name("FakeQuitoV2")


@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakeTorino", "FakeFractionalBackend"])
def test_a_snapshot_reads_back_equal(name, tmp_path):
    device = QuantumDevice.from_name(name)
    device.write_snapshot(tmp_path / "device.json")
    again = QuantumDevice.from_snapshot(tmp_path / "device.json")
    assert again.calibration == device.calibration
    assert again.fingerprint() == device.fingerprint()
    assert (again.basis, again.edges) == (device.basis, device.edges)


def test_a_snapshot_gives_a_target_and_a_noise_model(quito, tmp_path):
    from qiskit import QuantumCircuit, transpile

    quito.write_snapshot(tmp_path / "device.json")
    again = QuantumDevice.from_snapshot(tmp_path / "device.json")
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 2)
    options = {"optimization_level": 2, "seed_transpiler": 0, "initial_layout": [0, 1, 2]}
    assert transpile(circuit, target=again.target, **options) == transpile(circuit, target=quito.target, **options)
    ours, theirs = (each.noise_model._local_quantum_errors["cx"][(0, 1)] for each in (again, quito))
    assert ours == theirs


def test_asymmetric_readout_survives(make_backend, tmp_path):
    device = QuantumDevice.from_backend(make_backend())
    device.write_snapshot(tmp_path / "three.json")
    again = QuantumDevice.from_snapshot(tmp_path / "three.json")
    np.testing.assert_array_equal(again.readout_matrix(1), [[0.98, 0.2], [0.02, 0.8]])
    aers = again.noise_model._local_readout_errors[(1,)].probabilities
    np.testing.assert_allclose(aers, np.transpose(again.readout_matrix(1)))


def test_a_bare_target_is_a_device(quito):
    device = QuantumDevice.from_target(quito.target, "mine")
    assert device.name == "mine"
    assert device.fingerprint()["calibration_sha256"] == quito.fingerprint()["calibration_sha256"]
    np.testing.assert_array_equal(device.transfer_matrix("cx", (0, 1)), quito.transfer_matrix("cx", (0, 1)))
    with pytest.raises(InputError, match="expected a qiskit Target"):
        QuantumDevice.from_target("FakeQuitoV2")


def document(quito, tmp_path):
    quito.write_snapshot(tmp_path / "device.json")
    return json.loads((tmp_path / "device.json").read_text())


CHANGES = {
    "another format": (lambda d: d.update(format="other"), "expected a JSON object with format"),
    "a later version": (lambda d: d.update(version=2), "snapshot version 2; this coevo reads version 1"),
    "no qubits": (lambda d: d.update(num_qubits=0), "num_qubits of 1 or more, got 0"),
    "a qubit too few": (lambda d: d["qubits"].pop(), "num_qubits is 5, so `qubits` must list 5"),
    "no T1": (lambda d: d["qubits"][3].pop("t1_s"), "qubit 3 has no 't1_s'"),
    "a negative T2": (lambda d: d["qubits"][2].update(t2_s=-1e-6), "t2_s of qubit 2 is -1e-06"),
    "no error": (
        lambda d: d["instructions"]["cx"]["places"][0].pop("error"),
        r"'cx' on qubits \(0, 1\) has no 'error'; write null",
    ),
    "an error above 1": (
        lambda d: d["instructions"]["sx"]["places"][1].update(error=1.5),
        r"error of 'sx' on qubits \(1,\) is 1.5; expected a number from 0 to 1",
    ),
    "a text for a number": (lambda d: d["qubits"][0].update(t1_s="long"), "t1_s of qubit 0 is 'long'"),
    "a qubit that is not there": (
        lambda d: d["instructions"]["cx"]["places"][0].update(qubits=[0, 7]),
        r"'cx' on qubits \[0, 7\], but the qubits are 0 to 4",
    ),
    "a qubit that is no number": (
        lambda d: d["instructions"]["cx"]["places"][0].update(qubits=[True, 1]),
        r"'cx' on qubits \[True, 1\], but the qubits are 0 to 4",
    ),
    "a place that is no list": (
        lambda d: d["instructions"]["cx"]["places"][0].update(qubits=3),
        "'cx' on qubits 3, but the qubits are 0 to 4",
    ),
    "a place twice": (
        lambda d: d["instructions"]["cx"]["places"].append(d["instructions"]["cx"]["places"][0]),
        r"'cx' on qubits \(0, 1\) repeats a place",
    ),
    "a qubit twice": (
        lambda d: d["instructions"]["cx"]["places"][0].update(qubits=[1, 1]),
        r"'cx' on qubits \(1, 1\) repeats a qubit",
    ),
    "a gate on too few qubits": (
        lambda d: d["instructions"]["cx"]["places"][0].update(qubits=[1]),
        r"'cx' on qubits \(1,\); expected 2 qubits",
    ),
    "places that are none": (
        lambda d: d["instructions"]["cx"].update(places=None),
        "`places` of 'cx' as a list, got NoneType",
    ),
    "parameters that are no number": (
        lambda d: d["instructions"]["cx"].update(parameters="a"),
        "`parameters` of 'cx' is 'a'",
    ),
    "a wrong number of parameters": (
        lambda d: d["instructions"]["rz"].update(parameters=2),
        "'rz' has 2 parameters; the gate takes 1",
    ),
    "unplaced that is no list": (lambda d: d.update(unplaced=3), "expected `unplaced` as a list of names"),
    "a changed number": (lambda d: d["qubits"][0].update(t1_s=1e-4), "the file was changed after"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_flawed_snapshot_names_the_flaw(change, quito, tmp_path):
    content = document(quito, tmp_path)
    edit, message = CHANGES[change]
    edit(content)
    (tmp_path / "flawed.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        QuantumDevice.from_snapshot(tmp_path / "flawed.json")


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match="no snapshot at"):
        QuantumDevice.from_snapshot(tmp_path / "absent.json")
    (tmp_path / "text.json").write_text("not JSON")
    with pytest.raises(InputError, match="is no JSON snapshot"):
        QuantumDevice.from_snapshot(tmp_path / "text.json")


def test_a_snapshot_that_cannot_be_written(quito, tmp_path):
    with pytest.raises(InputError, match=r"cannot write the snapshot to .*absent.*: No such file"):
        quito.write_snapshot(tmp_path / "absent" / "device.json")


def test_a_missing_calibration_is_named_before_it_is_needed(quito, tmp_path):
    content = document(quito, tmp_path)
    del content["sha256"]
    content["qubits"][2]["t2_s"] = None
    content["instructions"]["cx"]["places"][0]["error"] = None
    (tmp_path / "gaps.json").write_text(json.dumps(content))
    device = QuantumDevice.from_snapshot(tmp_path / "gaps.json")
    with pytest.raises(InputError, match=r"no calibrated T2 of qubit 2; no error of 'cx' on qubits \(0, 1\)"):
        device.require_calibration()
    with pytest.raises(InputError, match=r"error of 'cx' on qubits \(0, 1\)"):
        device.require_calibration([0, 1])
    device.require_calibration([3, 4])
    quito.require_calibration()
    with pytest.raises(InputError, match="qubit 9"):
        quito.require_calibration([9])


def test_noise_scales(quito):
    double, none = quito.scaled(2), quito.scaled(0)
    assert double.readout_matrix(0)[1, 0] == pytest.approx(2 * quito.readout_matrix(0)[1, 0])
    assert double.relaxation_times(1)[0] == pytest.approx(quito.relaxation_times(1)[0] / 2)
    np.testing.assert_allclose(
        none.transfer_matrix("cx", (0, 1)) @ none.transfer_matrix("cx", (0, 1)), np.eye(16), atol=1e-12
    )
    np.testing.assert_array_equal(none.readout_matrix(3), np.eye(2))
    assert quito.scaled(1).transfer_matrix("sx", (0,)) == pytest.approx(quito.transfer_matrix("sx", (0,)))
    with pytest.raises(InputError, match="noise scale of 0 or more, got -1"):
        quito.scaled(-1)
    with pytest.raises(InputError, match="a seed of 0 or more, got -1"):
        quito.perturbed(0.1, -1)


def test_perturbations_follow_their_seed(quito):
    first, same, other = (quito.perturbed(0.2, seed) for seed in (0, 0, 1))
    assert first.calibration == same.calibration
    assert first.calibration.digest != other.calibration.digest != quito.calibration.digest
    assert quito.perturbed(0.0, 3).calibration.digest == quito.calibration.digest


def test_without_qiskit_a_snapshot_still_works(quito, tmp_path):
    import subprocess
    import sys

    quito.write_snapshot(tmp_path / "device.json")
    code = (
        "import sys; sys.modules['qiskit'] = sys.modules['qiskit_aer'] = None\n"
        "from coevo.hardware.quantum import QuantumDevice\n"
        "from coevo.cost_models.circuit_noise import noisy_expectations, program_from_gates\n"
        f"device = QuantumDevice.from_snapshot({str(tmp_path / 'device.json')!r})\n"
        "program = program_from_gates([('x', (0,), ()), ('cx', (0, 1), ())], device, [1])\n"
        "print(noisy_expectations([program], engine='reference')[0, 0, 0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert -1 < float(done.stdout) < -0.7
