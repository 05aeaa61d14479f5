"""mIoU of designs with the supernet's weights."""

from __future__ import annotations

from typing import Any

from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.network.supernet import Supernet
from coevo.spaces.spvnas.training.metrics import Scores
from coevo.spaces.spvnas.training.validation import Validation, precise
from coevo.supernets.elastic import calibrate


class InheritedScores:
    """Scores designs one after another: statistics of norms anew for each, then every scan of a validation.

    Args:
        net: a trained supernet on the validation's device.
        calibration: scans whose statistics the norms get; they must not be those that judge.
        precision: of the features.
    """

    def __init__(self, net: Supernet, calibration: Validation, precision: str = "float32") -> None:
        self.net, self.precision = net, precision
        self._calibration = calibration

    def settle(self, design: Backbone) -> None:
        """The supernet is set to the design, with its statistics."""
        self.net.set_design(design)

        def run(x: Any) -> None:
            with precise(self.precision, self._calibration.device):
                self.net(x)

        calibrate(self.net, self._calibration.inputs(), run)
        self.net.eval()

    def of(self, design: Backbone, validation: Validation) -> Scores:
        """With weights as they are."""
        self.settle(design)
        return validation.score_of(self.net, self.precision)

    def extract(self, design: Backbone) -> MinkUNet:
        """The static network with these weights and statistics, in evaluation mode."""
        self.settle(design)
        return self.net.extract().eval()
