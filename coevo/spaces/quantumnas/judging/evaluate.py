"""Judging candidates: inherited angles, a short fine-tuning, Qiskit's mapping, and exact noisy outputs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, Resources
from coevo.spaces.quantumnas.ansatz.design import CoDesign, Layers
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.setting import Setting, Task
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState
from coevo.spaces.quantumnas.training.circuits import fine_tune
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss
from coevo.spaces.quantumnas.training.supercircuit import load_supercircuit
from coevo.spaces.quantumnas.training.threads import one_thread

SIZES = {"two_qubit_gates": "gates", "depth": "gates", "parameters": "1"}
_TUNED = 4096  # fine-tuned circuits that a worker remembers


def metrics_of(task: Task) -> dict[str, str]:
    """{metric: unit} of the exact stage."""
    if isinstance(task, GroundState):
        unit = task.hamiltonian.unit
        return {"noisy_energy": unit, "noise_free_energy": unit, **SIZES}
    return {"noisy_accuracy": "1", "noisy_loss": "nat", "noise_free_accuracy": "1", **SIZES}


def default_objectives(task: Task) -> dict[str, str]:
    """What a search optimises unless told otherwise."""
    if isinstance(task, GroundState):
        return {"noisy_energy": "min", "two_qubit_gates": "min"}
    return {"noisy_accuracy": "max", "two_qubit_gates": "min"}


class NoisyJudge(Evaluator):
    """Noisy and noise-free accuracy on all validation examples, or energy, with inherited, fine-tuned angles.

    The circuits of a batch are tuned together and judged together.
    """

    id = "quantumnas.noisy"
    version = "2"
    batch = 8
    resources = Resources(cpus=1, timeout_s=600.0)

    def __init__(self, setting: Setting):
        self.setting = setting
        self.metrics = metrics_of(setting.task)
        self._tuned: OrderedDict[Layers, NDArray[Any]] = OrderedDict()

    def setup(self, context: Context) -> None:
        from coevo.spaces.quantumnas.mapping.circuits import Front, Mapper
        from coevo.spaces.quantumnas.mapping.couplings import open_device

        setting, options = self.setting, self.setting.options
        task, template = setting.task, setting.template
        training, validation = task.read_training() if isinstance(task, Classification) else (None, None)
        device = open_device(options.device)
        front = Front(task.encoder if isinstance(task, Classification) else (), template.n_qubits)
        mapper = Mapper(device, front, options.optimization_level, options.transpiler_seed)
        self._weights = load_supercircuit(context.artifact("supercircuit"))
        self._training = Objective(task, template, training)
        self._validation = Objective(task, template, validation, np.float64)
        self._scorer = NoisyScorer(template, task, mapper, validation)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        with one_thread():
            designs: list[CoDesign] = [candidate.value for candidate in candidates]
            angles = self.angles(design.layers for design in designs)
            mapped = [self._scorer.map(design, angles[design.layers]) for design in designs]
            outputs = self._scorer.each(mapped)
            return [
                Outcome.failed(str(found))
                if isinstance(found, InputError)
                else self._outcome(design, angles, at, found)
                for design, at, found in zip(designs, mapped, outputs, strict=True)
            ]

    def angles(self, circuits: Iterable[Layers]) -> dict[Layers, NDArray[np.float64]]:
        """Inherited and fine-tuned angles [n_angles]: functions of the circuit alone, so layouts share them."""
        wanted = list(dict.fromkeys(circuits))
        new = [layers for layers in wanted if layers not in self._tuned]
        if new:
            options, template = self.setting.options, self.setting.template
            tuned = fine_tune(
                template, self._weights, template.actives(new), self._training,
                options.fine_tune_steps, options.fine_tune_learning_rate,
            )  # fmt: skip
            self._tuned.update(zip(new, tuned.astype(np.float64), strict=True))
        found = {layers: self._tuned[layers] for layers in wanted}
        while len(self._tuned) > _TUNED:
            self._tuned.popitem(last=False)
        return found

    def _outcome(self, design: CoDesign, tuned: dict[Layers, Any], mapped: Any, output: Any) -> Outcome:
        angles, active = tuned[design.layers][None], self.setting.template.actives([design.layers])
        if isinstance(self.setting.task, GroundState):
            found = {
                "noisy_energy": float(output),
                "noise_free_energy": float(self._validation.energies(angles, active)[0]),
            }
        else:
            accuracy, loss = accuracy_and_loss(output, self._validation.labels)
            free, _ = accuracy_and_loss(self._validation.logits(angles, active)[0], self._validation.labels)
            found = {"noisy_accuracy": accuracy, "noisy_loss": loss, "noise_free_accuracy": free}
        sizes = {
            "two_qubit_gates": mapped.two_qubit_gates,
            "depth": mapped.depth,
            "parameters": self.setting.template.parameters(design.layers),
        }
        return Outcome({**found, **sizes})
