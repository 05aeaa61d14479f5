"""The cheap stage of the ladder: a short fine-tuning of several circuits at once, no noise, no transpiler.

Where the exact stage's time goes decides what is left out: four fifths of it are fine-tuning, most of the rest is the
transpiler, and the noise itself is a twentieth. Accuracies and losses here are noise-free ones, after fewer steps on
fewer images. Exact noise on hardly tuned angles costs two to five times as much and ranks no better that could be shown
(`experiments/results/ladder_claim.json`; `experiments/quantum/ranking.py` holds such scores against trained circuits).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coevo.errors import InputError
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, Resources
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.judging.metrics import metrics_of, stand_ins
from coevo.spaces.quantumnas.mapping.routing import RoutingEstimate
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification, Examples
from coevo.spaces.quantumnas.training.circuits import fine_tune
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss
from coevo.spaces.quantumnas.training.supercircuit import load_supercircuit
from coevo.spaces.quantumnas.training.threads import one_thread


class QuickEstimate(Evaluator):
    """Estimates of all metrics of the exact stage: noise-free values stand for the noisy ones, and a greedy routing for
    Qiskit's.

    Nothing is remembered between batches: a batch is a fixed range of designs, and so are the angles tuned in it.
    """

    id = "quantumnas.estimate"
    version = "2"
    batch = 8
    resources = Resources(cpus=1, timeout_s=120.0)

    def __init__(self, setting: Setting):
        if setting.options.layout == "qiskit":
            raise InputError("the ladder estimates the routing of a layout; give one, search it, or use ladder = false")
        self.setting = setting
        self.metrics = {
            name: unit
            for name, unit in metrics_of(setting.options, setting.task).items()
            if not name.endswith("_standard_error")
        }
        self._route = RoutingEstimate(setting.coupling, setting.template)

    def setup(self, context: Context) -> None:
        setting = self.setting
        task, template = setting.task, setting.template
        self._weights = load_supercircuit(context.artifact("supercircuit"))
        if isinstance(task, Classification):
            training, validation = task.read_training()
            few = equally_many(training, setting.options.ladder_examples, len(task.classes))
            self._training = Objective(task, template, few, sharpness=setting.options.sharpness)
            self._validation = Objective(task, template, validation)
        else:
            self._training = self._validation = Objective(task, template)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        options, template = self.setting.options, self.setting.template
        designs: list[CoDesign] = [candidate.value for candidate in candidates]
        circuits = list(dict.fromkeys(design.layers for design in designs))
        with one_thread():
            active = template.actives(circuits)
            angles = fine_tune(
                template, self._weights, active, self._training, options.ladder_steps, options.fine_tune_learning_rate
            )
            if isinstance(self.setting.task, Classification):
                logits, labels = self._validation.logits(angles, active), self._validation.labels
                found = [
                    stand_ins(self.metrics, {"accuracy": accuracy, "loss": loss})
                    for accuracy, loss in (accuracy_and_loss(row, labels) for row in logits)
                ]
            else:
                energies = self._validation.energies(angles, active).tolist()
                found = [stand_ins(self.metrics, {"energy": energy}) for energy in energies]
        scores = dict(zip(circuits, found, strict=True))
        return [self._outcome(design, scores[design.layers]) for design in designs]

    def _outcome(self, design: CoDesign, scores: dict[str, float]) -> Outcome:
        two_qubit_gates, depth = self._route(design)
        parameters = self.setting.template.parameters(design.layers)
        return Outcome({**scores, "two_qubit_gates": two_qubit_gates, "depth": depth, "parameters": parameters})


def equally_many(examples: Examples, count: int, classes: int) -> Examples:
    """The first `count` / `classes` examples of every class."""
    share = max(1, count // classes)
    rows = np.concatenate([np.flatnonzero(examples.labels == label)[:share] for label in range(classes)])
    return Examples(examples.inputs[rows], examples.labels[rows])
