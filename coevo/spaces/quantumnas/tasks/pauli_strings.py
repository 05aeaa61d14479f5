"""Pauli strings as text and as bit masks, and what is refused about them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError

MAX_QUBITS = 14
"""A state of 14 qubits takes 256 KiB; an operator of 14 qubits would take 4 GiB as a matrix."""
_ROUNDING = 1e-10  # an imaginary part is rounding up to this share of the largest coefficient

Masks = tuple[NDArray[np.int64], NDArray[np.int64]]


def pauli_masks(labels: Iterable[str]) -> Masks:
    """x [K], z [K]: bit q of x is set where the string has X or Y on qubit q, bit q of z where it has Y or Z.

    P|b> = i^|x & z| (-1)^|z & b| |b ^ x>, with |.| the number of set bits.
    """
    to_x, to_z = str.maketrans("IXYZ", "0110"), str.maketrans("IXYZ", "0011")
    labels = list(labels)
    return (
        np.array([int(label.translate(to_x), 2) for label in labels], np.int64),
        np.array([int(label.translate(to_z), 2) for label in labels], np.int64),
    )


def check_labels(labels: Sequence[Any]) -> None:
    """Refuse no labels, labels of other characters than I, X, Y, Z, of unequal length, or of more than 14 qubits."""
    if not labels:
        raise InputError("the sum of Pauli strings is empty; expected at least one term such as ('ZZ', 0.5)")
    for label in labels:
        if not isinstance(label, str) or not label or set(label) - set("IXYZ"):
            raise InputError(f"the Pauli string {label!r} is not made of the characters I, X, Y and Z")
        if len(label) != len(labels[0]):
            raise InputError(
                f"the Pauli strings have unequal lengths: {labels[0]!r} is of {len(labels[0])} qubits, "
                f"{label!r} of {len(label)}"
            )
    if len(labels[0]) > MAX_QUBITS:
        raise InputError(f"expected at most {MAX_QUBITS} qubits, got Pauli strings of {len(labels[0])}")


def real_coefficients(labels: Sequence[Any], coefficients: Iterable[Any]) -> list[float]:
    """Coefficients as floats; the first that is no number, not finite or complex beyond rounding is refused by name."""
    given = list(coefficients)
    if len(given) != len(labels):
        raise InputError(f"{len(labels)} Pauli strings come with {len(given)} coefficients")
    numbers = []
    for label, value in zip(labels, given, strict=True):
        if isinstance(value, (str, bool)):
            raise InputError(f"the coefficient of {label!r} is no number: {value!r}")
        try:
            number = complex(value)
        except (TypeError, ValueError) as e:
            raise InputError(f"the coefficient of {label!r} is no number: {value!r}") from e
        if not (math.isfinite(number.real) and math.isfinite(number.imag)):
            raise InputError(f"the coefficient of {label!r} is {value!r}; expected a finite number")
        numbers.append(number)
    rounding = _ROUNDING * max((abs(number) for number in numbers), default=0.0)
    for label, number in zip(labels, numbers, strict=True):
        if abs(number.imag) > rounding:
            raise InputError(
                f"the coefficient of {label!r} is complex: {number}; a Hamiltonian is Hermitian, so its Pauli "
                "coefficients are real"
            )
    return [number.real for number in numbers]


def read_document(path: str | Path) -> dict[str, Any]:
    """The object of a JSON file."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"cannot read the Hamiltonian file {path}: {e.strerror or e}") from e
    except ValueError as e:  # neither UTF-8 nor JSON
        raise InputError(f"{path} is no JSON file: {e}") from e
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(document).__name__}")
    return document


def read_terms(value: Any, what: str) -> list[tuple[Any, Any]]:
    """Pairs of label and coefficient out of a file's list [["XX", 0.5], ...]."""
    if not isinstance(value, list):
        raise InputError(f"{what} is no list of [label, coefficient] but {type(value).__name__}")
    for term in value:
        if not isinstance(term, list) or len(term) != 2:
            raise InputError(f"{what}: expected [label, coefficient], got {term!r}")
    return [(label, number) for label, number in value]
