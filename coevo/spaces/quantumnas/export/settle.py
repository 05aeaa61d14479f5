"""Settling a design before it is written: trained from fresh weights, mapped, and tested once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.circuit_noise import success_rate
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.mapping.circuits import Front, Mapped, Mapper
from coevo.spaces.quantumnas.mapping.couplings import open_device
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification, Examples
from coevo.spaces.quantumnas.training.circuits import train_from_scratch
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss
from coevo.spaces.quantumnas.training.refine import judge, refine

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Settled:
    """A design with nothing left to choose. `angles` is float64 [n_angles] of the template, `mapped` its circuit on
    the device, `scorer` holds the validation examples, and `measured` what was found on the way, by name."""

    design: CoDesign
    angles: Array
    mapped: Mapped
    scorer: NoisyScorer
    measured: dict[str, float]


def settle(setting: Setting, design: CoDesign, context: WorkContext, test: bool = True) -> Settled:
    """Trains the design from fresh weights, maps it and tests it once; `context.progress` runs to all steps but one.

    Of `scratch_restarts` trainings the one that is best under noise on validation examples is kept (the lower loss
    where two are equally accurate; the lowest energy), and refined as far as the options ask for it; the test examples
    are read after that, or never where `test` is False. Of a circuit that is too large for exact noise the best without
    noise is kept, and its success rate is measured in place of noisy values.
    """
    task, template, steps = setting.task, setting.template, setting.options.scratch_steps
    context.progress(0, steps + 3, "reading the task")
    training, validation = task.read_training() if isinstance(task, Classification) else (None, None)
    objective = Objective(task, template, training, sharpness=setting.options.sharpness)

    def progress(step: int) -> None:
        context.progress(step, steps + 3, "training from scratch")

    trained = train_restarts(setting, design, objective, context.seed, progress)
    context.progress(steps, steps + 3, "mapping to the device")
    scorer = scorer_of(setting, validation)
    angles, _ = choose_restart(design, trained, scorer)
    angles, mapped, measured = refine(
        setting.options, design, angles, scorer, training, lambda text: context.progress(steps, steps + 3, text)
    )

    context.progress(steps + 1, steps + 3, "testing")
    if isinstance(task, Classification):
        assert validation is not None
        measured |= _accuracies("validation", design, angles, mapped, scorer, validation)
        if test:
            measured |= _accuracies("test", design, angles, mapped, scorer, task.read_test())
    else:
        if scorer.follows(mapped):
            measured["noisy_energy"] = float(scorer.outputs([mapped])[0])
        measured["noise_free_energy"] = float(scorer.noise_free(design, angles))
    if not scorer.follows(mapped):
        measured["success_rate"] = success_rate(mapped.whole(), scorer.device)
    measured |= {
        "two_qubit_gates": float(mapped.two_qubit_gates),
        "depth": float(mapped.depth),
        "parameters": float(template.parameters(design.layers)),
    }
    return Settled(design, angles, mapped, scorer, measured)


def scorer_of(setting: Setting, examples: Examples | None, optimization_level: int | None = None) -> NoisyScorer:
    """The exact noisy scorer of a setting; the optimisation level is the options' unless given."""
    task, options = setting.task, setting.options
    front = Front(task.encoder if isinstance(task, Classification) else (), task.n_qubits)
    level = options.optimization_level if optimization_level is None else optimization_level
    mapper = Mapper(open_device(options.device), front, level, options.transpiler_seed)
    return NoisyScorer(setting.template, task, mapper, examples)


def train_restarts(setting: Setting, design: CoDesign, objective: Objective, seed: int, progress: Any = None) -> Array:
    """Angles [restarts, n_angles] in float64, trained noise-free from fresh weights."""
    options, template = setting.options, setting.template
    seeds = [
        int(np.random.SeedSequence(seed, spawn_key=(2, n)).generate_state(1)[0])
        for n in range(options.scratch_restarts)
    ]
    angles = train_from_scratch(
        template, template.actives([design.layers]), objective,
        options.scratch_steps, options.scratch_learning_rate, seeds, progress,
    )  # fmt: skip
    # Constants were rounded to the training's single precision.
    return template.with_constants(angles.astype(np.float64))


def choose_restart(design: CoDesign, trained: Array, scorer: NoisyScorer) -> tuple[Array, Mapped]:
    """The training that is best under noise on the scorer's (validation) examples, and its mapped circuit."""
    judged = [judge(scorer, design, angles) for angles in trained]
    best = max(judged, key=lambda one: one.rank)  # of equals the first
    return best.angles, best.mapped


def _accuracies(
    name: str, design: CoDesign, angles: Array, mapped: Mapped, scorer: NoisyScorer, examples: Examples
) -> dict[str, float]:
    outputs = {"noise_free": scorer.noise_free(design, angles, examples)}
    if scorer.follows(mapped):
        outputs = {"noisy": scorer.outputs([mapped], examples)[0]} | outputs
    measured: dict[str, float] = {}
    for kind, logits in outputs.items():
        accuracy, loss = accuracy_and_loss(logits, examples.labels)
        measured |= {f"{kind}_{name}_accuracy": accuracy, f"{kind}_{name}_loss_nat": loss}
    return measured | {f"{name}_examples": float(len(examples.labels))}
