"""The cheap stage of the ladder: a short fine-tuning of several circuits at once, no noise, no transpiler.

Where the exact stage's time goes decides what is left out: four fifths of it are fine-tuning, most of the rest is the
transpiler, and the noise itself is a twentieth. Accuracies and losses here are noise-free ones, after fewer steps on
fewer images. Exact noise on hardly tuned angles costs two to five times as much and ranks no better that could be shown
(`experiments/quantum/ladder_claim.py` measures each score that was weighed).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, Resources
from coevo.spaces.quantumnas.classifier import EncodedImages, accuracy_and_loss, fine_tune
from coevo.spaces.quantumnas.data import Images, read_training_images
from coevo.spaces.quantumnas.devices import Coupling
from coevo.spaces.quantumnas.evaluate import METRICS
from coevo.spaces.quantumnas.options import CLASSES, Options
from coevo.spaces.quantumnas.routing import RoutingEstimate
from coevo.spaces.quantumnas.space import CoDesign
from coevo.spaces.quantumnas.supercircuit import load_supercircuit
from coevo.spaces.quantumnas.threads import one_thread

Widths = tuple[tuple[int, int], ...]


class QuickEstimate(Evaluator):
    """Estimates of all metrics of the exact stage: noise-free accuracy and loss stand for the noisy ones, and a greedy
    routing for Qiskit's.

    Nothing is remembered between batches: a batch is a fixed range of designs, and so are the angles tuned in it.
    """

    id = "quantumnas.estimate"
    version = "1"
    metrics = METRICS
    batch = 8
    resources = Resources(cpus=1, timeout_s=120.0)

    def __init__(self, options: Options, coupling: Coupling):
        self.options = options
        self._route = RoutingEstimate(coupling)

    def setup(self, context: Context) -> None:
        training, validation = read_training_images(self.options)
        self._weights = load_supercircuit(context.artifact("supercircuit"))
        self._training = EncodedImages(equally_many(training, self.options.ladder_images))
        self._validation = EncodedImages(validation)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        with one_thread():
            circuits = list(dict.fromkeys(candidate.value.widths for candidate in candidates))
            scores = dict(zip(circuits, self._accuracies_and_losses(circuits), strict=True))
        return [self._outcome(candidate.value, *scores[candidate.value.widths]) for candidate in candidates]

    def _accuracies_and_losses(self, circuits: Sequence[Widths]) -> list[tuple[float, float]]:
        masks = np.zeros((len(circuits), max(map(len, circuits)), *self._weights.shape[1:-1], 1), dtype=np.float32)
        for mask, widths in zip(masks, circuits, strict=True):
            mask[: len(widths)] = CoDesign((), widths).mask()
        angles: NDArray[Any] = fine_tune(
            self._weights[: masks.shape[1]],
            masks,
            self._training,
            self.options.ladder_steps,
            self.options.fine_tune_learning_rate,
        )
        return [accuracy_and_loss(logits, self._validation.labels) for logits in self._validation.logits(angles)]

    def _outcome(self, design: CoDesign, accuracy: float, loss: float) -> Outcome:
        two_qubit_gates, depth = self._route(design)
        return Outcome(
            {
                "noisy_accuracy": accuracy,
                "noisy_loss": loss,
                "noise_free_accuracy": accuracy,
                "two_qubit_gates": two_qubit_gates,
                "depth": depth,
                "parameters": design.parameters,
            }
        )


def equally_many(images: Images, count: int) -> Images:
    """The first `count` / 4 images of every class."""
    rows = np.concatenate([np.flatnonzero(images.labels == label)[: count // CLASSES] for label in range(CLASSES)])
    return Images(images.inputs[rows], images.labels[rows])
