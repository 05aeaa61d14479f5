"""Batch norm of a subnet's rows: scale and shift are shared, statistics are each subnet's own.

Running averages over many subnets fit none of them (Yu and Huang 2019, slimmable networks, section 3.3). Training
normalises by the batch and keeps nothing; before a subnet is judged, `calibrate` averages its statistics over some
batches, and they hold until weights or subnet change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.modules.batch_norm import normalize_rows


@dataclass(eq=False)
class _Leading:
    """The part of a norm that `normalize_rows` works with."""

    num_features: int
    training: bool
    momentum: float | None
    eps: float
    weight: Tensor
    bias: Tensor
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None


class ElasticBatchNorm(nn.BatchNorm1d):
    """Normalises the first channels over the rows in use; with a residual and a ReLU in the same pass.

    `calibrated` is how many channels have statistics of the subnet that runs, 0 where none have.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.calibrated = 0

    def reset_running_stats(self) -> None:
        super().reset_running_stats()
        self.calibrated = 0

    def forward(  # type: ignore[override]
        self, features: Tensor, count: Tensor, residual: Tensor | None = None, relu: bool = False
    ) -> Tensor:
        """[N, C] of features [N, C], of which the first count (int32 [1]) are in use; C at most the largest layer's.

        Raises:
            InputError: in evaluation, where no statistics of so many channels were averaged.
        """
        channels = features.shape[1]
        calibrating = self.training and self.momentum is None
        if self.training:
            self.calibrated = channels if calibrating else 0
        elif self.calibrated != channels:
            raise InputError(
                f"a batch norm has no statistics of this subnet's {channels} channels: calibrate the supernet after "
                "setting a design and before judging it (coevo.supernets.elastic.calibrate)"
            )
        assert self.running_mean is not None and self.running_var is not None
        known = calibrating or not self.training
        part = _Leading(
            channels, self.training, self.momentum, self.eps, self.weight[:channels], self.bias[:channels],
            self.running_mean[:channels] if known else None, self.running_var[:channels] if known else None,
            self.num_batches_tracked if known else None,
        )  # fmt: skip
        return normalize_rows(features, count, cast(nn.BatchNorm1d, part), residual, relu)
