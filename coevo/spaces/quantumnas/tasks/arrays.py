"""The user's own data: arrays in memory, or an .npz file, as a classification task.

Columns become angles of -pi/2 to pi/2 by robust scaling that is fitted on the training rows alone; more columns than
four a qubit become principal components first (see `AngleScaler.robust`), and fewer columns than qubits are encoded
several times (`covering_encoder`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import InputError, unknown_name
from coevo.spaces.quantumnas.tasks.encoders import LAYERS, covering_encoder, readout_head
from coevo.spaces.quantumnas.tasks.scaling import AngleScaler
from coevo.spaces.quantumnas.tasks.splits import part_sizes, stratified
from coevo.spaces.quantumnas.tasks.task import Classification, Examples

SHARES = (0.7 * 0.85, 0.7 * 0.15, 0.3)  # train, validate, test
SHARES_WITHOUT_TEST = (0.85, 0.15)  # where the test rows are given apart, or none are wanted
NAMES = ("X", "y", "X_test", "y_test")
Sizes = tuple[int | None, int | None, int | None]
Real = NDArray[np.float64]
Reader = Callable[[], tuple[Real, NDArray[Any]]]


def classification_from_arrays(
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    n_qubits: int | None = None,
    classes: Sequence[Any] | None = None,
    seed: int = 1,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    name: str = "arrays",
) -> tuple[Classification, AngleScaler]:
    """A task of arrays X [rows, columns] and y [rows], and the scaler that makes angles of further rows.

    `classes` are the values that y may take, in the order of the labels (those that occur, sorted, unless given).
    `n_qubits` is one for each class or column, at least 2 and for columns at most 4, unless given. `train`,
    `validation` and `test` are rows over all classes; None is 59.5 %, 10.5 % and 30 % of X, or 85 % and 15 % of X and
    all of X_test where that is given. `test=0` sets no row aside.

    InputError for numbers that are not finite, shapes that do not fit, a single class, a class without enough rows.
    """
    if (X_test is None) != (y_test is None):
        raise InputError(f"{name}: X_test and y_test belong together; give both or neither")
    rows, labels = _numbers(X, f"{name}: X"), _labels(y, f"{name}: y")
    if len(rows) != len(labels):
        raise InputError(f"{name}: X has {len(rows)} rows and y {len(labels)}; they must match")
    known = _classes(labels, classes, name)
    apart = None if X_test is None or y_test is None else _apart(X_test, y_test, rows.shape[1], name)
    qubits = _qubits(n_qubits, len(known), rows.shape[1], name)
    data = _Data(name, known, qubits, seed, (train, validation, test), apart is not None)
    if apart is not None:
        data.numbered(apart[1])  # a label that training lacks is found now
    train_rows, _, _ = data.parts(labels)
    scaler = AngleScaler.robust(rows[train_rows], data.kept(rows.shape[1]))
    task = data.task(rows.shape[1], lambda: (rows, labels), None if apart is None else lambda: apart)
    return task, scaler


def npz_task(path: Path, seed: int, sizes: Sizes) -> Classification:
    """A task of an .npz file with X [rows, columns], y [rows] and, where it has them, X_test and y_test.

    Only y, and of X the shape, is read here. InputError for a file that cannot be read or lacks an array.
    """
    where = str(path)
    shape, names = _contents(path)
    labels = _labels(_array(path, "y"), f"{where}: y")
    if len(shape) != 2 or shape[0] != len(labels) or not shape[1]:
        raise InputError(f"{where}: expected X of [{len(labels)} rows (as in y), columns], got {list(shape)}")
    known = _classes(labels, None, where)
    data = _Data(where, known, _qubits(None, len(known), shape[1], where), seed, sizes, "X_test" in names)

    def read() -> tuple[Real, NDArray[Any]]:
        return _numbers(_array(path, "X"), f"{where}: X"), labels

    def read_apart() -> tuple[Real, NDArray[Any]]:
        return _apart(_array(path, "X_test"), _array(path, "y_test"), shape[1], where)

    return data.task(shape[1], read, read_apart if data.apart else None)


@dataclass(frozen=True)
class _Data:
    """How rows become the parts of a task. `apart`: the test rows come from arrays of their own."""

    name: str
    classes: NDArray[Any]
    n_qubits: int
    seed: int
    sizes: Sizes
    apart: bool

    def kept(self, columns: int) -> int:
        return min(columns, len(LAYERS) * self.n_qubits)

    def task(self, columns: int, read: Reader, read_apart: Reader | None) -> Classification:
        """The task; `read` gives X and y, `read_apart` X_test and y_test where there are."""

        def fitted() -> tuple[Real, NDArray[np.int64], list[NDArray[np.int64]], AngleScaler]:
            rows, values = read()
            parts = self.parts(values)
            return rows, self.numbered(values), parts, AngleScaler.robust(rows[parts[0]], self.kept(columns))

        def read_training() -> tuple[Examples, Examples]:
            rows, labels, (train, validation, _), scaler = fitted()
            return (
                Examples(scaler.angles(rows[train]), labels[train]),
                Examples(scaler.angles(rows[validation]), labels[validation]),
            )

        def read_test() -> Examples:
            if self.sizes[2] == 0:
                raise InputError(f"{self.name}: no test rows were set aside (test = 0)")
            rows, labels, (_, _, test), scaler = fitted()
            if read_apart is not None:
                rows, values = read_apart()
                labels = self.numbered(values)
                size = len(rows) if self.sizes[2] is None else self.sizes[2]
                test = np.arange(len(rows))
                if size != len(rows):  # all of them may lack a class, a draw may not
                    (test,) = stratified(labels, self.names, (size,), self.seed, f"{self.name}, X_test")
            return Examples(scaler.angles(rows[test]), labels[test])

        encoder = covering_encoder(self.n_qubits, self.kept(columns))
        head = readout_head(self.n_qubits, len(self.classes))
        return Classification(
            self.name, self.n_qubits, self.names, encoder, head, read_training, read_test, lambda: fitted()[3]
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(value) for value in self.classes.tolist())

    def parts(self, values: NDArray[Any]) -> list[NDArray[np.int64]]:
        """Row numbers that train, validate and test; no test rows where they come apart or none are wanted."""
        labels = self.numbered(values)
        if self.apart or self.sizes[2] == 0:
            sizes = part_sizes(len(labels), len(self.classes), self.sizes[:2], SHARES_WITHOUT_TEST)
            return [*stratified(labels, self.names, sizes, self.seed, self.name), np.empty(0, dtype=np.int64)]
        sizes = part_sizes(len(labels), len(self.classes), self.sizes, SHARES)
        return stratified(labels, self.names, sizes, self.seed, self.name)

    def numbered(self, values: NDArray[Any]) -> NDArray[np.int64]:
        place = {value: label for label, value in enumerate(self.classes.tolist())}
        foreign = [value for value in values.tolist() if value not in place]
        if foreign:
            raise InputError(
                f"{self.name}: the label {foreign[0]!r} is none of the classes {', '.join(map(repr, place))}"
            )
        return np.array([place[value] for value in values.tolist()], dtype=np.int64)


def _classes(labels: NDArray[Any], given: Sequence[Any] | None, where: str) -> NDArray[Any]:
    classes = np.unique(labels) if given is None else np.asarray(given)
    if given is not None and len(np.unique(classes)) != len(classes):
        raise InputError(f"{where}: the classes {list(given)} are not all different")
    if len(classes) < 2:
        raise InputError(f"{where}: a classification needs two classes or more, y has {classes.tolist()} alone")
    return classes


def _qubits(asked: int | None, classes: int, columns: int, where: str) -> int:
    if asked is None:
        return max(2, classes, min(4, columns))
    if asked < max(2, classes):
        raise InputError(f"{where}: {classes} classes need {max(2, classes)} qubits or more, got n_qubits = {asked}")
    return asked


def _apart(X: ArrayLike, y: ArrayLike, columns: int, where: str) -> tuple[Real, NDArray[Any]]:
    rows, labels = _numbers(X, f"{where}: X_test"), _labels(y, f"{where}: y_test")
    if rows.shape != (len(labels), columns):
        raise InputError(
            f"{where}: expected X_test of [{len(labels)} rows (as in y_test), {columns} columns (as in X)], got "
            f"{list(rows.shape)}"
        )
    return rows, labels


def _numbers(values: ArrayLike, what: str) -> Real:
    array = np.asarray(values)
    if array.ndim != 2 or not array.size:
        raise InputError(f"{what} must be [rows, columns] and hold something, got {list(array.shape)}")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what} must hold real numbers, got {array.dtype}")
    made = array.astype(np.float64)
    bad = np.argwhere(~np.isfinite(made))
    if len(bad):
        row, column = bad[0]
        place = f"in row {row}, column {column} ({len(bad)} such numbers)"
        raise InputError(f"{what} holds {made[row, column]} {place}; drop or fill them")
    return made


def _labels(values: ArrayLike, what: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or not array.size:
        raise InputError(f"{what} must be [rows] and hold something, got {list(array.shape)}")
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (array == np.round(array))
        if not whole.all():
            raise InputError(f"{what} must hold classes (whole numbers or text), got {array[~whole][0]}")
        array = array.astype(np.int64)
    elif array.dtype.kind == "O" and all(isinstance(value, str) for value in array):
        array = array.astype(str)
    elif array.dtype.kind not in "biuU":
        raise InputError(f"{what} must hold classes (whole numbers or text), got {array.dtype}")
    return array


def _contents(path: Path) -> tuple[tuple[int, ...], set[str]]:
    """The shape of X, from its header alone, and the names of all arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {Path(entry).stem for entry in archive.namelist()}
            for name in sorted(names - set(NAMES)):
                raise unknown_name("array", name, NAMES, str(path))
            for name in ("X", "y", *(("X_test", "y_test") if names & {"X_test", "y_test"} else ())):
                if name not in names:
                    raise InputError(f"{path} lacks the array {name}, it has {', '.join(sorted(names)) or 'none'}")
            with archive.open("X.npy") as file:
                version = np.lib.format.read_magic(file)
                read_header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                return read_header(file)[0], names
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read: {error}; expected an .npz file with X and y, as numpy.savez writes it"
        ) from error


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        with np.load(path) as file:
            array: NDArray[Any] = file[name]
            return array
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: the array {name} cannot be read: {error}; write it anew with numpy.savez") from error
