"""Operators in encoded samples, which are product states: the last step of an exact judgement.

An operator on m qubits meets S samples in about 4^m S multiplications. Readouts of a shallow circuit reach few of its
qubits, and then each group of operators that reach the same ones meets the samples on those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FEW_QUBITS = 4
"""Up to so many qubits all operators meet the samples at once: looking for smaller ones would take longer."""


def meet(coefficients: Array, reached: NDArray[np.uint8], vectors: Sequence[Array], samples: int) -> Array:
    """Expectation values [samples, n_obs] of operators [n_obs, 4^m] in product states, m arrays [4, samples] of Pauli
    vectors, whose first components (traces) are 1.

    Operator o is the identity on qubits whose `reached` [n_obs, m] is 0: its coefficients with X, Y or Z there are 0.
    """
    groups = groups_of(reached)
    if len(groups) == 1 and len(groups[0][0]) == len(vectors):
        return _met(coefficients, vectors, samples)
    out = np.empty((samples, len(coefficients)), coefficients.dtype)
    shape = (4,) * len(vectors)
    for places, operators in groups:
        inside = [slice(None) if place in places else 0 for place in range(len(vectors))]
        small = np.stack([coefficients[operator].reshape(shape)[tuple(inside)].ravel() for operator in operators])
        out[:, operators] = _met(small, [vectors[place] for place in places], samples)
    return out


def groups_of(reached: NDArray[np.uint8]) -> list[tuple[list[int], list[int]]]:
    """[(qubits, operators)]: operators that meet the samples together, and the qubits on which; apart by the qubits
    that they reach, unless there are few qubits or hardly anything is saved."""
    count, size = reached.shape
    whole = [(list(range(size)), list(range(count)))]
    if size <= FEW_QUBITS or reached.all():
        return whole
    groups: dict[bytes, tuple[list[int], list[int]]] = {}
    for operator, row in enumerate(reached):
        groups.setdefault(row.tobytes(), (np.flatnonzero(row).tolist(), []))[1].append(operator)
    apart = sum(4 ** len(places) * len(operators) for places, operators in groups.values())
    return list(groups.values()) if 2 * apart <= 4**size * count else whole


def products(vectors: Sequence[Array], samples: int) -> Array:
    """Product states [4^m, samples] of m arrays [4, samples]."""
    product = vectors[0] if vectors else None
    for vector in vectors[1:]:
        assert product is not None
        product = (product[:, None, :] * vector[None, :, :]).reshape(4 * len(product), samples)
    return np.ones((1, samples)) if product is None else product


def _met(coefficients: Array, vectors: Sequence[Array], samples: int) -> Array:
    n_obs, half = len(coefficients), len(vectors) // 2
    if len(vectors) == 4:
        from coevo.kernels.pauli_transfer.meet import meet_four

        out = np.empty((samples, n_obs), coefficients.dtype)
        first, second, third, fourth = vectors
        meet_four(coefficients.reshape(n_obs, 16, 16), first, second, third, fourth, out)
        return out
    left, right = products(vectors[:half], samples), products(vectors[half:], samples)
    # One matrix product takes the longer half; what is left is a sum a sample.
    partial = (coefficients.reshape(n_obs * len(left), len(right)) @ right).reshape(n_obs, len(left), samples)
    result: Array = np.einsum("olb,lb->bo", partial, left)
    return result
