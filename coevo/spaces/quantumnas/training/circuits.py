"""Training SubCircuits: fine-tuning inherited angles, many of them in one batch, and training from fresh weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from coevo.spaces.quantumnas.ansatz.template import Active, Template
from coevo.spaces.quantumnas.tasks.task import GroundState
from coevo.spaces.quantumnas.training.adam import WEIGHT_DECAY, MaskedAdam, learning_rate_at
from coevo.spaces.quantumnas.training.objectives import Objective, Real

START_SPREAD = 0.1
"""Radians: angles that begin near 0 lie in (-0.1, 0.1)."""


def fine_tune(
    template: Template,
    start: Real,
    active: Active,
    objective: Objective,
    steps: int,
    learning_rate: float,
    frozen: NDArray[np.bool_] | None = None,
) -> Real:
    """Angles [C, n_angles] after full-batch Adam steps from `start` [n_angles], which the SubCircuits share, or
    [C, n_angles]. `frozen` [n_angles] angles, such as pruned ones, stay. No randomness: masked parallel fine-tuning,
    each SubCircuit as if it were alone."""
    mask = template.angle_mask(active)
    angles = np.where(mask, start, 0).astype(objective.dtype)
    optimizer = MaskedAdam(template.with_constants(angles))
    if frozen is not None:
        mask = mask & ~frozen
    for step in range(steps):
        _, gradient = objective.value_and_gradient(optimizer.weights, active)
        optimizer.step(gradient, mask, learning_rate_at(step, steps, learning_rate))
    return optimizer.weights


def train_from_scratch(
    template: Template,
    active: Active,
    objective: Objective,
    steps: int,
    learning_rate: float,
    seeds: list[int],
    progress: Callable[[int], None] | None = None,
) -> Real:
    """Fresh angles [C * seeds, n_angles] for active [C, gates], trained full-batch, all at once: the trainings of the
    first SubCircuit by seed, then those of the second, and so on.

    They start uniform in (-pi, pi) radians, as QuantumNAS's do, or near 0, where gates are nearly the identity, for a
    ground state that is searched from a state of its own: anywhere would throw that state away. `progress(step)` is
    called now and then.
    """
    task = objective.task
    spread = START_SPREAD if isinstance(task, GroundState) and task.start is not None else math.pi
    whole = np.repeat(active, len(seeds), axis=0)
    starts = np.array([np.random.default_rng(seed).uniform(-spread, spread, template.n_angles) for seed in seeds])
    mask = template.angle_mask(whole)
    angles = np.where(mask, np.tile(starts, (len(active), 1)), 0).astype(objective.dtype)
    optimizer = MaskedAdam(template.with_constants(angles), WEIGHT_DECAY)
    for step in range(steps):
        _, gradient = objective.value_and_gradient(optimizer.weights, whole)
        optimizer.step(gradient, mask, learning_rate_at(step, steps, learning_rate))
        if progress is not None and step % 50 == 0:
            progress(step)
    return optimizer.weights
