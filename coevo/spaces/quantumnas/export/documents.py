"""JSON files of an export: read strictly, and compared with what they ought to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError

FORMAT = 2
TOLERANCE = 1e-10
PROSE = ("meaning", "qasm2", "noise")
"""Keys whose text is for the eye: a later version may word it otherwise."""


def write_json(path: Path, content: Any) -> None:
    """JSON with a line an entry, floats to their last bit."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The object of a file. InputError that names the file where there is none, or where it holds NaN."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name}: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.name}: expected a JSON object, got {_shown(content)}")
    return content


def entry(document: dict[str, Any], key: str, where: str) -> Any:
    """InputError that names the place where there is no such key."""
    if not isinstance(document, dict) or key not in document:
        raise InputError(f"{where} has no {key!r}")
    return document[key]


def whole_numbers(value: Any, where: str) -> tuple[int, ...]:
    """A list of integers from 0 on."""
    if not isinstance(value, list) or not all(type(number) is int and number >= 0 for number in value):
        raise InputError(f"{where} is {_shown(value)}; expected a list of whole numbers")
    return tuple(value)


def real_array(value: Any, shape: tuple[int | None, ...], where: str) -> NDArray[np.float64]:
    """Finite numbers of a shape in which None is any length."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where} holds no numbers of equal shape: {one_line(error)}") from error
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or not np.isfinite(array).all():
        expected = ["any" if length is None else length for length in shape]
        raise InputError(f"{where}: expected finite numbers of shape {expected}, got shape {list(array.shape)}")
    return array


def document_differences(name: str, told: Any, expected: Any) -> list[str]:
    """The first place where a document differs from the expected one, as one sentence; numbers may differ by 1e-10."""
    return [f"{name}: {found}" for found in (_difference(told, expected, ""),) if found]


def one_line(error: BaseException) -> str:
    """An error as "Type: message" on one line of at most 200 characters, without drawn boxes."""
    said = " ".join("".join(" " if 0x2500 <= ord(c) <= 0x25FF else c for c in str(error)).split())
    text = f"{type(error).__name__}: {said}"
    return text if len(text) <= 200 else f"{text[:197]}..."


def _difference(told: Any, expected: Any, place: str) -> str | None:
    where = place or "the document"
    if isinstance(expected, dict):
        if not isinstance(told, dict):
            return f"{where} is {_shown(told)}, expected an object"
        odd = sorted({*map(str, told)} ^ {*expected})
        if odd:
            return f"{where} {'lacks' if odd[0] in expected else 'has a foreign'} {odd[0]!r}"
        pairs = [(f"{place}.{key}" if place else key, told[key], value) for key, value in expected.items()]
    elif isinstance(expected, list):
        if not isinstance(told, list) or len(told) != len(expected):
            return f"{where} is {_shown(told)}, expected a list of {len(expected)}"
        pairs = [(f"{place}[{n}]", one, other) for n, (one, other) in enumerate(zip(told, expected, strict=True))]
    elif place.rpartition(".")[2] in PROSE and isinstance(told, str):
        return None
    else:
        return None if _equal(told, expected) else f"{where} is {_shown(told)}, expected {_shown(expected)}"
    return next((found for one in pairs if (found := _difference(one[1], one[2], one[0]))), None)


def _equal(told: Any, expected: Any) -> bool:
    if type(expected) is float and type(told) in (int, float):
        return bool(abs(told - expected) <= TOLERANCE)
    return type(told) is type(expected) and bool(told == expected)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
