"""examples.json: what an exported circuit must give, for `verify` and for whoever rebuilds it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.spaces.quantumnas.export.documents import FORMAT, entry, read_json, real_array
from coevo.spaces.quantumnas.setting import Task
from coevo.spaces.quantumnas.tasks.task import Classification, Examples

FILE = "examples.json"
Real = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class ExamplesFile:
    """`examples` is None for a ground state. `noise_free` and `noisy` are logits [examples, classes], or the energy
    [1]; `noisy` is None, and null in the file, where the circuit is too large for exact noise. `document` is the file
    as it stands."""

    examples: Examples | None
    noise_free: Real
    noisy: Real | None
    document: dict[str, Any]

    @property
    def inputs(self) -> Real:
        """[examples, columns] in radians; one row without columns for a ground state."""
        return np.zeros((1, 0)) if self.examples is None else self.examples.inputs


def examples_document(examples: Examples | None, noise_free: Real, noisy: Real | None) -> dict[str, Any]:
    """The file's content; the values as `ExamplesFile` has them."""
    if examples is None:
        return {
            "format": FORMAT,
            "meaning": "energies with infinitely many shots, in the Hamiltonian's unit",
            "noise_free_energy": float(noise_free[0]),
            "noisy_energy": None if noisy is None else float(noisy[0]),
        }
    rows = [
        {"x": x.tolist(), "label": int(label), "noise_free_logits": free.tolist(), "noisy_logits": real}
        for x, label, free, real in zip(
            examples.inputs,
            examples.labels,
            noise_free,
            [None] * len(examples) if noisy is None else noisy.tolist(),
            strict=True,
        )
    ]
    meaning = "x: the encoder's angles in radians; logits: <Z> with infinitely many shots, through the head"
    return {"format": FORMAT, "meaning": meaning, "examples": rows}


def read_examples(folder: Path, task: Task) -> ExamplesFile:
    """InputError that names the file and what is wrong in it."""
    told = read_json(folder / FILE)
    if not isinstance(task, Classification):
        energies = [entry(told, f"{which}_energy", FILE) for which in ("noise_free", "noisy")]
        free = real_array(energies[:1], (1,), f"{FILE}: noise_free_energy")
        real = None if energies[1] is None else real_array(energies[1:], (1,), f"{FILE}: noisy_energy")
        return ExamplesFile(None, free, real, told)
    rows = entry(told, "examples", FILE)
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{FILE}: expected `examples` as a list of one or more")
    columns: dict[str, list[Any]] = {
        key: [entry(row, key, f"{FILE}: examples[{n}]") for n, row in enumerate(rows)]
        for key in ("x", "label", "noise_free_logits", "noisy_logits")
    }
    classes = len(task.classes)
    for n, label in enumerate(columns["label"]):
        if type(label) is not int or not 0 <= label < classes:
            raise InputError(f"{FILE}: examples[{n}].label is {label!r}; expected 0 to {classes - 1}")
    inputs, noise_free = (
        real_array(columns[key], (len(rows), width), f"{FILE}: {key} of the examples")
        for key, width in (("x", task.columns), ("noise_free_logits", classes))
    )
    noisy, told_noisy = None, columns["noisy_logits"]
    if any(logits is not None for logits in told_noisy):
        noisy = real_array(told_noisy, (len(rows), classes), f"{FILE}: noisy_logits of the examples")
    examples = Examples(inputs, np.array(columns["label"], dtype=np.int64))
    return ExamplesFile(examples, noise_free, noisy, told)
