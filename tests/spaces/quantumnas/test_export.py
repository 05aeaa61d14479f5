"""An exported folder: whole and read back. Test images are read once, at the end."""

from __future__ import annotations

import dataclasses
import json

import pytest
from qiskit import qpy

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
