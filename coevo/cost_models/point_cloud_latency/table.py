"""A table of measured layers, and what it predicts for a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from coevo.cost_models.point_cloud_latency.layers import Axes, Layer
from coevo.errors import InputError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grid:
    """`ms` [inputs, outputs, scans] at the channels of `axes`."""

    axes: Axes
    ms: Array

    def at(self, inputs: int, outputs: int) -> Array:
        """[scans], linear between the four nearest entries. ValueError outside."""
        (a, b, s), (c, d, t) = _between(self.axes.inputs, inputs), _between(self.axes.outputs, outputs)
        low = self.ms[a, c] * (1 - t) + self.ms[a, d] * t
        found: Array = low * (1 - s) + (self.ms[b, c] * (1 - t) + self.ms[b, d] * t) * s
        return found


@dataclass(frozen=True, slots=True)
class Calibration:
    """latency = scale * table + launch_ms * launches + rest_ms, fitted on `networks` whole networks."""

    scale: float = 1.0
    launch_ms: float = 0.0
    rest_ms: float = 0.0
    networks: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """Over the table's scans, milliseconds."""

    mean_ms: float
    p50_ms: float
    p95_ms: float

    @classmethod
    def over(cls, ms: Sequence[float] | Array) -> Prediction:
        values = np.asarray(ms, dtype=float)
        return cls(float(values.mean()), float(np.percentile(values, 50)), float(np.percentile(values, 95)))


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """Times of layers on one device.

    Attributes:
        device: its fingerprint; times of another device are other times.
        dtype: of features and weights, as "float16".
        capacity: most rows of strides 1, 2, 4, 8 and 16 that a network is compiled for.
        points: whether there is a point branch: "none", "voxels" or "raw".
        scans: where they came from, in words.
        rows: int [scans, levels], voxels of each scan.
        pairs: int [scans, levels], pairs of neighbours in 3x3x3 windows, which are what MACs count.
        maps_ms: [scans], coordinates to levels and kernel maps.
        grids: by (kind, level).
    """

    device: Mapping[str, Any]
    dtype: str
    capacity: tuple[int, ...]
    points: str
    scans: str
    rows: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]
    maps_ms: Array
    grids: Mapping[tuple[str, int], Grid]
    calibration: Calibration = field(default_factory=Calibration)

    def of_layers(self, layers: Sequence[Layer]) -> Array:
        """[scans], maps and the layers one after another, without calibration.

        Raises:
            InputError: a layer lies outside the table.
        """
        total = self.maps_ms.copy()
        for layer in layers:
            grid = self.grids.get((layer.kind, layer.level))
            if grid is None:
                raise InputError(f"the latency table has no {layer.kind} at level {layer.level}; measure it for this "
                                 "space (coevo measure)")  # fmt: skip
            try:
                total += grid.at(layer.inputs, layer.outputs)
            except ValueError:
                axes = grid.axes
                raise InputError(
                    f"{layer} lies outside the latency table, which has {axes.inputs[0]} to {axes.inputs[-1]} inputs "
                    f"and {axes.outputs[0]} to {axes.outputs[-1]} outputs; measure it for this space (coevo measure)"
                ) from None
        return total

    def ms(self, layers: Sequence[Layer]) -> Array:
        """[scans], calibrated."""
        fitted = self.calibration
        return fitted.scale * self.of_layers(layers) + fitted.launch_ms * len(layers) + fitted.rest_ms

    def predict(self, layers: Sequence[Layer]) -> Prediction:
        """Of a network of these layers, over the table's scans. InputError where a layer lies outside the table."""
        return Prediction.over(self.ms(layers))

    def check_device(self, device: Mapping[str, Any], where: str = "the latency table") -> None:
        """InputError unless it was measured on a device with this fingerprint; the message names what differs."""
        mine = dict(self.device)
        differ = [name for name in sorted({*mine, *device}) if mine.get(name) != device.get(name)]
        if differ:
            told = "; ".join(f"{name} is {device.get(name)!r}, the table has {mine.get(name)!r}" for name in differ)
            raise InputError(f"{where} was measured on another device: {told}. Measure this one (coevo measure)")


def _between(axis: Sequence[int], value: int) -> tuple[int, int, float]:
    """The neighbouring entries and how far `value` is from the first to the second."""
    if not axis[0] <= value <= axis[-1]:
        raise ValueError(f"{value} is not within {axis[0]} .. {axis[-1]}")
    high = int(np.searchsorted(axis, value))
    if axis[high] == value:
        return high, high, 0.0
    low = high - 1
    return low, high, (value - axis[low]) / (axis[high] - axis[low])
