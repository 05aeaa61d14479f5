"""The user's own arrays: angles against a direct computation, splits, files, and every refusal."""

from __future__ import annotations

import json
import math
import zipfile

import numpy as np
import pytest

from coevo.errors import ConfigError, InputError, UnknownName
from coevo.spaces.quantumnas.tasks.arrays import classification_from_arrays, npz_task
from coevo.spaces.quantumnas.tasks.catalogue import qubits_of, task_of
from coevo.spaces.quantumnas.tasks.scaling import AngleScaler, Components, Scaling


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def blobs(rng, rows=120, columns=6, classes=3):
    y = rng.integers(0, classes, rows)
    return rng.normal(size=(rows, columns)) * np.arange(1, columns + 1) + y[:, None], y


def robust_by_hand(train, rows):
    """Column by column, with nothing but sorted values."""
    made = np.zeros(rows.shape)
    for column in range(rows.shape[1]):
        values = sorted(train[:, column])

        def quantile(share, values=values):
            place = share * (len(values) - 1)
            low = math.floor(place)
            high = min(low + 1, len(values) - 1)
            return values[low] + (place - low) * (values[high] - values[low])

        middle = quantile(0.5)
        spread = max(quantile(0.95) - middle, middle - quantile(0.05)) or max(abs(v - middle) for v in values)
        for row in range(len(rows)):
            scaled = (rows[row, column] - middle) / spread if spread else 0.0
            made[row, column] = math.pi / 2 * min(1.0, max(-1.0, scaled))
    return made


def test_angles_by_hand(rng):
    X, y = blobs(rng)
    X[:, 1] = 7.0  # constant
    X[:, 2] = rng.random(120) < 0.02  # mostly one value: quantiles alike
    X[5, 2] = 1.0
    X[0, 3] = 1e6  # an outlier
    task, scaler = classification_from_arrays(X, y, seed=3)
    training, validation = task.read_training()
    test = task.read_test()
    assert [len(training), len(validation), len(test)] == [71, 13, 36]
    found = np.concatenate([part.inputs for part in (training, validation, test)])
    angles = scaler.angles(X)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(angles, axis=0))  # every row once, by one scaling
    trained = [int(np.flatnonzero((angles == row).all(axis=1))[0]) for row in training.inputs]
    np.testing.assert_allclose(angles, robust_by_hand(X[trained], X), atol=1e-12)
    assert np.abs(angles).max() <= math.pi / 2 and not angles[:, 1].any()
    assert y[trained].tolist() == training.labels.tolist()


def test_more_columns_than_four_a_qubit_become_components(rng):
    X, y = blobs(rng, columns=30, classes=2)
    task, scaler = classification_from_arrays(X, y, n_qubits=3, test=0)
    assert task.n_qubits == 3 and task.columns == 12 and len(task.encoder) == 12
    training, validation = task.read_training()
    assert training.inputs.shape == (102, 12) and validation.inputs.shape == (18, 12)
    assert np.abs(training.inputs).max() == pytest.approx(math.pi / 2)
    with pytest.raises(InputError, match="test = 0"):
        task.read_test()
    assert scaler.angles(X[:4]).shape == (4, 12)
    with pytest.raises(InputError, match=r"rows of 30 columns, as in training, got \[4, 29\]"):
        scaler.angles(X[:4, 1:])


def test_components_are_those_of_the_covariance(rng):
    rows = rng.normal(size=(50, 5)) @ rng.normal(size=(5, 5))
    fitted = Components.fit(rows, 3)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    for place, direction in enumerate(fitted.directions.T):
        expected = vectors[:, np.argsort(values)[::-1][place]]
        np.testing.assert_allclose(direction, expected * np.sign(expected[np.abs(expected).argmax()]), atol=1e-10)
        assert fitted.apply(rows)[:, place].var(ddof=1) == pytest.approx(np.sort(values)[::-1][place])


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_more_components_than_the_rows_span_are_nought(rng, rows):
    data = rng.normal(size=(rows, 40))
    angles = AngleScaler.robust(data, 8).angles(data)
    assert angles.shape == (rows, 8) and np.isfinite(angles).all()
    assert not angles[:, rows - 1 :].any() and (rows == 1 or angles[:, : rows - 1].any())


def test_min_max_does_not_clip(rng):
    scaling = Scaling.min_max(np.array([[1.0, 5.0], [3.0, 5.0]]))
    np.testing.assert_array_equal(scaling.apply(np.array([[2.0, 6.0], [5.0, 5.0]])), [[0.5, 0], [2, 0]])


def test_rows_that_do_not_train_leave_the_scaling_alone(rng):
    X, y = blobs(rng)
    task, scaler = classification_from_arrays(X, y)
    training, validation = task.read_training()
    held = {tuple(row) for part in (validation, task.read_test()) for row in part.inputs}
    changed = np.where([[tuple(row) in held] for row in scaler.angles(X)], X + 1e3, X)
    again, _ = classification_from_arrays(changed, y)[0].read_training()
    np.testing.assert_array_equal(training.inputs, again.inputs)


@pytest.mark.parametrize(
    ("columns", "classes", "asked", "qubits"),
    [(2, 2, None, 2), (1, 2, None, 2), (3, 2, None, 3), (9, 3, None, 4), (4, 6, None, 6), (6, 3, 5, 5)],
)
def test_qubits(rng, columns, classes, asked, qubits):
    X, y = blobs(rng, columns=columns, classes=classes)
    task, _ = classification_from_arrays(X, y, n_qubits=asked)
    assert task.n_qubits == qubits and task.head.shape == (qubits, classes)
    assert (task.head.sum(axis=0) > 0).all()


@pytest.mark.parametrize("kind", [str, object, np.uint8, float, bool])
def test_labels_of_any_kind(rng, kind):
    X, y = blobs(rng, classes=2)
    values = np.array(["no", "yes"], dtype=kind)[y] if kind in {str, object} else y.astype(kind)
    task, _ = classification_from_arrays(X, values)
    named = {str: ("no", "yes"), object: ("no", "yes"), bool: ("False", "True")}
    assert task.classes == named.get(kind, ("0", "1"))
    plain = classification_from_arrays(X, y)[0].read_test()
    np.testing.assert_array_equal(task.read_test().labels, plain.labels)


def test_classes_in_an_order_of_ones_own(rng):
    X, y = blobs(rng, classes=2)
    names = np.array(["no", "yes"])[y]
    task, _ = classification_from_arrays(X, names, classes=["yes", "no"])
    assert task.classes == ("yes", "no")
    swapped = classification_from_arrays(X, 1 - y)[0]
    np.testing.assert_array_equal(task.read_test().labels, swapped.read_test().labels)
    with pytest.raises(InputError, match="class 'maybe' has no rows"):
        classification_from_arrays(X, names, classes=["yes", "no", "maybe"])
    with pytest.raises(InputError, match=r"label 'no' is none of the classes 'yes', 'maybe'"):
        classification_from_arrays(X, names, classes=["yes", "maybe"])
    with pytest.raises(InputError, match="not all different"):
        classification_from_arrays(X, names, classes=["yes", "no", "no"])


def test_test_rows_of_their_own(rng):
    X, y = blobs(rng)
    task, scaler = classification_from_arrays(X[:90], y[:90], X[90:], y[90:])
    assert [len(part) for part in task.read_training()] == [76, 14]
    test = task.read_test()
    np.testing.assert_array_equal(test.inputs, scaler.angles(X[90:]))  # all of them, in their order
    np.testing.assert_array_equal(test.labels, y[90:])
    fewer = classification_from_arrays(X[:90], y[:90], X[90:], y[90:], test=9)[0].read_test()
    assert len(fewer) == 9 and {tuple(row) for row in fewer.inputs} <= {tuple(row) for row in test.inputs}


@pytest.mark.parametrize("apart", [False, True])
def test_an_npz_file_is_what_the_arrays_are(tmp_path, rng, apart):
    X, y = blobs(rng)
    given = {"X": X[:90], "y": y[:90]} | ({"X_test": X[90:], "y_test": y[90:]} if apart else {})
    path = tmp_path / "own.npz"
    np.savez(path, **given)
    task = task_of(str(path), data_seed=5, train=40)
    expected, _ = classification_from_arrays(**given, seed=5, train=40)
    assert task.n_qubits == qubits_of(str(path)) == 4 and task.encoder == expected.encoder
    parts = (*task.read_training(), task.read_test())
    for part, other in zip(parts, (*expected.read_training(), expected.read_test()), strict=True):
        np.testing.assert_array_equal(part.inputs, other.inputs)
        np.testing.assert_array_equal(part.labels, other.labels)


def test_making_a_task_of_a_file_leaves_its_rows_unread(tmp_path, rng):
    """X is broken behind its header: only reading finds it."""
    path = tmp_path / "own.npz"
    np.savez(path, X=np.full((30, 2), np.nan), y=np.arange(30) % 2)
    task = task_of(str(path))
    assert task.n_qubits == 2 and task.classes == ("0", "1")
    with pytest.raises(InputError, match=r"own\.npz: X holds nan in row 0, column 0 \(60 such numbers\)"):
        task.read_training()


BAD = [
    (lambda X, y: (X * np.where(X[7, 2] == X, np.inf, 1), y), r"X holds -?inf in row 7, column 2"),
    (lambda X, y: (X[0], y), r"X must be \[rows, columns\] and hold something, got \[6\]"),
    (lambda X, y: (X[:0], y[:0]), r"X must be .* got \[0, 6\]"),
    (lambda X, y: (X[:, :0], y), r"X must be .* got \[120, 0\]"),
    (lambda X, y: (X.astype(str), y), "X must hold real numbers, got <U"),
    (lambda X, y: (X + 1j, y), "X must hold real numbers, got complex128"),
    (lambda X, y: (X[:5], y), "X has 5 rows and y 120"),
    (lambda X, y: (X, y[:, None]), r"y must be \[rows\] and hold something, got \[120, 1\]"),
    (lambda X, y: (X, y + 0.5), "y must hold classes .* got 0.5|y must hold classes .* got [12].5"),
    (lambda X, y: (X, np.where(y == 0, np.nan, y)), "y must hold classes .* got nan"),
    (lambda X, y: (X, y + 1j), "y must hold classes .* got complex128"),
    (lambda X, y: (X, np.array([*["a", None] * 60], dtype=object)), "y must hold classes .* got object"),
    (lambda X, y: (X, y * 0), r"two classes or more, y has \[0\] alone"),
    (lambda X, y: (X, np.where(np.arange(120) == 3, 8, y)), "class '8' has 1 rows of 120, too few"),
    (lambda X, y: (X[:4], np.arange(4)), "each needs at least one row of 4 classes"),
]


@pytest.mark.parametrize(("change", "says"), BAD)
def test_bad_arrays(rng, change, says):
    X, y = change(*blobs(rng))
    with pytest.raises(InputError, match=says):
        classification_from_arrays(X, y)


def test_bad_test_arrays_and_qubits(rng):
    X, y = blobs(rng)
    with pytest.raises(InputError, match="X_test and y_test belong together"):
        classification_from_arrays(X, y, X)
    with pytest.raises(InputError, match=r"X_test of \[120 rows .*, 6 columns .*got \[120, 5\]"):
        classification_from_arrays(X, y, X[:, 1:], y)
    with pytest.raises(InputError, match=r"X_test of \[119 rows .*got \[120, 6\]"):
        classification_from_arrays(X, y, X, y[1:])
    with pytest.raises(InputError, match="label 9 is none of the classes 0, 1, 2"):
        classification_from_arrays(X, y, X, y * 0 + 9)
    with pytest.raises(InputError, match="3 classes need 3 qubits or more, got n_qubits = 2"):
        classification_from_arrays(X, y, n_qubits=2)
    with pytest.raises(InputError, match="2 classes need 2 qubits or more, got n_qubits = 1"):
        classification_from_arrays(X, y % 2, n_qubits=1)


@pytest.mark.parametrize(
    ("arrays", "error", "says"),
    [
        ({"X": np.ones((4, 2))}, InputError, "lacks the array y, it has X"),
        ({"y": np.ones(4)}, InputError, "lacks the array X, it has y"),
        ({"X": np.ones((4, 2)), "y": np.ones(4), "X_test": np.ones((1, 2))}, InputError, "lacks the array y_test"),
        (
            {"X": np.ones((4, 2)), "y": np.ones(4), "x_test": 1},
            UnknownName,
            r"unknown array 'x_test' in .*own\.npz.* X_test",
        ),
        ({"X": np.ones((4, 2)), "y": np.arange(5)}, InputError, r"expected X of \[5 rows .*got \[4, 2\]"),
        ({"X": np.ones(4), "y": np.arange(4)}, InputError, r"expected X of .*got \[4\]"),
        ({"X": np.ones((4, 0)), "y": np.arange(4)}, InputError, r"got \[4, 0\]"),
        (
            {"X": np.ones((2, 2)), "y": np.array(["a", None], dtype=object)},
            InputError,
            "array y cannot be read: Object",
        ),
    ],
)
def test_bad_files(tmp_path, arrays, error, says):
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)
    with pytest.raises(error, match=says):
        task_of(str(path))


def test_files_that_are_no_archives(tmp_path):
    path = tmp_path / "own.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"own\.npz cannot be read: .*numpy\.savez"):
        task_of(str(path))
    np.savez(path, X=np.ones((40, 2)), y=np.arange(40) % 2)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"own\.npz cannot be read"):
        task_of(str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", "text")
        archive.writestr("y.npy", "text")
    with pytest.raises(InputError, match=r"own\.npz cannot be read: .*magic"):
        task_of(str(path))


def test_options_without_effect(tmp_path):
    with pytest.raises(ConfigError, match=r"'data_path' = 'folder' has no effect with data = 'own.npz'"):
        task_of("own.npz", "folder")
    with pytest.raises(ConfigError, match="'train_examples' = 10 has no effect with the Hamiltonian h2"):
        task_of("h2", train=10)
    with pytest.raises(InputError, match=r"no file gone\.npz \(option 'data'"):
        task_of("gone.npz")


@pytest.mark.parametrize("columns", [1, 5, 30])
def test_a_scaler_is_written_and_read_exactly(rng, columns):
    rows = rng.normal(size=(40, columns)) * 10.0 ** rng.integers(-9, 9, columns)
    for made in (AngleScaler.robust(rows, 8), AngleScaler.min_max(rows, columns)):
        told = json.loads(json.dumps(made.to_document()))
        again = AngleScaler.from_document(told)
        np.testing.assert_array_equal(again.angles(rows), made.angles(rows))
        assert again.kept == made.kept == made.angles(rows).shape[1]
        assert again.is_close(made)
    assert not AngleScaler.robust(rows, 8).is_close(AngleScaler.robust(rows * 1.01, 8))
    assert not AngleScaler.robust(rows, 8).is_close(AngleScaler.min_max(rows, columns))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(columns=4), "does not take the 4 columns"),
        (lambda d: d["steps"][1]["mean"].pop(), "does not take the 30 columns"),
        (lambda d: d["steps"][2]["spread"].append(1.0), "does not take the 8 columns"),
        (lambda d: d["steps"][0].update(step="whitening"), "a step 'whitening'"),
        (lambda d: d["steps"][1].update(directions=[1.0] * 30), "has 1 dimensions, expected 2"),
        (lambda d: d["steps"][0]["centre"].__setitem__(3, float("nan")), "not finite"),
        (lambda d: d.update(factor_rad=float("inf")), "factor is inf"),
    ],
)
def test_scalers_that_are_none(rng, change, says):
    told = AngleScaler.robust(rng.normal(size=(40, 30)), 8).to_document()
    change(told)
    with pytest.raises(InputError, match=says):
        AngleScaler.from_document(told)


def test_a_task_s_scaler_is_the_one_of_its_angles(rng, tmp_path):
    X, y = blobs(rng, columns=30)
    np.savez(tmp_path / "own.npz", X=X, y=y)
    task, scaler = classification_from_arrays(X, y)
    for each in (task, task.without_data(), npz_task(tmp_path / "own.npz", 1, (None, None, None))):
        np.testing.assert_array_equal(each.read_scaler().angles(X), scaler.angles(X))
    for part in task.read_training():
        assert np.abs(part.inputs[:, None] - scaler.angles(X)).max(axis=-1).min(axis=1).max() < 1e-12
    with pytest.raises(InputError, match="without its data"):
        task.without_data().read_training()
