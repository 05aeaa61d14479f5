"""The classifier without noise: encoded images through the body, <Z> of four qubits as logits, log-softmax, NLL.

Several circuits train at once, each with its own weights or with a mask on shared ones; a masked gate is the identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.statevector import LayeredCircuit, product_states, z_signs
from coevo.spaces.quantumnas.data import ENCODER, N_QUBITS, Images
from coevo.spaces.quantumnas.options import CLASSES
from coevo.spaces.quantumnas.space import RING

Real = NDArray[np.floating[Any]]
Complex = NDArray[np.complexfloating[Any, Any]]

ANGLES = (2, N_QUBITS, 3)
"""Shape of one block's angles: layer (U3, CU3), place in the layer, (theta, phi, lambda)."""

WARM_UP = 0.15
WEIGHT_DECAY = 1e-4
_CIRCUIT = LayeredCircuit(N_QUBITS, RING)


class EncodedImages:
    """Images as noise-free states: `states` [images, 16] and `targets` [images, 4], one-hot."""

    def __init__(self, images: Images, dtype: type[np.floating[Any]] = np.float32):
        kind = np.complex64 if dtype is np.float32 else np.complex128
        self.dtype = dtype
        self.states: Complex = product_states(images.inputs, ENCODER, N_QUBITS).astype(kind)
        self.targets: Real = np.eye(CLASSES, dtype=dtype)[images.labels]
        self.labels = images.labels
        self._signs: Real = z_signs(N_QUBITS).astype(dtype)

    def logits(self, angles: Real) -> Real:
        """<Z> of each qubit [circuits, images, 4] for angles [circuits, blocks, 2, 4, 3]."""
        unitary, _ = _CIRCUIT.unitary(angles.astype(self.dtype, copy=False))
        out = np.matmul(self.states, unitary.swapaxes(1, 2))
        logits: Real = np.matmul(out.real**2 + out.imag**2, self._signs)
        return logits

    def gradient(self, angles: Real, images: NDArray[np.int64] | None = None) -> tuple[Real, Real]:
        """Mean loss in nat [circuits] and its gradient of the angles' shape, over all images or those indexed."""
        states = self.states if images is None else self.states[images]
        targets = self.targets if images is None else self.targets[images]
        unitary, tape = _CIRCUIT.unitary(angles)
        out = np.matmul(states, unitary.swapaxes(1, 2))
        log_share = log_softmax(np.matmul(out.real**2 + out.imag**2, self._signs))
        loss: Real = -np.sum(log_share * targets, axis=(1, 2)) / len(states)
        back = (np.exp(log_share) - targets) * angles.dtype.type(2 / len(states))
        flow = np.matmul(back, self._signs.T) * out
        return loss, _CIRCUIT.gradient(tape, np.matmul(flow.swapaxes(1, 2), states.conj()))


def log_softmax(logits: Real) -> Real:
    """Over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Real = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def accuracy_and_loss(logits: Real, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Share of images whose largest logit is the label's, and the mean negative log-likelihood in nat."""
    right = float(np.mean(logits.argmax(axis=-1) == labels))
    return right, float(-np.mean(log_softmax(logits)[np.arange(len(labels)), labels]))


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

    def step(self, gradient: Real, mask: Real, learning_rate: float) -> None:
        kind, one = self._kind, self._kind(1)
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


def fine_tune(start: Real, masks: Real, images: EncodedImages, steps: int, learning_rate: float) -> Real:
    """Angles [circuits, blocks, 2, 4, 3] after full-batch Adam steps from `start` [blocks, 2, 4, 3], which the circuits
    share; `masks` is [circuits, blocks, 2, 4, 1]. No randomness; several circuits at once cost less each."""
    optimizer = MaskedAdam(start * masks)
    whole = np.broadcast_to(masks, optimizer.weights.shape)
    for step in range(steps):
        _, gradient = images.gradient(optimizer.weights)
        optimizer.step(gradient * masks, whole, learning_rate_at(step, steps, learning_rate))
    return optimizer.weights


def train_from_scratch(
    mask: Real,
    images: EncodedImages,
    steps: int,
    learning_rate: float,
    seeds: list[int],
    progress: Callable[[int], None] | None = None,
) -> Real:
    """Fresh angles [seeds, blocks, 2, 4, 3], trained full-batch: one training a seed, all of them at once.

    They start uniform in (-pi, pi), as QuantumNAS's do; `progress(step)` is called now and then.
    """
    shape = (mask.shape[0], *ANGLES)
    starts = [np.random.default_rng(seed).uniform(-math.pi, math.pi, shape) for seed in seeds]
    optimizer = MaskedAdam(np.array(starts).astype(images.dtype) * mask, WEIGHT_DECAY)
    whole = np.broadcast_to(mask, optimizer.weights.shape)
    for step in range(steps):
        _, gradient = images.gradient(optimizer.weights)
        optimizer.step(gradient * mask, whole, learning_rate_at(step, steps, learning_rate))
        if progress is not None and step % 50 == 0:
            progress(step)
    return optimizer.weights
