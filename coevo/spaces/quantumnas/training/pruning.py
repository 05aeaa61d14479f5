"""Iterative pruning with fine-tuning: angles that nobody misses become 0, the others learn to do without them.

As QuantumNAS and its artifact do (HPCA 2022, section 4.4): the share of pruned angles follows a cubic ramp over the
first half of the steps and stays; the mask spans all angles of the design and is computed anew every epoch from their
distances to a whole turn, so an angle is what is pruned, not a gate. U3(theta, 0, 0) is an RY, which the transpiler
writes with fewer pulses, and a gate whose angles are all 0 is dropped by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.training.adam import MaskedAdam, learning_rate_at
from coevo.spaces.quantumnas.training.objectives import Objective
from coevo.supernets.pruning import global_mask, polynomial_ratio, wrapped_magnitude

Array = NDArray[np.float64]

START_RATIO = 0.05
EPOCHS = 200
"""As the artifact: so often, at most, the mask is computed anew."""


def prune(
    template: Template,
    design: CoDesign,
    angles: Array,
    objective: Objective,
    ratios: Sequence[float],
    steps: int,
    learning_rate: float,
    progress: Callable[[int], None] | None = None,
) -> dict[float, Array]:
    """{ratio: angles [n_angles]} after so many full-batch Adam steps from `angles` [n_angles]; all ratios side by side.

    A ratio is the share of the design's angles that end at 0, from 0 to 1; 0 is the control, the same fine-tuning
    without pruning, and always among the results. With 1 nothing is left but gates without angles, which is what a
    ground state that was searched from a good start has to beat. Ratios below the ramp's start of 5 % are constant.
    No randomness. InputError for another ratio.
    """
    chosen = sorted({0.0, *(float(ratio) for ratio in ratios)})
    for ratio in chosen:
        if not 0 <= ratio <= 1:
            raise InputError(f"expected ratios of pruned angles from 0 to 1, got {ratio}")
    active = template.actives([design.layers] * len(chosen))
    used = template.angle_mask(active)
    start = np.tile(np.where(used[0] | ~template.trained, angles, 0), (len(chosen), 1))
    optimizer = MaskedAdam(start.astype(objective.dtype))
    per_epoch = max(1, -(-steps // EPOCHS))
    epochs = -(-steps // per_epoch)
    zero = objective.dtype(0)
    kept = global_mask(wrapped_magnitude(optimizer.weights), chosen, used)
    for step in range(steps):
        if step % per_epoch == 0:
            shares = [_share(step // per_epoch, epochs, ratio) for ratio in chosen]
            kept = global_mask(wrapped_magnitude(optimizer.weights), shares, used)
        # A pruned angle keeps its last value beside the circuit, and comes back where others have become smaller.
        _, gradient = objective.value_and_gradient(np.where(kept, optimizer.weights, zero), active)
        optimizer.step(gradient, kept & used, learning_rate_at(step, steps, learning_rate))
        if progress is not None:
            progress(step)
    pruned = np.where(kept, optimizer.weights, zero).astype(np.float64)
    return dict(zip(chosen, pruned, strict=True))


def _share(epoch: int, epochs: int, ratio: float) -> float:
    return polynomial_ratio(epoch, 0, epochs // 2, min(START_RATIO, ratio), ratio)
