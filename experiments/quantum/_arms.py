"""What the experiments on circuits share: a search, a training from scratch, one look at the test examples.

Every arm of a seed has the same SuperCircuit, the same number of evaluations, the same number of finalists, the same
trainings, the same transpiler seeds. Finalists are the best distinct circuits of a search by its own fitness; they,
restarts and transpiler seeds are chosen among by validation examples; test examples are read once, at the end.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench  # noqa: F401  # these and the next are handed on to the experiments
from _cases import SEEDS, interval, over_cases, over_seeds, parser, shown  # noqa: F401

from coevo.search.design import Design
from coevo.search.problem import WorkContext
from coevo.search.space import Space
from coevo.search.study import Study
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.export.settle import scorer_of, train_restarts
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.mapping.qiskit_layouts import post_layout
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss
from coevo.spaces.quantumnas.training.supercircuit import train_supercircuit
from coevo.spaces.quantumnas.training.threads import one_thread

PACKAGES = ("qiskit", "qiskit-ibm-runtime", "mlxtend", "numba")
TRANSPILER_SEEDS = (42, 43, 44)
FINALISTS = 8
PAPER: dict[str, Any] = {"sharpness": 1.0}
"""Options by which the claims train as QuantumNAS does, where our defaults do better (`sharpness.py`)."""
Array = NDArray[Any]


def supercircuit(setting: Setting, seed: int, folder: Path) -> Path:
    """The trained SuperCircuit's file."""
    folder.mkdir(parents=True, exist_ok=True)
    with one_thread():
        return train_supercircuit(setting.options, setting.task, setting.template, seed, folder)


@dataclasses.dataclass(frozen=True)
class Found:
    """The best designs of a search by its one objective, of distinct circuits, the best first, with the metrics of the
    first, and what the search saw."""

    designs: tuple[CoDesign, ...]
    metrics: dict[str, float]
    distinct: int
    wall_s: float


def search(
    setting: Setting,
    weights: Path,
    seed: int,
    trials: int,
    objectives: dict[str, str],
    algorithm: str = "nsga2",
    population: int = 40,
    begin_with: Callable[[Space], list[Design]] | None = None,
    lag: int = 15,
) -> Found:
    """One search in this process by one objective, with a SuperCircuit that was trained before. Designs that
    `begin_with` makes of the space are judged first; they count among the trials."""
    made = problem_of(setting)
    ((objective, direction),) = objectives.items()
    sign, last = 1 if direction == "min" else -1, made.stages[-1].name

    def share(context: WorkContext) -> dict[str, Path]:
        return {"supercircuit": Path(shutil.copy(weights, context.folder))}

    began = time.perf_counter()
    with Study(
        dataclasses.replace(made, prepare=share),
        objectives=objectives,
        algorithm=algorithm,
        algorithm_options={"population": population} if algorithm == "nsga2" else {},
        seed=seed,
        runner="inline",
        lag=lag,
    ) as study:
        for design in [] if begin_with is None else begin_with(made.space):
            study.enqueue(design)
        study.run(trials=trials)
        judged = sorted(
            (trial for trial in study.trials() if trial.outcome.ok),
            key=lambda trial: (trial.stage != last, sign * trial.outcome.metrics[objective], trial.index),
        )
        designs: dict[Any, CoDesign] = {}
        for trial in judged:
            design = made.space.build(trial.design)
            designs.setdefault(design if setting.options.layers is not None else design.layers, design)
            if len(designs) == FINALISTS:
                break
        best = dict(judged[0].outcome.metrics)
        return Found(tuple(designs.values()), best, len(judged), time.perf_counter() - began)


class Finisher:
    """Trains designs from scratch, alike, and chooses by validation; tests once.

    Trainings are remembered by circuit, so arms that find the same circuit share them.
    """

    def __init__(self, setting: Setting, seed: int, level: int = 3, transpiler_seeds: Sequence[int] = TRANSPILER_SEEDS):
        self.setting = setting
        self.seed = seed
        task = setting.task
        self._data = task.read_training() if isinstance(task, Classification) else (None, None)
        self.training = self._data[0]
        self.objective = Objective(task, setting.template, self.training, sharpness=setting.options.sharpness)
        self.scorers = [
            scorer_of(
                dataclasses.replace(setting, options=changed(setting.options, transpiler_seed=s)), self._data[1], level
            )
            for s in transpiler_seeds
        ]
        self._trained: dict[Any, Array] = {}

    def angles(self, design: CoDesign) -> Array:
        """[restarts, n_angles]."""
        if design.layers not in self._trained:
            with one_thread():
                self._trained[design.layers] = train_restarts(self.setting, design, self.objective, self.seed)
        return self._trained[design.layers]

    def choose(self, designs: Sequence[CoDesign], moved: bool = False) -> dict[str, Any]:
        """The best of all designs, restarts and transpiler seeds on validation: score, design, angles, circuit and its
        mapper. `moved` takes each mapped circuit to where VF2PostLayout wants it."""
        return max((self.best(design, moved=moved) for design in designs), key=lambda found: found["score"])

    def best(self, design: CoDesign, trained: Array | None = None, moved: bool = False) -> dict[str, Any]:
        """As `choose`, of one design; with angles [trainings, n_angles] of another training where they are given."""
        tried = []
        with one_thread():
            for angles in self.angles(design) if trained is None else trained:
                for scorer in self.scorers:
                    mapped = scorer.map(design, angles)
                    if moved:
                        mapped = post_layout(mapped, scorer.device)
                    score, found = self.score(scorer, mapped)
                    tried.append({"score": score, "angles": angles, "mapped": mapped, "mapper": scorer.mapper} | found)
        return max(tried, key=lambda found: found["score"]) | {"design": design}

    def score(self, scorer: NoisyScorer, mapped: Any) -> tuple[tuple[float, float], dict[str, float]]:
        """(comparable, said): higher is better."""
        output = scorer.outputs([mapped])[0]
        if scorer.examples is None:
            return (-float(output), 0.0), {"noisy_energy": float(output)}
        accuracy, loss = accuracy_and_loss(output, scorer.examples.labels)
        return (accuracy, -loss), {"noisy_accuracy": accuracy, "noisy_loss": loss}

    def test(self, chosen: dict[str, Any], examples: Any = None, device: Any = None) -> dict[str, Any]:
        """What a chosen circuit gives on the test examples, or the energy, and how large it is."""
        task, template, design = self.setting.task, self.setting.template, chosen["design"]
        mapped, active = chosen["mapped"], template.actives([design.layers])
        scorer = NoisyScorer(template, task, chosen["mapper"], None, device)
        row: dict[str, Any] = {
            "two_qubit_gates": mapped.two_qubit_gates,
            "depth": mapped.depth,
            "parameters": template.parameters(design.layers),
            "layout": list(mapped.initial),
            "layers": [list(places) for places in design.layers],
        }
        with one_thread():
            if isinstance(task, Classification):
                examples = examples or task.read_test()
                accuracy, loss = accuracy_and_loss(scorer.outputs([mapped], examples)[0], examples.labels)
                free = Objective(task, template, examples, np.float64).logits(chosen["angles"][None], active)[0]
                row["noisy_test_accuracy"], row["noisy_test_loss"] = accuracy, loss
                row["noise_free_test_accuracy"] = accuracy_and_loss(free, examples.labels)[0]
                row["noisy_validation_accuracy"] = chosen["noisy_accuracy"]
            else:
                row["noisy_energy"] = float(scorer.outputs([mapped])[0])
                energies = Objective(task, template, None, np.float64).energies(chosen["angles"][None], active)
                row["noise_free_energy"] = float(energies[0])
        return row


def changed(options: Options, **what: Any) -> Options:
    """The options with some of them others, checked."""
    return Options(**(options.model_dump() | what))


def folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="coevo-claim-")
