"""What a device would measure of mapped circuits with infinitely many shots, for a whole batch of them at once.

No shots are drawn: observables are pulled back through the adjoint noise channels of each mapped circuit and then met
with every example. The circuit that is scored is the one that is exported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.setting import Task
from coevo.spaces.quantumnas.tasks.task import Examples, GroundState
from coevo.spaces.quantumnas.training.objectives import Objective

if TYPE_CHECKING:
    from coevo.cost_models.circuit_noise import Program
    from coevo.spaces.quantumnas.mapping.circuits import Mapped, Mapper

Real = NDArray[np.floating[Any]]


class NoisyScorer:
    """Exact noisy outputs of designs of one template: logits over a set of examples, or an energy.

    `mapper` maps them. `device` may differ from the mapper's: the same circuits under
    another calibration of the same device.
    """

    def __init__(
        self,
        template: Template,
        task: Task,
        mapper: Mapper,
        examples: Examples | None = None,
        device: QuantumDevice | None = None,
    ):
        self.template = template
        self.task = task
        self.mapper = mapper
        self.examples = examples
        self.device = device or mapper.device
        self._encoders: dict[tuple[int, ...], Any] = {}

    def map(self, design: CoDesign, angles: Real) -> Mapped:
        """A design with its angles [n_angles] on the device."""
        from coevo.spaces.quantumnas.mapping.circuits import body_circuit

        gates = self.template.gates_of(design.layers)
        return self.mapper.map(body_circuit(gates, self.template.n_qubits, angles.tolist()), design.layout)

    def program(self, mapped: Mapped) -> Program:
        """The circuit as the noise engine reads it; encoders are read once a layout."""
        from coevo.cost_models.circuit_noise import read_encoder, read_program

        if mapped.initial not in self._encoders:
            self._encoders[mapped.initial] = read_encoder(mapped.encoder, self.device, self.mapper.front.inputs)
        return read_program(mapped.body, self.device, mapped.final, encoder=self._encoders[mapped.initial])

    def outputs(self, mapped: Sequence[Mapped], examples: Examples | None = None) -> Real:
        """Logits [circuits, examples, classes] or energies [circuits], over the scorer's examples unless others are
        given. InputError for a circuit that the engine refuses."""
        return self.outputs_of([self.program(one) for one in mapped], examples)

    def outputs_of(self, programs: Sequence[Program], examples: Examples | None = None) -> Real:
        """`outputs` of circuits that were read, under whatever devices."""
        from coevo.cost_models.circuit_noise import noisy_expectations, noisy_pauli_sums

        if isinstance(self.task, GroundState):
            sums = self.task.hamiltonian
            return noisy_pauli_sums(programs, sums.labels, sums.coefficients[None])[:, 0, 0]
        chosen = examples or self.examples
        assert chosen is not None
        logits: Real = noisy_expectations(programs, chosen.inputs) @ self.task.head
        return logits

    def follows(self, mapped: Mapped) -> bool:
        """Whether the circuit is small enough for exact noise: its light cone, not the device, decides."""
        from coevo.cost_models.circuit_noise.batch import MAX_QUBITS
        from coevo.kernels.pauli_transfer.plan import light_cone

        program = self.program(mapped)
        read = list(program.read)
        if isinstance(self.task, GroundState):
            read = [read[qubit] for qubit in self.task.hamiltonian.touched]
        return len(light_cone(program.body.rows, read)[1]) <= MAX_QUBITS

    def noise_free(self, design: CoDesign, angles: Real, examples: Examples | None = None) -> Real:
        """Logits [examples, classes] or the energy [], over the scorer's examples unless others are given."""
        objective = Objective(self.task, self.template, examples or self.examples, np.float64)
        active = self.template.actives([design.layers])
        judged = objective.energies if isinstance(self.task, GroundState) else objective.logits
        found: Real = judged(angles[None], active)[0]
        return found

    def each(self, mapped: Sequence[Mapped]) -> list[Real | InputError]:
        """`outputs` of every circuit, or why the engine refuses it (routed over more qubits than can be followed
        exactly, or over one that was never calibrated)."""
        return each_alone(self.outputs, mapped)


def each_alone(outputs: Callable[[Sequence[Mapped]], Real], mapped: Sequence[Mapped]) -> list[Real | InputError]:
    """`outputs` of all circuits in one call; where one of them is refused, of each by itself, or why not."""
    try:
        return list(outputs(mapped))
    except InputError:
        found: list[Real | InputError] = []
        for one in mapped:
            try:
                found.append(outputs([one])[0])
            except InputError as error:
                found.append(error)
        return found
