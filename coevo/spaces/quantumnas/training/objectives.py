"""What training minimises without noise: a classifier's loss or an energy, for many SubCircuits at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.statevector import Energy, Readout, product_states
from coevo.spaces.quantumnas.ansatz.template import Active, Template
from coevo.spaces.quantumnas.tasks.task import Classification, Examples, GroundState

Real = NDArray[np.floating[Any]]
Task = Classification | GroundState


class Objective:
    """The noise-free objective of a task over SubCircuits of a template.

    For a classification it is the mean negative log-likelihood (nat) over `examples`, encoded once; for a ground state
    the energy, in the Hamiltonian's unit. Angles are [C, n_angles], active [C, gates].

    `sharpness` multiplies the logits inside the loss, not those that `logits` gives: expectation values lie in [-1, 1],
    so that without it even a perfect circuit's chances stay near uniform, and the loss cares for what is already right.
    """

    def __init__(
        self,
        task: Task,
        template: Template,
        examples: Examples | None = None,
        dtype: type[Any] = np.float32,
        sharpness: float = 1.0,
    ):
        self.task = task
        self.dtype = dtype
        self._sharpness = sharpness
        self.count = 1
        self._readout: Readout | None = None
        self._energy: Energy | None = None
        if isinstance(task, GroundState):
            self._energy = Energy(template.circuit, task.hamiltonian.labels, task.hamiltonian.coefficients, dtype)
            return
        assert examples is not None
        self.count = len(examples.labels)
        self.labels = examples.labels
        states = product_states(examples.inputs, task.encoder, task.n_qubits)
        self._readout = Readout(template.circuit, states, examples.labels, task.head * sharpness, dtype)

    def value_and_gradient(
        self, angles: Real, active: Active, rows: NDArray[np.int64] | None = None
    ) -> tuple[Real, Real]:
        """Values [C] and gradients [C, n_angles]; over the examples `rows` where they are given."""
        if self._energy is not None:
            return self._energy.value_and_gradient(angles, active)
        assert self._readout is not None
        return self._readout.value_and_gradient(angles, active, rows)

    def logits(self, angles: Real, active: Active) -> Real:
        """[C, examples, classes]; of a classification alone."""
        assert self._readout is not None
        found: Real = self._readout.logits(angles.astype(self.dtype, copy=False), active)
        return found if self._sharpness == 1 else found / self.dtype(self._sharpness)

    def energies(self, angles: Real, active: Active) -> Real:
        """[C]; of a ground state alone."""
        assert self._energy is not None
        return self._energy.values(angles.astype(self.dtype, copy=False), active)


def log_softmax(logits: Real) -> Real:
    """Over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Real = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def accuracy_and_loss(logits: Real, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Share of examples whose largest logit is the label's, and the mean negative log-likelihood in nat."""
    right = float(np.mean(logits.argmax(axis=-1) == labels))
    return right, float(-np.mean(log_softmax(logits)[np.arange(len(labels)), labels]))


def calibrated_loss(logits: Real, labels: NDArray[np.int64]) -> float:
    """The least mean negative log-likelihood in nat over all positive factors on the logits [examples, classes].

    Noise shrinks expectation values without changing which is largest, so a loss at the factor of noise-free training
    punishes what costs no accuracy. The loss is convex in the factor; Newton steps on its logarithm, at most from
    e^-7 to e^7.
    """
    rows = np.arange(len(labels))
    power = 0.0
    for _ in range(30):
        factor = np.exp(power)
        chances = np.exp(log_softmax(factor * logits))
        mean = np.sum(chances * logits, axis=1)
        slope = float(np.mean(mean - logits[rows, labels]))  # by the factor
        curvature = float(np.mean(np.sum(chances * logits**2, axis=1) - mean**2))
        by_power, second = factor * slope, factor * slope + factor**2 * curvature
        step = by_power / second if second > 0 else np.copysign(1.0, by_power)
        power = float(np.clip(power - np.clip(step, -1, 1), -7, 7))
        if abs(step) < 1e-9:
            break
    return float(-np.mean(log_softmax(np.exp(power) * logits)[rows, labels]))
