"""A settled design that leaves its process: everything that predictions and an export need, and no training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from coevo.hardware.quantum import QuantumDevice
from coevo.search.design import Design
from coevo.search.export import write_export
from coevo.search.problem import WorkContext
from coevo.search.trial import Trial
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.export.folder import shown_examples, write_folder
from coevo.spaces.quantumnas.export.outputs import noisy_outputs
from coevo.spaces.quantumnas.export.settle import Settled
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.mapping.circuits import Front, Mapped, Mapper
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification, Examples
from coevo.spaces.quantumnas.training.objectives import Objective
from coevo.spaces.quantumnas.training.threads import one_thread

Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedCircuit:
    """A classifier's circuit, pickled with all it needs; build it with `of`.

    `setting` is without the task's data, `examples` are the few that an export shows, `isa` is the circuit on the
    device with its inputs unbound, and `device` the calibration that it was settled on: a fitted circuit goes on
    giving the same outputs where another version of a backend is installed. `searched` and `measured` are numbers by
    name: what the search found with inherited angles, and what settling found.
    """

    setting: Setting
    answers: Design
    design: CoDesign
    angles: Real
    front: Front
    mapped: Mapped
    isa: QuantumCircuit
    device: QuantumDevice
    examples: Examples
    searched: Mapping[str, float]
    measured: Mapping[str, float]

    @classmethod
    def of(cls, setting: Setting, trial: Trial, settled: Settled) -> FittedCircuit:
        """Of a trial of the search over `setting`, settled."""
        task, scorer = setting.task, settled.scorer
        assert isinstance(task, Classification)
        examples = shown_examples(scorer.examples)
        assert examples is not None
        return cls(
            setting=replace(setting, task=task.without_data()),
            answers=trial.design,
            design=settled.design,
            angles=settled.angles,
            front=scorer.mapper.front,
            mapped=settled.mapped,
            isa=settled.mapped.whole(),
            device=QuantumDevice(scorer.mapper.device.calibration),
            examples=examples,
            searched=trial.outcome.metrics,
            measured=settled.measured,
        )

    def logits(self, inputs: Real, noisy: bool) -> Real:
        """Exact logits [examples, classes] of inputs [examples, columns] in radians, as the device gives them with
        infinitely many shots, or without noise."""
        with one_thread():
            if noisy:
                return noisy_outputs(self.setting.task, self.isa, self.device, inputs)
            labels = np.zeros(len(inputs), dtype=np.int64)  # logits do not look at them
            template = self.setting.template
            free = Objective(self.setting.task, template, Examples(inputs, labels), np.float64)
            logits: Real = free.logits(self.angles[None], template.actives([self.design.layers]))[0]
            return logits

    def write(self, folder: Path | str, seed: int, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """The folder that `coevo export` writes, of the weights as they are; returns what `measurements.json` holds.
        InputError where `folder` is not empty or cannot be made."""
        options = self.setting.options
        mapper = Mapper(self.device, self.front, options.optimization_level, options.transpiler_seed)
        scorer = NoisyScorer(self.setting.template, self.setting.task, mapper, self.examples)
        settled = Settled(self.design, self.angles, self.mapped, scorer, dict(self.measured))

        def export(design: Design, context: WorkContext) -> Mapping[str, float]:
            with one_thread():
                write_folder(context.folder, self.setting, settled)
            return self.measured

        problem = replace(problem_of(self.setting), export=export)
        units = problem.stages[-1].evaluator.metrics
        return write_export(
            problem, self.answers, folder, seed=seed, measured=self.searched, units=units, provenance=provenance
        )
