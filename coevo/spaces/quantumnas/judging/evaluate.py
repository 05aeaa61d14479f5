"""Judging candidates: inherited angles, a short fine-tuning, Qiskit's mapping, and the noise, exact or estimated."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, Resources
from coevo.spaces.quantumnas.ansatz.design import CoDesign, Layers
from coevo.spaces.quantumnas.judging.estimators import Estimator, check_size, estimator_of
from coevo.spaces.quantumnas.judging.metrics import metrics_of
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState
from coevo.spaces.quantumnas.training.circuits import fine_tune
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss
from coevo.spaces.quantumnas.training.supercircuit import load_supercircuit
from coevo.spaces.quantumnas.training.threads import one_thread

_TUNED = 4096  # fine-tuned circuits that a worker remembers


class NoisyJudge(Evaluator):
    """Noisy and noise-free accuracy on all validation examples, or energy, with inherited, fine-tuned angles; how the
    noise is judged is the option `estimator`. Without one, nothing is mapped and no device is opened.

    The circuits of a batch are tuned together and judged together.
    """

    id = "quantumnas.noisy"
    version = "2"
    batch = 8
    resources = Resources(cpus=1, timeout_s=600.0)

    def __init__(self, setting: Setting):
        self.setting = setting
        check_size(setting)
        estimator = setting.options.estimator
        self.id = "quantumnas.noisy" if estimator == "exact" else f"quantumnas.{estimator}"
        self.metrics = metrics_of(setting.options, setting.task)
        self._tuned: OrderedDict[Layers, NDArray[Any]] = OrderedDict()

    def setup(self, context: Context) -> None:
        setting, options = self.setting, self.setting.options
        task, template = setting.task, setting.template
        training, validation = task.read_training() if isinstance(task, Classification) else (None, None)
        self._weights = load_supercircuit(context.artifact("supercircuit"))
        self._training = Objective(task, template, training, sharpness=options.sharpness)
        self._validation = Objective(task, template, validation, np.float64)
        self._estimator: Estimator | None = None
        if options.estimator == "none":
            return
        from coevo.spaces.quantumnas.mapping.circuits import Front, Mapper
        from coevo.spaces.quantumnas.mapping.couplings import open_device

        device = open_device(options.device)
        front = Front(task.encoder if isinstance(task, Classification) else (), template.n_qubits)
        mapper = Mapper(device, front, options.optimization_level, options.transpiler_seed)
        self._scorer = NoisyScorer(template, task, mapper, validation)
        self._estimator = estimator_of(setting, self._scorer)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        with one_thread():
            designs: list[CoDesign] = [candidate.value for candidate in candidates]
            angles = self.angles(design.layers for design in designs)
            free = [self._noise_free(design, angles[design.layers]) for design in designs]
            judged = self._judged(designs, angles, free)
            return [
                Outcome.failed(str(found)) if isinstance(found, InputError) else self._outcome(design, values, found)
                for design, values, found in zip(designs, free, judged, strict=True)
            ]

    def angles(self, circuits: Iterable[Layers]) -> dict[Layers, NDArray[np.float64]]:
        """Angles [n_angles], as `tune` gives them: functions of the circuit alone, so layouts share them."""
        wanted = list(dict.fromkeys(circuits))
        new = [layers for layers in wanted if layers not in self._tuned]
        if new:
            self._tuned.update(zip(new, self.tune(new).astype(np.float64), strict=True))
        found = {layers: self._tuned[layers] for layers in wanted}
        while len(self._tuned) > _TUNED:
            self._tuned.popitem(last=False)
        return found

    def tune(self, circuits: list[Layers]) -> NDArray[Any]:
        """[circuits, n_angles]: inherited, and fine-tuned together."""
        options, template = self.setting.options, self.setting.template
        return fine_tune(
            template, self._weights, template.actives(circuits), self._training,
            options.fine_tune_steps, options.fine_tune_learning_rate,
        )  # fmt: skip

    def _judged(
        self, designs: list[CoDesign], angles: dict[Layers, Any], free: list[dict[str, float]]
    ) -> list[dict[str, float] | InputError]:
        if self._estimator is None:
            return [{} for _ in designs]
        mapped = [self._scorer.map(design, angles[design.layers]) for design in designs]
        sizes = [{"two_qubit_gates": one.two_qubit_gates, "depth": one.depth} for one in mapped]
        judged = self._estimator(mapped, free)
        return [
            found if isinstance(found, InputError) else {**found, **size}
            for found, size in zip(judged, sizes, strict=True)
        ]

    def _noise_free(self, design: CoDesign, angles: Any) -> dict[str, float]:
        """Accuracy and loss, or energy: one design at a time, so that they do not depend on its batch."""
        active = self.setting.template.actives([design.layers])
        if isinstance(self.setting.task, GroundState):
            return {"energy": float(self._validation.energies(angles[None], active)[0])}
        logits = self._validation.logits(angles[None], active)[0]
        accuracy, loss = accuracy_and_loss(logits, self._validation.labels)
        return {"accuracy": accuracy, "loss": loss}

    def _outcome(self, design: CoDesign, free: dict[str, float], found: dict[str, float]) -> Outcome:
        named = {f"noise_free_{name}": value for name, value in free.items()}
        parameters = self.setting.template.parameters(design.layers)
        return Outcome(
            {
                name: value
                for name, value in {**named, **found, "parameters": parameters}.items()
                if name in self.metrics
            }
        )
