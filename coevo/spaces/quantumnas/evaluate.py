"""Judging candidates: inherited angles, a short fine-tuning, Qiskit's mapping, and exact noisy expectations.

No shots are drawn: the readout observables are pulled back through the adjoint noise channels of the mapped circuit
once a candidate and then met with every validation image. The circuit that is scored is the one that is exported.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, Resources
from coevo.spaces.quantumnas.classifier import EncodedImages, accuracy_and_loss, fine_tune
from coevo.spaces.quantumnas.data import Images, read_training_images
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.space import CoDesign
from coevo.spaces.quantumnas.supercircuit import load_supercircuit
from coevo.spaces.quantumnas.threads import one_thread

METRICS = {
    "noisy_accuracy": "1",
    "noisy_loss": "nat",
    "noise_free_accuracy": "1",
    "two_qubit_gates": "gates",
    "depth": "gates",
    "parameters": "1",
}
_TUNED = 4096  # fine-tuned circuits that a worker remembers: 6 KiB each


class NoisyScorer:
    """Exact noisy logits of designs on one set of images.

    `mapper` maps them; encoded states are kept a layout, because the noise of the encoder is that of its qubits.
    """

    def __init__(self, mapper: Any, images: Images):
        self.mapper = mapper
        self.images = images
        self._states: dict[tuple[int, ...], Any] = {}

    def map(self, design: CoDesign, angles: NDArray[Any], layout: tuple[int, ...] | None) -> Any:
        """A `circuits.Mapped` with angles [blocks, 2, 4, 3]; a layout of None is Qiskit's to choose."""
        from coevo.spaces.quantumnas.circuits import body_circuit, gate_angles

        return self.mapper.map(body_circuit(design, gate_angles(design, angles)), layout)

    def logits(self, mapped: Any) -> NDArray[np.float64]:
        """<Z> [images, 4] as the device would measure it with infinitely many shots."""
        from coevo.cost_models.circuit_noise import encoded_states, expectations, noisy_observables
        from coevo.spaces.quantumnas.circuits import INPUTS

        if mapped.initial not in self._states:
            values = {parameter: self.images.inputs[:, pixel] for pixel, parameter in enumerate(INPUTS)}
            self._states[mapped.initial] = encoded_states(mapped.encoder, self.mapper.device, values)
        observables = noisy_observables(mapped.body, self.mapper.device, mapped.final)
        return expectations(observables, self._states[mapped.initial])


class NoisyAccuracy(Evaluator):
    """Noisy and noise-free accuracy on all validation images with inherited, fine-tuned angles."""

    id = "quantumnas.noisy"
    version = "1"
    metrics = METRICS
    batch = 1
    resources = Resources(cpus=1, timeout_s=120.0)

    def __init__(self, options: Options):
        self.options = options
        self._tuned: OrderedDict[tuple[tuple[int, int], ...], NDArray[Any]] = OrderedDict()

    def setup(self, context: Context) -> None:
        from coevo.hardware.quantum import QuantumDevice
        from coevo.spaces.quantumnas.circuits import Mapper

        options = self.options
        device = QuantumDevice.from_name(options.device)
        training, validation = read_training_images(options)
        self._weights = load_supercircuit(context.artifact("supercircuit"))
        self._training = EncodedImages(training)
        self._validation = EncodedImages(validation, np.float64)
        self._scorer = NoisyScorer(Mapper(device, options.optimization_level, options.transpiler_seed), validation)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        with one_thread():
            return [self._judge(candidate.value) for candidate in candidates]

    def angles(self, design: CoDesign) -> NDArray[np.float32]:
        """Inherited and fine-tuned [blocks, 2, 4, 3]: a function of the widths alone, so layouts share it."""
        if design.widths not in self._tuned:
            self._tuned[design.widths] = fine_tune(
                self._weights[: design.blocks],
                design.mask()[None],
                self._training,
                self.options.fine_tune_steps,
                self.options.fine_tune_learning_rate,
            )[0]
            if len(self._tuned) > _TUNED:
                self._tuned.popitem(last=False)
        return self._tuned[design.widths]

    def _judge(self, design: CoDesign) -> Outcome:
        angles = self.angles(design)
        mapped = self._scorer.map(design, angles, design.layout)
        try:
            logits = self._scorer.logits(mapped)
        except InputError as error:  # routed over more qubits than can be followed exactly, or over an uncalibrated one
            return Outcome.failed(str(error))
        labels = self._validation.labels
        accuracy, loss = accuracy_and_loss(logits, labels)
        noise_free, _ = accuracy_and_loss(self._validation.logits(angles[None])[0], labels)
        return Outcome(
            {
                "noisy_accuracy": accuracy,
                "noisy_loss": loss,
                "noise_free_accuracy": noise_free,
                "two_qubit_gates": mapped.two_qubit_gates,
                "depth": mapped.depth,
                "parameters": design.parameters,
            }
        )
