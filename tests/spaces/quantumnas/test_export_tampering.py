"""An exported folder in which something was changed: `verify` names the file and what is wrong, and never falls over.

The digests of an export notice every changed byte. These tests are about what is noticed where the digests were made to
fit.
"""

from __future__ import annotations

import copy
import json
import random
import re
import shutil

import numpy as np
import pytest
from qiskit import QuantumCircuit
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from coevo.cli.app import app
from coevo.errors import InputError
from coevo.search.canonical import stream
from coevo.search.export import SUMS, listed_files, write_export
from coevo.search.folder import sha256
from coevo.spaces.quantumnas import load, problem
from coevo.spaces.quantumnas.export.formats import read_circuit, write_circuit

TINY = {"max_blocks": 2, "scratch_steps": 3, "scratch_restarts": 1}
OPTIONS = {
    "mnist4": TINY | {"data": "mnist4", "train_examples": 40, "validation_examples": 20, "test_examples": 20},
    "h2": TINY | {"data": "h2"},
}
CIRCUITS = ("circuit", "isa")
TEXTS = tuple(f"{circuit}.{kind}" for circuit in CIRCUITS for kind in ("qasm2", "qasm3"))
QPYS = ("circuit.qpy", "isa.qpy", "estimator.qpy")
JSONS = ("layout.json", "examples.json", "task.json", "pubs.json", "torchquantum.json")
PICTURES = ("circuit.txt", "drawing.svg")
FILES = (*TEXTS, *QPYS, *JSONS, *PICTURES, "weights.safetensors")
PROSE = ("meaning", "qasm2", "noise")
BAD = (None, "x", "1", [], {}, True, -1, 10**30, 0.25, float("nan"), float("inf"))


class Case:
    """An export, another one of the same options, and their problem."""

    def __init__(self, task, folder):
        self.task = task
        self.problem = problem(**OPTIONS[task])
        self.folder, self.other = folder / "one", folder / "other"
        for seed, target in ((3, self.folder), (4, self.other)):
            write_export(self.problem, self.problem.space.sample(stream(seed, "export", 0)), target)

    def wrong(self, folder, name):
        """The sentences, at least one of which names the file; each on one short line."""
        found = self.problem.verify(folder)
        assert any(name in sentence for sentence in found), (name, found)
        assert all(len(sentence) < 400 and "\n" not in sentence for sentence in found), found
        return "\n".join(found)


@pytest.fixture(scope="module", params=list(OPTIONS))
def case(request, tmp_path_factory):
    return Case(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def work(case, tmp_path):
    return shutil.copytree(case.folder, tmp_path / "work")


def test_what_was_not_touched_is_whole(case):
    names = {path.name for path in case.folder.iterdir()}
    assert names - {"design.json", "measurements.json", "README.txt", SUMS} == set(FILES)
    assert case.problem.verify(case.folder) == [] and case.problem.verify(case.other) == []


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_empty_cut_or_garbage(case, work, name):
    whole = (work / name).read_bytes()
    (work / name).unlink()
    case.wrong(work, name)
    for content in (b"", whole[: len(whole) // 2], whole[: len(whole) // 5], b"\xff\x00" + whole[2:], b"{}", b"[]"):
        (work / name).write_bytes(content)
        case.wrong(work, name)
    (work / name).unlink()
    (work / name).mkdir()
    case.wrong(work, name)


@pytest.mark.parametrize("name", [name for name in FILES if name != "task.json"])
def test_a_file_of_another_design(case, work, name):
    """task.json is the same for all designs of a task."""
    assert (case.other / name).read_bytes() != (work / name).read_bytes()
    shutil.copy(case.other / name, work / name)
    case.wrong(work, name)


def test_all_files_of_another_design(case, work):
    for name in FILES:
        shutil.copy(case.other / name, work / name)
    assert "layout.json: it is not the layout of the design in design.json" in case.wrong(work, "layout.json")


def places(document, path=()):
    yield path
    if isinstance(document, dict):
        for key, value in document.items():
            if key not in PROSE:
                yield from places(value, (*path, key))
    elif isinstance(document, list):
        for number in {0, len(document) // 2, len(document) - 1} if document else ():
            yield from places(document[number], (*path, number))


@pytest.mark.parametrize("name", JSONS)
def test_any_entry_of_a_json_file(case, work, name):
    """Entries replaced by values of other kinds and sizes, and removed: a random choice of them."""
    whole = json.loads((work / name).read_text())
    rng = random.Random(f"{case.task} {name}")
    every = [(path, value) for path in places(whole) for value in (*BAD, "removed")]
    for path, value in rng.sample(every, 10):
        changed = copy.deepcopy(whole)
        if path:
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            if type(inner[path[-1]]) is type(value) and inner[path[-1]] == value:
                continue
            if value == "removed":
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
        else:
            changed = value
        (work / name).write_text(json.dumps(changed))
        case.wrong(work, name)
        try:
            load(work)
        except InputError as error:
            assert re.search(r"\w+\.json", str(error))  # two files may disagree


def turned(circuit):
    """The circuit with one bound angle 1e-3 further, or a rotation more where no gate has one."""
    made = circuit.copy_empty_like()
    done = False
    for instruction in circuit.data:
        operation = instruction.operation
        bound = [place for place, value in enumerate(operation.params) if isinstance(value, float)]
        if bound and not done and instruction.name != "rz":  # an rz may lie where it changes nothing
            operation = operation.to_mutable()
            operation.params = [value + 1e-3 * (place == bound[0]) for place, value in enumerate(operation.params)]
            done = True
        made.append(operation, instruction.qubits, instruction.clbits)
    if not done:
        place = next(n for n, one in enumerate(made.data) if one.name == "measure") if circuit.num_clbits else len(made)
        turn = QuantumCircuit(1)
        turn.rx(1e-3, 0)
        qubit = made.data[place - 1].qubits[0]
        made.data.insert(place, turn.data[0].replace(qubits=[qubit]))
    return made


@pytest.mark.parametrize("name", [*QPYS, *TEXTS])
def test_an_angle_that_is_altered(case, work, name):
    write_circuit(work / name, turned(read_circuit(work / name)))
    assert f"{name}: its state has fidelity 0.99999" in case.wrong(work, name)


def test_a_weight_that_is_altered(case, work):
    theta = load_file(work / "weights.safetensors")["theta"]
    for changed in (theta + 1e-3 * (np.arange(len(theta)) == 0), theta[1:], theta.astype(np.float32), theta * np.nan):
        save_file({"theta": np.ascontiguousarray(changed)}, work / "weights.safetensors")
        case.wrong(work, "weights.safetensors")


def test_a_measurement_that_is_altered(case, work):
    content = json.loads((work / "measurements.json").read_text())
    for name in ("two_qubit_gates", "depth", "parameters", *(["noisy_energy"] if case.task == "h2" else [])):
        altered = content | {"export": content["export"] | {name: content["export"][name] + 1}}
        (work / "measurements.json").write_text(json.dumps(altered))
        assert f"measurements.json: {name} is" in case.wrong(work, "measurements.json")


def _change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _change_text(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _resize(path):
    write_circuit(path, QuantumCircuit(1, read_circuit(path).num_clbits))


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda f: shutil.copy(f / "circuit.qpy", f / "isa.qpy"), "isa.qpy: "),
        (lambda f: shutil.copy(f / "isa.qasm3", f / "circuit.qasm3"), "circuit.qasm3: it measures"),
        (lambda f: shutil.copy(f / "isa.qasm2", f / "circuit.qasm2"), "circuit.qasm2: it measures"),
        (lambda f: shutil.copy(f / "isa.qpy", f / "estimator.qpy"), "estimator.qpy: it measures"),
        (lambda f: (f / "isa.qpy").write_bytes(b"QISKIT\x07"), "isa.qpy cannot be read: .* QPY of version 13"),
        (lambda f: (f / "isa.qasm3").write_text("OPENQASM 3.0; nonsense"), "isa.qasm3 cannot be read: .*line 1"),
        (lambda f: _resize(f / "circuit.qpy"), "circuit.qpy: it has 1 qubits"),
        (lambda f: _change_json(f / "layout.json", lambda c: c["initial"].reverse()), "isa.qpy: its layout is not"),
        (lambda f: _change_json(f / "layout.json", lambda c: c["final"].reverse()), "isa.qpy: it measures"),
        (lambda f: _change_json(f / "layout.json", lambda c: c["initial"].__setitem__(0, 99)), "layout.json"),
        (
            lambda f: _change_json(f / "layout.json", lambda c: c.update(initial=[0] * len(c["initial"]))),
            "layout.json: initial .* distinct qubits",
        ),
        (
            lambda f: _change_json(f / "layout.json", lambda c: c["device"].update(calibration_sha256="0")),
            "layout.json: the calibration of fake_quito is another one",
        ),
        (
            lambda f: _change_json(f / "layout.json", lambda c: c.update(device_option="FakeLimaV2")),
            'layout.json: device_option is "FakeLimaV2", expected "FakeQuitoV2"',
        ),
        (lambda f: _change_json(f / "layout.json", lambda c: c["layers"].append([0])), "layout.json"),
        (lambda f: _change_json(f / "layout.json", lambda c: c["layers"][0].append(9)), "layout.json: .* has places"),
        (lambda f: _change_text(f / "isa.qasm2", "measure q[", "measure  q[4"), "isa.qasm2"),
        (lambda f: _change_text(f / "isa.qasm2", "gate sx", "gate sy"), "isa.qasm2 cannot be read: QASM2ParseError"),
        (
            lambda f: _change_json(f / "pubs.json", lambda c: c["estimator"]["observables"][0][0].__setitem__(2, 9)),
            r"pubs.json: estimator.observables\[0\]\[0\]\[2\] is 9, expected",
        ),
        (lambda f: _change_json(f / "pubs.json", lambda c: c["estimator"].update(precision=-1)), "holds no PUBs"),
        (lambda f: _change_json(f / "pubs.json", lambda c: c["sampler"].update(shots=0)), "holds no PUBs"),
        (
            lambda f: _change_json(f / "torchquantum.json", lambda c: c["body"][0].update(name="u4")),
            r'torchquantum.json: body\[0\].name is "u4", expected',
        ),
        (lambda f: _change_json(f / "torchquantum.json", lambda c: c["body"].pop()), "torchquantum.json: body is"),
        (lambda f: _change_text(f / "drawing.svg", "q0<", "q9<"), "drawing.svg is no picture of this design"),
        (lambda f: _change_text(f / "drawing.svg", "<svg", "<!DOCTYPE x><svg"), "drawing.svg cannot be read"),
        (lambda f: _change_text(f / "circuit.txt", "q_0", "q_9"), "circuit.txt is no picture of this design"),
        (lambda f: _change_json(f / "design.json", lambda c: c.update(answers=[])), "design.json cannot be read"),
    ],
)
def test_tampering_is_named(case, work, tamper, says):
    tamper(work)
    wrong = case.problem.verify(work)
    assert wrong and re.search(says, "\n".join(wrong)), wrong


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda c: c["examples"][4]["noisy_logits"].reverse(), "isa.qpy gives noisy values .* away"),
        (lambda c: c["examples"][6]["noise_free_logits"].reverse(), r"examples\[6\].noise_free_logits\[0\] is"),
        (lambda c: c["examples"][0].pop("x"), r"examples\[0\] has no 'x'"),
        (lambda c: c["examples"][0].update(label=4), r"examples\[0\].label is 4; expected 0 to 3"),
        (lambda c: c["examples"][0]["x"].__setitem__(2, float("nan")), "NaN is no JSON"),
        (lambda c: c["examples"].clear(), "expected `examples` as a list of one or more"),
    ],
)
def test_tampered_examples_are_named(case, work, tamper, says):
    if case.task == "h2":
        pytest.skip("a ground state has no examples")
    _change_json(work / "examples.json", tamper)
    assert re.search(says, case.wrong(work, "examples.json"))


@pytest.mark.parametrize("name", FILES)
def test_the_command_names_the_file(case, work, name):
    """By its digest, and where the digests fit by what stands in it; never with a traceback."""
    content = (work / name).read_bytes()
    (work / name).write_bytes(content[: len(content) // 2])
    for fits in (False, True):
        if fits:
            names = [each for each in listed_files(work) if each != SUMS]
            (work / SUMS).write_text("".join(f"{sha256(work / each)}  {each}\n" for each in names))
        result = CliRunner().invoke(app, ["verify", str(work)])
        assert result.exit_code == 1 and name in result.output.replace("\n", ""), result.output
        assert "Traceback" not in result.output and "check failed" not in result.output
        assert isinstance(result.exception, SystemExit)
