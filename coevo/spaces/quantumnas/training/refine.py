"""Weights after training from scratch: pruned, then trained through the noise, as far as the options ask for it.

Every step is judged on noisy validation (examples, or the energy) by the design's own bound circuit, the one that is
exported, and what does not beat the weights before it is not kept. Each step has the control of equal fine-tuning
without it, so that a gain is not mistaken for that of more steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.tasks.task import Examples
from coevo.spaces.quantumnas.training.circuits import fine_tune
from coevo.spaces.quantumnas.training.noise_aware import NoisyObjective, train_noise_aware
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss
from coevo.spaces.quantumnas.training.pruning import prune

if TYPE_CHECKING:
    from coevo.spaces.quantumnas.mapping.circuits import Mapped

Array = NDArray[np.float64]
Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """Angles [n_angles], their circuit on the device and its noisy validation: accuracy and loss (nat), or the energy,
    with the other one NaN."""

    angles: Array
    mapped: Mapped
    accuracy: float
    loss: float

    @property
    def rank(self) -> tuple[float, float]:
        """Larger is better: accuracy, then the smaller loss; or the lower energy."""
        return (0.0 if np.isnan(self.accuracy) else self.accuracy, -self.loss)


def judge(scorer: NoisyScorer, design: CoDesign, angles: Array) -> Judged:
    """Of the scorer's (validation) examples or Hamiltonian; without noise where the circuit is too large for it."""
    mapped = scorer.map(design, angles)
    output = scorer.outputs([mapped])[0] if scorer.follows(mapped) else scorer.noise_free(design, angles)
    if scorer.examples is None:
        return Judged(angles, mapped, np.nan, float(output))
    return Judged(angles, mapped, *accuracy_and_loss(output, scorer.examples.labels))


def refine(
    options: Options,
    design: CoDesign,
    start: Array,
    scorer: NoisyScorer,
    training: Examples | None,
    progress: Progress | None = None,
) -> tuple[Array, Mapped, dict[str, float]]:
    """Angles, their mapped circuit and what was measured on the way, from angles [n_angles] that training from scratch
    gave. `training` are the training examples of a classification."""
    say = progress or (lambda text: None)
    best = judge(scorer, design, start)
    measured: dict[str, float] = {}
    frozen = None
    if (options.prune_ratios or options.noise_aware_steps) and not scorer.follows(best.mapped):
        raise InputError(
            "the circuit is too large for exact noise, by which pruning and training through the noise are judged; set "
            "prune_ratios = [] and noise_aware_steps = 0"
        )
    if options.prune_ratios:
        say("pruning")
        best, frozen, found = _pruned(options, design, best, scorer, training)
        measured |= found
    if options.noise_aware_steps:
        say("training through the noise")
        best, found = _noise_aware(options, design, best, scorer, training, frozen)
        measured |= found
    return best.angles, best.mapped, measured


def _pruned(
    options: Options, design: CoDesign, start: Judged, scorer: NoisyScorer, training: Examples | None
) -> tuple[Judged, NDArray[np.bool_] | None, dict[str, float]]:
    template = scorer.template
    objective = Objective(scorer.task, template, training, sharpness=options.sharpness)
    made = prune(
        template,
        design,
        start.angles,
        objective,
        options.prune_ratios,
        options.prune_steps,
        options.prune_learning_rate,
    )
    tried = {ratio: judge(scorer, design, angles) for ratio, angles in made.items()}
    # Of equals the smaller ratio: what pruning does not improve is left alone.
    ratio = max(tried, key=lambda each: (tried[each].rank, -each))
    measured = _values("before_pruning", start)
    for each, judged in tried.items():
        measured |= _values(f"pruned_{each:g}", judged)
        measured[f"pruned_{each:g}_two_qubit_gates"] = float(judged.mapped.two_qubit_gates)
        measured[f"pruned_{each:g}_depth"] = float(judged.mapped.depth)
    kept = tried[ratio].rank > start.rank
    measured |= {"pruning_kept": float(kept), "pruned_ratio": ratio if kept else 0.0}
    if not kept:
        return start, None, measured
    frozen = template.angle_mask(template.active(design.layers)) & (tried[ratio].angles == 0)
    return tried[ratio], frozen, measured


def _noise_aware(
    options: Options,
    design: CoDesign,
    start: Judged,
    scorer: NoisyScorer,
    training: Examples | None,
    frozen: NDArray[np.bool_] | None,
) -> tuple[Judged, dict[str, float]]:
    steps, rate = options.noise_aware_steps, options.noise_aware_learning_rate
    factor = 1.0
    if training is not None:
        factor = options.sharpness * shrinkage(scorer, design, start, training)
    objective = NoisyObjective(scorer, design, training, start.mapped.initial, factor)
    aware = judge(scorer, design, train_noise_aware(objective, start.angles, steps, rate, frozen))
    # The control: as many steps on logits as sharp, without noise.
    plain = Objective(scorer.task, scorer.template, training, sharpness=options.sharpness)
    active = scorer.template.actives([design.layers])
    tuned = fine_tune(scorer.template, start.angles, active, plain, steps, rate, frozen)[0].astype(np.float64)
    control = judge(scorer, design, tuned)
    measured = (
        _values("before_noise_aware", start)
        | _values("after_noise_aware", aware)
        | _values("noise_free_control", control)
    )
    best = max((start, control, aware), key=lambda judged: judged.rank)  # of equals the first
    measured["noise_aware_kept"] = float(best is aware)
    measured["noise_free_control_kept"] = float(best is control)
    return best, measured


def shrinkage(scorer: NoisyScorer, design: CoDesign, judged: Judged, examples: Examples) -> float:
    """How much smaller noise makes the spread of a circuit's logits between classes: noise-free over noisy."""
    plain = Objective(scorer.task, scorer.template, examples, np.float64)
    free = plain.logits(judged.angles[None], scorer.template.actives([design.layers]))[0]
    noisy = scorer.outputs([judged.mapped], examples)[0]
    spreads = [float(np.std(logits - logits.mean(axis=1, keepdims=True))) for logits in (free, noisy)]
    return spreads[0] / spreads[1] if min(spreads) > 0 else 1.0


def _values(name: str, judged: Judged) -> dict[str, float]:
    if np.isnan(judged.accuracy):
        return {f"{name}_noisy_energy": judged.loss}
    return {f"{name}_noisy_validation_accuracy": judged.accuracy, f"{name}_noisy_validation_loss_nat": judged.loss}
