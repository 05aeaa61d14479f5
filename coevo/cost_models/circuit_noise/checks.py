"""What comes from outside, checked once: one clear error each."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, missing_extra

Array = NDArray[Any]


def whole_number(value: Any, what: str) -> int:
    """An integer, NumPy's included; InputError for a float, a truth value or text."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise InputError(f"{what} is {value!r}; expected an integer") from None


def whole_numbers(values: Any, what: str) -> tuple[int, ...]:
    """Integers; InputError for anything that is no sequence of them."""
    try:
        listed = list(values)
    except TypeError:
        raise InputError(f"expected {what} as a sequence of integers, got {values!r}") from None
    return tuple(whole_number(value, f"one of {what}") for value in listed)


def real_array(values: Any, what: str) -> Array:
    """float64 of any shape; InputError for complex numbers, text and ragged lists."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"expected {what} as an array of numbers, got lists of different lengths") from None
    if array.size == 0:
        return array.astype(np.float64)
    if array.dtype.kind not in "iuf":
        raise InputError(f"expected {what} as real numbers, got an array of {array.dtype}")
    return array.astype(np.float64, copy=False)


def real_number(value: Any, what: str) -> float:
    """One number; InputError for anything else. NaN and infinities pass: who asks says what they would mean."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} is {value!r}; expected a number") from None


def floating(dtype: Any) -> Any:
    """float64 or float32 as a NumPy dtype, or InputError."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise InputError(f"expected dtype float64 or float32, got {dtype!r}") from None
    if kind not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise InputError(f"expected dtype float64 or float32, got {kind}")
    return kind


def check_torch_device(device: str) -> None:
    """InputError unless torch can hold a tensor on the device."""
    try:
        import torch
    except ImportError as error:
        raise missing_extra("torch", "quantum") from error
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"torch cannot use the device {device!r} ({reason}); expected 'cpu', or a device that this torch has"
        ) from error
