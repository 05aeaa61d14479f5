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
def logarithms(x: Any, bits: Any, magic: float, mantissa: int, ln2_high: float, ln2_low: float) -> None:
    """Normal x [B] > 0 becomes log(x); `bits` is x seen as integers of its width.

    x = 2^k m with m in [sqrt(1/2), sqrt(2)), and log m = 2 atanh((m - 1) / (m + 1)) as a series. As in
    `exponentials` integers become numbers by way of `magic`.
    """
    kind = x.dtype.type
    one, two, root = kind(1), kind(2), kind(1.4142135623730951)
    bias = 1023 if mantissa == 52 else 127
    whole = np.empty(len(x), x.dtype)
    powers = whole.view(bits.dtype)
    for s in range(len(x)):
        whole[s] = magic
    for s in range(len(x)):
        k = bits[s] >> mantissa
        powers[s] += k
        bits[s] += (bias - k) << mantissa
    start = magic + kind(bias)
    for s in range(len(x)):
        half = kind(0.5) if x[s] >= root else one
        m, k = x[s] * half, (whole[s] - start) + (two - two * half)
        f = (m - one) / (m + one)
        z = f * f
        p = kind(1 / 15) + z * (kind(1 / 17) + z * (kind(1 / 19) + z * kind(1 / 21)))
        p = kind(1 / 7) + z * (kind(1 / 9) + z * (kind(1 / 11) + z * (kind(1 / 13) + z * p)))
        p = z * (kind(1 / 3) + z * (kind(1 / 5) + z * p))
        x[s] = k * ln2_high + (two * (f + f * p) + k * ln2_low)


@compiled
def cross_entropy(logits: Any, bits: Any, targets: Any, limits: Any, count: int) -> Any:
    """The sum of the losses over `count`; logits [classes, B] become its gradient by them, times 2.

    Where all targets are 0 a sample counts nothing. `bits` is logits seen as integers; `limits` [4]: the lowest
    logarithm of a normal number, the `magic` of `exponentials`, and log 2 in two parts.
    """
    classes, samples = logits.shape
    kind = logits.dtype.type
    mantissa = 52 if logits.itemsize == 8 else 23
    largest, total, mass = logits[0].copy(), np.zeros(samples, logits.dtype), np.zeros(samples, logits.dtype)
    losses, zero = np.zeros(samples, logits.dtype), kind(0)
    for c in range(1, classes):
        for s in range(samples):
            largest[s] = max(largest[s], logits[c, s])
    for c in range(classes):
        row, target = logits[c], targets[c]
        for s in range(samples):
            value = row[s] - largest[s]
            losses[s] = losses[s] - target[s] * value
            mass[s] += target[s]
            row[s] = max(value, limits[0])
    exponentials(logits.ravel(), bits.ravel(), limits[1], mantissa, limits[2], limits[3])
    for c in range(classes):
        for s in range(samples):
            total[s] += logits[c, s]
    scale = kind(2.0 / count)
    for s in range(samples):
        largest[s] = mass[s] * scale / total[s]
    logarithms(total, total.view(bits.dtype), limits[1], mantissa, limits[2], limits[3])
    loss = zero
    for s in range(samples):
        loss += losses[s] + mass[s] * total[s]
    for c in range(classes):
        row, target = logits[c], targets[c]
        for s in range(samples):
            row[s] = row[s] * largest[s] - target[s] * scale
    return loss / count
