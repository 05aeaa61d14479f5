"""The worst case: the same mapped circuit under other calibrations of its device.

A circuit is mapped once, on the snapshot, as it would be in use; then it is read again under every other calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.judging.metrics import robust, scaled_name
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.objectives import accuracy_and_loss, calibrated_loss

Real = NDArray[np.floating[Any]]


def other_calibrations(device: QuantumDevice, options: Options) -> list[QuantumDevice]:
    """The device under each noise scale, in order, then its drifts: number k has the seed `drift_seed` + k."""
    scaled = [device.scaled(scale) for scale in options.noise_scales]
    return scaled + [device.perturbed(options.drift_spread, options.drift_seed + k) for k in range(options.drifts)]


def worst_case(setting: Setting, scorer: NoisyScorer) -> WorstCase | None:
    """What the options ask for, or None."""
    if not robust(setting.options):
        return None
    return WorstCase(scorer, other_calibrations(scorer.device, setting.options), setting.options.noise_scales)


class WorstCase:
    """Judges circuits under the scorer's device and others of the same couplings.

    The devices are kept: their channels are assembled once. All circuits under all devices are one call of the noise
    engine.
    """

    def __init__(self, scorer: NoisyScorer, others: Sequence[QuantumDevice], scales: Sequence[float] = ()):
        self._snapshot = scorer
        self._scales = tuple(scales)
        self._scorers = [
            scorer,
            *(NoisyScorer(scorer.template, scorer.task, scorer.mapper, scorer.examples, device) for device in others),
        ]

    def outputs(self, mapped: Sequence[Any]) -> Real:
        """Logits [circuits, devices, examples, classes] or energies [circuits, devices], the snapshot first."""
        programs = [scorer.program(one) for one in mapped for scorer in self._scorers]
        found = self._snapshot.outputs_of(programs)
        return found.reshape(len(mapped), len(self._scorers), *found.shape[1:])

    def each(self, mapped: Sequence[Any]) -> list[Real | InputError]:
        """`outputs` of every circuit, or why the engine refuses it."""
        from coevo.spaces.quantumnas.judging.noisy import each_alone

        return each_alone(self.outputs, mapped)

    def metrics(self, output: Real) -> dict[str, float]:
        """Of one circuit's outputs: under the snapshot, the worst, and under every noise scale."""
        examples = self._snapshot.examples
        if examples is None:
            energies = output.tolist()
            return {
                "noisy_energy": energies[0],
                "worst_noisy_energy": max(energies),
                **{scaled_name("noisy_energy", scale): energies[1 + k] for k, scale in enumerate(self._scales)},
            }
        values = [
            (*accuracy_and_loss(logits, examples.labels), calibrated_loss(logits, examples.labels)) for logits in output
        ]
        accuracies, losses, calibrated = [list(column) for column in zip(*values, strict=True)]
        return {
            "noisy_accuracy": accuracies[0],
            "noisy_loss": losses[0],
            "noisy_calibrated_loss": calibrated[0],
            "worst_noisy_accuracy": min(accuracies),
            "worst_noisy_loss": max(losses),
            "worst_noisy_calibrated_loss": max(calibrated),
            **{scaled_name("noisy_accuracy", scale): accuracies[1 + k] for k, scale in enumerate(self._scales)},
        }
