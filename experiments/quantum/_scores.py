"""Designs whose truth is known because each was trained from scratch, and every cheaper score of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.circuit_noise import success_rate
from coevo.search.canonical import stream
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.export.settle import scorer_of
from coevo.spaces.quantumnas.judging.elivagar.score import RESILIENCE_POWER, ElivagarScore
from coevo.spaces.quantumnas.judging.estimate import equally_many
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.circuits import fine_tune, train_from_scratch
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss, calibrated_loss

OF_A_COUNT = 5  # designs of one parameter count
SCRATCH_STEPS = 1000
TUNED = ("untrained", "plain", "restricted", "shrinking")
STEPS = (20, 100)
TRUTHS = ("noise_free_loss", "noisy_accuracy")
DRAWS = 5_000  # of designs, until a parameter count is given up for having too few circuits
Array = NDArray[Any]
Strata = Sequence[NDArray[np.int64]]


class Scores:
    """The designs of a seed, their truth, and every score of them: `found` holds [designs] values, higher is better,
    and the CPU time of each design in ms (SuperCircuits, which all designs share, not counted)."""

    def __init__(self, setting: Setting, seed: int, count: int):
        self.setting = setting
        self.seed = seed
        self.designs, self.strata = draw(setting, seed, count)
        self.active = setting.template.actives([design.layers for design in self.designs])
        training, self.validation = setting.task.read_training()
        sharpness = setting.options.sharpness
        self.training = Objective(setting.task, setting.template, training, sharpness=sharpness)
        few = equally_many(training, Options(ladder=True).ladder_examples, len(setting.task.classes))
        self.few = Objective(setting.task, setting.template, few, sharpness=sharpness)
        self.free = Objective(setting.task, setting.template, self.validation)
        self.scorer = scorer_of(setting, self.validation)
        self.found: dict[str, tuple[Array, float]] = {}
        self.mapped: list[Any] = []
        # Kernels are compiled, and Qiskit's passes made, before the clock starts.
        warm = self.tune(np.zeros(setting.template.n_angles), self.training, 1)
        self.noise_free(warm)
        self.noisy(self.map(warm))

    def train(self) -> list[dict[str, Array]]:
        """Both trainings: {truth: [designs]}."""
        template, learning_rate = self.setting.template, self.setting.options.scratch_learning_rate
        seeds = [int(np.random.SeedSequence(self.seed, spawn_key=(2, n)).generate_state(1)[0]) for n in range(2)]
        angles = train_from_scratch(template, self.active, self.training, SCRATCH_STEPS, learning_rate, seeds)
        return [
            {"noise_free_loss": self.noise_free(own)[1], "noisy_accuracy": self.noisy(self.map(own))[0]}
            for own in (angles[0::2], angles[1::2])
        ]

    def inherited(self, name: str, start: Array) -> None:
        """Losses and accuracies with the angles of a SuperCircuit, and after fine-tuning."""
        for steps in (0, *(STEPS if name in TUNED else ())):
            what = f"{steps} steps" if steps else "inherited"
            began = time.process_time()
            angles = self.tune(start, self.training, steps)
            tuned = time.process_time()
            _, loss = self.noise_free(angles)
            judged = time.process_time()
            mapped = self.map(angles)
            logits = self.scorer.outputs(mapped)
            accuracy, noisy_loss = self._judged(logits)
            noisy_s = time.process_time() - judged + tuned - began
            self._note(f"{what}, noise-free loss ({name})", -loss, judged - began)
            self._note(f"{what}, noisy loss ({name})", -noisy_loss, noisy_s)
            self._note(f"{what}, noisy accuracy ({name})", accuracy, noisy_s)
            calibrated = [calibrated_loss(row, self.validation.labels) for row in logits]
            self._note(f"{what}, noisy calibrated loss ({name})", np.negative(calibrated), noisy_s)
            if name == "shrinking" and not steps:
                self.mapped, self._loss = mapped, loss
        if name == "shrinking":
            began = time.process_time()
            _, loss = self.noise_free(self.tune(start, self.few, STEPS[0]))
            self._note("ladder, noise-free loss (shrinking)", -loss, time.process_time() - began)

    def without_angles(self) -> None:
        """Scores of the circuit and of its mapping; angles matter to the mapping alone, and are the inherited ones."""
        template, device = self.setting.template, self.scorer.mapper.device
        self._note("parameters", [template.parameters(design.layers) for design in self.designs])
        self._note("two-qubit gates", [-mapped.two_qubit_gates for mapped in self.mapped])
        for variant in ("full", "estnoise"):
            began = time.process_time()
            success = np.array([success_rate(mapped.whole(), device, variant=variant) for mapped in self.mapped])
            took = time.process_time() - began
            self._note(f"success, {variant}", success, took)
            self._note(f"loss / success, {variant} (shrinking)", -self._loss / success, took)
        self._note("chance", np.random.default_rng(self.seed).random(len(self.designs)))

    def elivagar(self) -> None:
        """Elivagar's scores, of each design mapped by itself with random angles."""
        ranking = ElivagarScore(self.setting, self.scorer.mapper.device, seed=self.seed)
        ranking.resilience(ranking.map(self.designs[0]))  # the device's channels are assembled before the clock starts
        began = time.process_time()
        resilience = np.array([ranking.resilience(ranking.map(design)) for design in self.designs])
        resilient = time.process_time()
        capacity = np.array([ranking.capacity(design) for design in self.designs])
        took = time.process_time() - resilient
        self._note("CNR", resilience, resilient - began)
        self._note("RepCap", capacity, took)
        self._note("RepCap CNR^0.5", capacity * resilience**RESILIENCE_POWER, took + resilient - began)

    def tune(self, start: Array, objective: Objective, steps: int) -> Array:
        options = self.setting.options
        return fine_tune(
            self.setting.template, start, self.active, objective, steps, options.fine_tune_learning_rate
        ).astype(np.float64)

    def noise_free(self, angles: Array) -> tuple[Array, Array]:
        """Accuracies and losses on the validation examples [designs]."""
        return self._judged(self.free.logits(angles, self.active))

    def noisy(self, mapped: list[Any]) -> tuple[Array, Array]:
        return self._judged(self.scorer.outputs(mapped))

    def map(self, angles: Array) -> list[Any]:
        return [self.scorer.map(design, own) for design, own in zip(self.designs, angles, strict=True)]

    def _judged(self, logits: Any) -> tuple[Array, Array]:
        pairs = [accuracy_and_loss(row, self.validation.labels) for row in logits]
        return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])

    def _note(self, name: str, values: Any, cpu_s: float = 0.0) -> None:
        values = np.asarray(values, dtype=float)
        if not np.isfinite(values).all():
            raise ValueError(f"seed {self.seed}: the score {name!r} is not finite for every design")
        self.found[name] = values, 1e3 * cpu_s / len(self.designs)


def draw(setting: Setting, seed: int, count: int) -> tuple[list[CoDesign], Strata]:
    """Random designs with different circuits, OF_A_COUNT of every stratum, and the strata as indices.

    The first design of a stratum is any of the space; the others are the next ones with as many parameters.
    """
    space, template = problem_of(setting).space, setting.template
    designs: dict[Any, CoDesign] = {}
    strata: list[Array] = []
    drawn = itertools.count()
    while len(designs) < count:
        stratum: dict[Any, CoDesign] = {}
        parameters = None
        for number in itertools.islice(drawn, DRAWS):
            design = space.build(space.sample(stream(seed, "ranking", number)))
            own = template.parameters(design.layers)
            if design.layers not in designs and own == (parameters or own):
                parameters = own
                stratum.setdefault(design.layers, design)
            if len(stratum) == OF_A_COUNT:
                strata.append(np.arange(len(designs), len(designs) + OF_A_COUNT))
                designs |= stratum
                break
    return list(designs.values()), strata
