"""Cross entropy of a softmax, compiled: sums run over samples, which lie side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.jit import compiled


def constants(dtype: np.dtype[Any]) -> tuple[type[np.signedinteger[Any]], NDArray[Any]]:
    """What `cross_entropy` needs for float64 or float32: integers of its width, and `limits`."""
    if dtype == np.float64:
        return np.int64, np.array([-708.0, 1.5 * 2**52, 0.6931471803691238, 1.9082149292705877e-10])
    return np.int32, np.array([-87.0, 1.5 * 2**23, 0.693359375, -2.12194440e-4], np.float32)


@compiled
def exponentials(x: Any, bits: Any, magic: float, mantissa: int, ln2_high: float, ln2_low: float) -> None:
    """x [B] <= 0 becomes exp(x), 2^k times a polynomial in the rest; `bits` is x seen as integers of its width.

    Loops of plain arithmetic, so that they become vector instructions, which calls of exp do not. k is rounded by
    adding `magic` (1.5 times the number from which on there are integers alone) and stands in that sum's last bits.
    """
    kind = x.dtype.type
    one, ratio = kind(1), kind(1.4426950408889634)
    c2, c3, c4, c5, c6 = kind(1 / 2), kind(1 / 6), kind(1 / 24), kind(1 / 120), kind(1 / 720)
    c7, c8, c9, c10 = kind(1 / 5040), kind(1 / 40320), kind(1 / 362880), kind(1 / 3628800)
    c11, c12, c13 = kind(1 / 39916800), kind(1 / 479001600), kind(1 / 6227020800)
    whole = np.empty(len(x), x.dtype)
    powers = whole.view(bits.dtype)
    for s in range(len(x)):
        value = x[s]
        shifted = value * ratio + magic
        whole[s] = shifted
        k = shifted - magic
        r = (value - k * ln2_high) - k * ln2_low
        p = c11 + r * (c12 + r * c13)
        p = c7 + r * (c8 + r * (c9 + r * (c10 + r * p)))
        x[s] = one + r * (one + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * (c6 + r * p))))))
    for s in range(len(x)):
        bits[s] += powers[s] << mantissa


@compiled
def cross_entropy(logits: Any, bits: Any, targets: Any, limits: Any) -> Any:
    """The mean loss; logits [classes, B] become the loss's gradient by them, times 2.

    `bits` is logits seen as integers; `limits` [4]: the lowest logarithm of a normal number, the `magic` of
    `exponentials`, and log 2 in two parts.
    """
    classes, samples = logits.shape
    kind = logits.dtype.type
    mantissa = 52 if logits.itemsize == 8 else 23
    largest, total, mass = logits[0].copy(), np.zeros(samples, logits.dtype), np.zeros(samples, logits.dtype)
    for c in range(1, classes):
        row = logits[c]
        for s in range(samples):
            largest[s] = max(largest[s], row[s])
    loss = 0.0
    for c in range(classes):
        row, target = logits[c], targets[c]
        for s in range(samples):
            row[s] -= largest[s]
        for s in range(samples):
            loss -= target[s] * row[s]
        for s in range(samples):
            row[s] = max(row[s], limits[0])
            mass[s] += target[s]
        exponentials(row, bits[c], limits[1], mantissa, limits[2], limits[3])
        for s in range(samples):
            total[s] += row[s]
    for s in range(samples):
        loss += mass[s] * np.log(total[s])
    scale = kind(2.0 / samples)
    for s in range(samples):
        mass[s] *= scale / total[s]
    for c in range(classes):
        row, target = logits[c], targets[c]
        for s in range(samples):
            row[s] = row[s] * mass[s] - target[s] * scale
    return loss / samples
