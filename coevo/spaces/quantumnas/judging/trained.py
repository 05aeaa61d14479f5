"""The last stage, where one is asked for (option `trained_share`): designs trained from scratch instead of tuned."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from coevo.spaces.quantumnas.ansatz.design import Layers
from coevo.spaces.quantumnas.judging.evaluate import NoisyJudge
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.circuits import train_from_scratch

SCRATCH_SEED = 0
"""One for all circuits: differences are less noisy than values."""


class TrainedJudge(NoisyJudge):
    """As `NoisyJudge`, with angles trained from fresh weights as an export trains them, once: nothing is inherited.

    All circuits of a batch are trained together. It measures by other weights what the stage before it measured, so its
    agreement with that stage says what inherited angles are worth.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self.id = f"{self.id}.trained"

    def tune(self, circuits: list[Layers]) -> NDArray[Any]:
        options, template = self.setting.options, self.setting.template
        return train_from_scratch(
            template, template.actives(circuits), self._training,
            options.scratch_steps, options.scratch_learning_rate, [SCRATCH_SEED],
        )  # fmt: skip
