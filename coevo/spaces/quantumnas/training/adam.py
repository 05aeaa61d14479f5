"""Adam for shared angles, and its learning rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating[Any]]

WARM_UP = 0.15
WEIGHT_DECAY = 1e-4


class MaskedAdam:
    """Adam that leaves masked parameters and their moments alone, as PyTorch does where a gradient is None.

    Its state is four arrays of the weights' shape, so a checkpoint holds it whole.
    """

    def __init__(self, weights: Real, weight_decay: float = 0.0):
        self.weights = weights
        self.first, self.second, self.counts = (np.zeros_like(weights) for _ in range(3))
        self._kind = weights.dtype.type
        self._decay = self._kind(weight_decay)

    def state(self) -> dict[str, Real]:
        return {"weights": self.weights, "first": self.first, "second": self.second, "counts": self.counts}

    def step(self, gradient: Real, mask: Any, learning_rate: float) -> None:
        """One step where `mask` is true."""
        kind, one = self._kind, self._kind(1)
        mask = np.asarray(mask, dtype=self.weights.dtype)
        gradient = gradient + self._decay * self.weights
        self.counts += mask
        self.first += mask * kind(0.1) * (gradient - self.first)
        self.second += mask * kind(0.001) * (gradient * gradient - self.second)
        counts = np.maximum(self.counts, one)
        mean = self.first / (one - kind(0.9) ** counts)
        spread = np.sqrt(self.second / (one - kind(0.999) ** counts))
        self.weights -= kind(learning_rate) * mask * mean / (spread + kind(1e-8))


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over the first 15 % of the steps, then half a cosine to 0 (QuantumNAS: 30 of 200 epochs)."""
    warm = WARM_UP * steps
    if step < warm:
        return peak * (step + 1) / max(warm, 1.0)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
