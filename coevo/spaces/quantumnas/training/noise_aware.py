"""Noise-aware training: a design's angles under its device's noise, by the exact full-batch gradient.

The gradient runs through the noise channels of a proxy: the design's body with open angles, decomposed by hand into rz,
sx, x and cx and routed on the design's layout. An open circuit keeps pulses that the transpiler merges or drops once
the angles are known, so the proxy is a little noisier than the circuit that is scored and exported. Angles trained here
are therefore judged on their own bound circuit like any others, and kept only if they are better there (`refine.py`).

Noise shrinks readouts, and shrunken logits make the softmax so flat that the loss only asks for a larger margin on
average, whose gain in loss costs accuracy. So the loss is of sharpened logits: multiplied by how much noise shrank
them, which restores their noise-free spread, and by a `sharpness` beyond. The largest logit stays the largest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.tasks.task import Examples, GroundState
from coevo.spaces.quantumnas.training.adam import MaskedAdam, learning_rate_at
from coevo.spaces.quantumnas.training.objectives import log_softmax

if TYPE_CHECKING:
    from coevo.cost_models.circuit_noise import Program
    from coevo.spaces.quantumnas.mapping.circuits import Mapped

Array = NDArray[np.float64]
Loss = Callable[[Any], tuple[float, Any]]
_LEVEL = 1  # Qiskit's: it routes and translates; higher levels rewrite by the values of angles, which are open here


class NoisyObjective:
    """The noisy loss (nat) of a design over `examples`, or its noisy energy, as a function of its angles.

    `scorer` gives template, task and device; `layout` is where the design's logical qubits start, the design's own
    unless given; `factor` multiplies the logits before the softmax. InputError for a circuit too large to be followed
    exactly and differentiated.
    """

    def __init__(
        self,
        scorer: NoisyScorer,
        design: CoDesign,
        examples: Examples | None = None,
        layout: tuple[int, ...] | None = None,
        factor: float = 1.0,
    ):
        from coevo.cost_models.circuit_noise import NoiseAwareCircuit, PauliSums, energy

        self.template = template = scorer.template
        self.task = task = scorer.task
        self.mask: NDArray[np.bool_] = template.angle_mask(template.active(design.layers))
        self.mapped, self.program = open_program(scorer, design, layout or design.layout)
        self._used = np.flatnonzero(self.mask)
        if isinstance(task, GroundState):
            sums = PauliSums(task.hamiltonian.labels, task.hamiltonian.coefficients[None])
            self._circuit = NoiseAwareCircuit(self.program, observables=sums)
            self._loss: Loss = energy
        else:
            assert examples is not None
            self._circuit = NoiseAwareCircuit(self.program, examples.inputs)
            self._loss = _loss_of_logits(examples.labels, task.head * factor)

    def values(self, angles: Array) -> Array:
        """Noisy <Z> [examples, n_qubits], or the energy [1, 1], at angles [n_angles]."""
        found: Array = self._circuit.values(angles[self._used])
        return found

    def value_and_gradient(self, angles: Array) -> tuple[float, Array]:
        """The loss or energy at angles [n_angles] and its gradient [n_angles], 0 where an angle is not used."""
        value, by_used = self._circuit.value_and_gradient(angles[self._used], self._loss)
        gradient = np.zeros(self.template.n_angles)
        gradient[self._used] = by_used
        return value, gradient


def open_program(scorer: NoisyScorer, design: CoDesign, layout: tuple[int, ...] | None) -> tuple[Mapped, Program]:
    """The design on its layout with its trained angles open, and as the noise engine reads it; weight k is the k-th of
    `Template.used_angles`."""
    from qiskit.circuit import ParameterVector

    from coevo.cost_models.circuit_noise import read_encoder, read_program
    from coevo.spaces.quantumnas.mapping.circuits import Mapper
    from coevo.spaces.quantumnas.mapping.decompose import decompose

    template, device, front = scorer.template, scorer.device, scorer.mapper.front
    used = template.used_angles(design.layers)
    theta = ParameterVector("theta", len(used))
    symbols: list[Any] = template.with_constants(np.zeros(template.n_angles)).tolist()
    for parameter, slot in zip(theta, used.tolist(), strict=True):
        symbols[slot] = parameter
    mapper = Mapper(scorer.mapper.device, front, _LEVEL, scorer.mapper.seed)
    mapped = mapper.map(decompose(template.n_qubits, template.gates_of(design.layers), symbols), layout)
    encoder = read_encoder(mapped.encoder, device, front.inputs)
    return mapped, read_program(mapped.body, device, mapped.final, encoder=encoder, weights=list(theta))


def train_noise_aware(
    objective: NoisyObjective,
    start: Array,
    steps: int,
    learning_rate: float,
    frozen: NDArray[np.bool_] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Array:
    """Angles [n_angles] after full-batch Adam steps from `start` [n_angles]; `frozen` ones (pruned angles) and those of
    gates that do not exist stay. No randomness."""
    mask = objective.mask if frozen is None else objective.mask & ~frozen
    optimizer = MaskedAdam(start.astype(np.float64))
    for step in range(steps):
        _, gradient = objective.value_and_gradient(np.asarray(optimizer.weights, np.float64))
        optimizer.step(gradient, mask, learning_rate_at(step, steps, learning_rate))
        if progress is not None:
            progress(step)
    return np.asarray(optimizer.weights, np.float64)


def _loss_of_logits(labels: NDArray[np.int64], head: Array) -> Callable[[Array], tuple[float, Array]]:
    """Mean negative log-likelihood of values [examples, n_qubits] through the head, and its gradient by them."""
    rows = np.arange(len(labels))

    def loss(values: Array) -> tuple[float, Array]:
        logs = log_softmax(values @ head)
        by_logits = np.exp(logs)
        by_logits[rows, labels] -= 1
        return float(-np.mean(logs[rows, labels])), by_logits @ head.T / len(labels)

    return loss
