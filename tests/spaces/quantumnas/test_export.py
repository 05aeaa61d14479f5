"""An exported folder: whole, read back, and every tampering noticed. Test images are read once, at the end."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from qiskit import qpy
from safetensors.numpy import load_file, save_file

from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas.definition import problem_of

FILES = {
    "circuit.qasm2",
    "circuit.qasm3",
    "circuit.qpy",
    "circuit.txt",
    "drawing.svg",
    "estimator.qpy",
    "examples.json",
    "isa.qasm2",
    "isa.qasm3",
    "isa.qpy",
    "layout.json",
    "pubs.json",
    "task.json",
    "torchquantum.json",
    "weights.safetensors",
}


@pytest.fixture(scope="module")
def exported(small_problem, setting, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    answers = {"layout": [4, 1, 0, 3], "blocks": 2, "block0.u3": 4, "block0.cu3": 3, "block1.u3": 2, "block1.cu3": 4}
    design, steps = small_problem.space.design(answers), []
    reads = []
    task = setting.task
    watched = dataclasses.replace(task, read_test=lambda: (reads.append(steps[-1]), task.read_test())[1])
    made = problem_of(dataclasses.replace(setting, task=watched))
    measured = made.export(design, WorkContext(folder, 0, progress=lambda *step: steps.append(step)))
    return folder, measured, steps, reads


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported[0], tmp_path / "copy")


def test_everything_is_there(exported):
    folder, measured, steps, _ = exported
    assert {path.name for path in folder.iterdir()} == FILES
    assert {"noisy_test_accuracy", "noise_free_test_accuracy", "noisy_validation_accuracy"} <= set(measured)
    assert all(isinstance(value, float) for value in measured.values())
    assert measured["test_examples"] == 100 and measured["parameters"] == 39
    done, total, text = steps[-1]
    assert done == total and text == "exported"
    assert [step[0] for step in steps] == sorted(step[0] for step in steps)


def test_the_test_examples_are_read_once_after_training(exported):
    _, _, _, reads = exported
    assert [text for _, _, text in reads] == ["testing"]


def test_it_reads_back(small_problem, exported):
    assert small_problem.verify(exported[0]) == []


def test_the_same_seed_exports_the_same(small_problem, exported, tmp_path):
    design = small_problem.space.design(
        {"layout": [4, 1, 0, 3], "blocks": 2, "block0.u3": 4, "block0.cu3": 3, "block1.u3": 2, "block1.cu3": 4}
    )
    assert small_problem.export(design, WorkContext(tmp_path, 0)) == exported[1]
    for name in FILES - {name for name in FILES if name.endswith(".qpy")}:
        assert (tmp_path / name).read_bytes() == (exported[0] / name).read_bytes()


def test_isa_keeps_its_inputs_open_and_its_weights_bound(exported):
    with (exported[0] / "isa.qpy").open("rb") as handle:
        circuit = qpy.load(handle)[0]
    assert sorted(p.name for p in circuit.parameters) == sorted(f"x[{pixel}]" for pixel in range(16))
    with (exported[0] / "circuit.qpy").open("rb") as handle:
        circuit = qpy.load(handle)[0]
    assert {p.name.partition("[")[0] for p in circuit.parameters} == {"x", "theta"}


def test_the_last_example_is_measured_as_told_with_nothing_of_ours(exported):
    """A user's own way: Qiskit reads isa.qasm3, binds an image and asks Aer."""
    from qiskit import qasm3
    from qiskit_aer import AerSimulator

    from coevo.hardware.quantum import QuantumDevice

    folder = exported[0]
    example = json.loads((folder / "examples.json").read_text())["examples"][-1]
    circuit = qasm3.loads((folder / "isa.qasm3").read_text())
    values = {p: example["x"][int(p.name.strip("_").rpartition("_")[2])] for p in circuit.parameters}
    noise = QuantumDevice.from_name("FakeQuitoV2").noise_model
    shots = 40_000
    bound = circuit.assign_parameters(values)
    counts = AerSimulator(noise_model=noise, seed_simulator=1).run(bound, shots=shots).result().get_counts()
    for qubit in range(4):
        mean = sum((1 - 2 * int(bits[3 - qubit])) * count for bits, count in counts.items()) / shots
        assert mean == pytest.approx(example["noisy_logits"][qubit], abs=5 / shots**0.5)


def _change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _change_text(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _drop_the_last_gate(path):
    with path.open("rb") as handle:
        circuit = qpy.load(handle)[0]
    last = max(index for index, item in enumerate(circuit.data) if item.name in ("sx", "cx"))
    del circuit.data[last]
    with path.open("wb") as handle:
        qpy.dump(circuit, handle)


def _turn_an_angle(folder):
    theta = load_file(folder / "weights.safetensors")["theta"]
    theta[0] += 1e-3
    save_file({"theta": theta}, folder / "weights.safetensors")


def _drop_a_weight(folder):
    theta = load_file(folder / "weights.safetensors")["theta"]
    save_file({"theta": np.ascontiguousarray(theta[1:])}, folder / "weights.safetensors")


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (_turn_an_angle, "circuit.qpy: its state has fidelity|examples.json: its noise-free values"),
        (_drop_a_weight, r"expected theta of shape \(39,\), got \(38,\)"),
        (lambda f: shutil.copy(f / "circuit.qpy", f / "isa.qpy"), "isa.qpy: it measures"),
        (lambda f: shutil.copy(f / "isa.qasm3", f / "circuit.qasm3"), "circuit.qasm3: it measures"),
        (lambda f: (f / "isa.qpy").write_bytes(b"QISKIT\x07"), "isa.qpy: ValueError: expected QPY of version 13"),
        (lambda f: (f / "isa.qpy").unlink(), "the folder cannot be read"),
        (lambda f: (f / "isa.qasm3").write_text("OPENQASM 3.0; nonsense"), "isa.qasm3"),
        (lambda f: (f / "isa.qasm3").write_text((f / "isa.qasm3").read_text().replace("sx $1", "x $1", 1)), "fidelity"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"no"), "the folder cannot be read.*weights.safetensors"),
        (lambda f: _change_json(f / "layout.json", lambda c: c["initial"].reverse()), "layout"),
        (lambda f: _change_json(f / "layout.json", lambda c: c["final"].reverse()), "isa.qpy: it measures"),
        (
            lambda f: _change_json(f / "layout.json", lambda c: c["device"].update(calibration_sha256="0")),
            "calibration",
        ),
        (
            lambda f: _change_json(f / "examples.json", lambda c: c["examples"][4]["noisy_logits"].reverse()),
            "examples.json: isa.qpy gives noisy values .* away",
        ),
        (
            lambda f: _change_json(f / "examples.json", lambda c: c["examples"][6]["noise_free_logits"].reverse()),
            "examples.json: its noise-free values",
        ),
        (lambda f: _change_json(f / "examples.json", lambda c: c["examples"][0].pop("x")), "the folder cannot be read"),
        (lambda f: _change_text(f / "circuit.qasm2", "\ncu(", "\ncu(0.5+"), "circuit.qasm2: its state has fidelity"),
        (lambda f: _change_text(f / "isa.qasm2", "measure q[3]", "measure q[2]"), "isa.qasm2: it measures"),
        (lambda f: _change_text(f / "isa.qasm2", "\nsx q[1];", ""), "isa.qasm2: its state has fidelity"),
        (lambda f: _change_text(f / "isa.qasm2", "gate sx", "gate sy"), "isa.qasm2: QASM2ParseError"),
        (lambda f: shutil.copy(f / "isa.qasm2", f / "circuit.qasm2"), "circuit.qasm2: it measures"),
        (lambda f: _change_json(f / "layout.json", lambda c: c.update(qasm2_example=1)), "circuit.qasm2: .* fidelity"),
        (lambda f: _change_json(f / "layout.json", lambda c: c.update(qasm2_example=99)), "cannot be read.*example 99"),
        (lambda f: shutil.copy(f / "isa.qpy", f / "estimator.qpy"), "estimator.qpy: it measures"),
        (lambda f: _drop_the_last_gate(f / "estimator.qpy"), "estimator.qpy: its state has fidelity"),
        (
            lambda f: _change_json(f / "pubs.json", lambda c: c["values"].reverse()),
            "values of the sampler PUB",
        ),
        (lambda f: _change_json(f / "pubs.json", lambda c: c["values"].pop()), "values of the estimator PUB"),
        (lambda f: _change_json(f / "pubs.json", lambda c: c["parameters"].reverse()), "parameter values"),
        (lambda f: _change_json(f / "pubs.json", lambda c: c["parameters"].pop()), r"pubs\.json holds no PUBs"),
        (
            lambda f: _change_json(f / "pubs.json", lambda c: c["estimator"]["observables"].reverse()),
            "the estimator PUB's observables are not the task's",
        ),
        (
            lambda f: _change_json(f / "pubs.json", lambda c: c["estimator"]["observables"][0][0].__setitem__(2, 0.5)),
            "the estimator PUB's observables are not the task's",
        ),
        (lambda f: _change_json(f / "pubs.json", lambda c: c["estimator"].update(precision=-1)), "holds no PUBs"),
        (lambda f: _change_json(f / "pubs.json", lambda c: c["sampler"].update(shots=0)), "holds no PUBs"),
        (lambda f: _change_json(f / "task.json", lambda c: c["head"].reverse()), "task.json: it does not describe"),
        (
            lambda f: _change_json(f / "torchquantum.json", lambda c: c["body"][4]["wires"].reverse()),
            "torchquantum.json: op 4 of its body",
        ),
        (lambda f: _change_json(f / "torchquantum.json", lambda c: c["body"].pop()), "torchquantum.json: op 12 of its"),
        (
            lambda f: _change_json(f / "torchquantum.json", lambda c: c["body"][0]["params"].__setitem__(1, 1e-3)),
            "torchquantum.json: op 0 of its body",
        ),
        (
            lambda f: _change_json(f / "torchquantum.json", lambda c: c["encoder"][3].update(input_idx=[4])),
            "torchquantum.json: its encoder is not the task's",
        ),
        (
            lambda f: _change_json(f / "torchquantum.json", lambda c: c["body"][0].update(name="u4")),
            "unknown name 'u4'",
        ),
        (lambda f: (f / "circuit.txt").unlink(), "circuit.txt is missing"),
    ],
)
def test_tampering_is_noticed(small_problem, copy, tamper, says):
    import re

    tamper(copy)
    wrong = small_problem.verify(copy)
    assert wrong and re.search(says, "\n".join(wrong)), wrong
