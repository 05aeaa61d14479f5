"""Elivagar's score of designs: capacity times a root of resilience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.judging.elivagar.capacity import DRAWS, SAMPLES_PER_CLASS, Capacity
from coevo.spaces.quantumnas.judging.elivagar.clifford import REPLICAS, CliffordResilience
from coevo.spaces.quantumnas.judging.estimate import equally_many
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification

if TYPE_CHECKING:
    from coevo.spaces.quantumnas.mapping.circuits import Mapped

RESILIENCE_POWER = 0.5
_MAX_READ = 8  # bit strings of more qubits are not followed exactly


@dataclass(frozen=True)
class Ranked:
    """A design with its Elivagar score, which is `capacity` * `resilience` ** 0.5."""

    design: CoDesign
    resilience: float
    capacity: float
    two_qubit_gates: int
    depth: int

    @property
    def score(self) -> float:
        return float(self.capacity * self.resilience**RESILIENCE_POWER)


class ElivagarScore:
    """Scores designs of one setting on one device; no SuperCircuit and no validation example is used.

    Args:
        replicas, shots: see `CliffordResilience`.
        draws: see `Capacity`.
        samples_per_class: training examples of every class whose states are compared; 2 or more.
        seed: of the replicas, the shots and the draws.

    InputError for a task that `check_task` refuses and for counts below 1.
    """

    def __init__(
        self,
        setting: Setting,
        device: QuantumDevice,
        *,
        replicas: int = REPLICAS,
        draws: int = DRAWS,
        samples_per_class: int = SAMPLES_PER_CLASS,
        shots: int | None = None,
        seed: int = 0,
    ):
        from coevo.spaces.quantumnas.mapping.circuits import Front, Mapper

        task, options = check_task(setting), setting.options
        if samples_per_class < 2:
            raise InputError(f"expected 2 samples of a class or more, so that some are pairs, got {samples_per_class}")
        training, _ = task.read_training()
        few = equally_many(training, samples_per_class * len(task.classes), len(task.classes))
        self._template = setting.template
        self._capacity = Capacity(setting.template, task, few, draws, seed)
        self._resilience = CliffordResilience(device, replicas, shots, seed)
        mapper = Mapper(device, Front(task.encoder, task.n_qubits), options.optimization_level, options.transpiler_seed)
        self._scorer = NoisyScorer(setting.template, task, mapper)

    def map(self, design: CoDesign) -> Mapped:
        """The design with its first draw of angles, mapped: generic angles, which no optimisation removes."""
        return self._scorer.map(design, self._capacity.angles[0])

    def resilience(self, mapped: Mapped) -> float:
        return self._resilience(mapped)

    def capacity(self, design: CoDesign) -> float:
        return self._capacity(self._template.active(design.layers))

    def __call__(self, design: CoDesign) -> Ranked:
        """InputError where the mapped circuit is too large to be followed."""
        mapped = self.map(design)
        resilience, capacity = self.resilience(mapped), self.capacity(design)
        return Ranked(design, resilience, capacity, mapped.two_qubit_gates, mapped.depth)


def check_task(setting: Setting) -> Classification:
    """The setting's task; InputError for one that has no classes to keep apart, or too many qubits."""
    task = setting.task
    if not isinstance(task, Classification):
        raise InputError(
            f"Elivagar ranks circuits by how they keep classes apart, and task {task.name} is a ground state without "
            'any; use ladder_score = "loss", or ladder = false'
        )
    if task.n_qubits > _MAX_READ:
        raise InputError(
            f"task {task.name} reads {task.n_qubits} qubits, and Elivagar's outcomes are followed exactly up to "
            f'{_MAX_READ}; use ladder_score = "loss", or a smaller task'
        )
    return task
