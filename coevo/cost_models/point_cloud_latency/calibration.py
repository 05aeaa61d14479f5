"""Fitting a table to whole networks: what launches cost beside their layers, and what overlaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from coevo.cost_models.fitting import non_negative_least_squares
from coevo.cost_models.point_cloud_latency.layers import Layer
from coevo.cost_models.point_cloud_latency.table import Calibration, LatencyTable
from coevo.errors import InputError

LEAST = 4


def calibrate(
    table: LatencyTable, networks: Sequence[Sequence[Layer]], measured_ms: npt.ArrayLike
) -> LatencyTable:  # fmt: skip
    """The table with the constants that fit `measured_ms` [networks, scans] best, by relative errors.

    Constants that would be negative are left out: a layer more never makes a network faster.

    Raises:
        InputError: fewer than four networks, or times that are not positive or of another number of scans.
    """
    times = np.asarray(measured_ms, dtype=float)
    if len(networks) < LEAST or times.shape != (len(networks), len(table.maps_ms)) or not (times > 0).all():
        raise InputError(
            f"calibration needs positive times of at least {LEAST} networks on the table's {len(table.maps_ms)} scans, "
            f"got {list(times.shape)} for {len(networks)} networks"
        )
    sums = np.stack([table.of_layers(layers) for layers in networks])
    launches = np.repeat([[len(layers)] for layers in networks], times.shape[1], axis=1)
    columns = np.stack([sums, launches, np.ones_like(sums)], axis=-1) / times[..., None]
    found = non_negative_least_squares(columns.reshape(-1, 3), np.ones(times.size))
    fitted = Calibration(float(found[0]), float(found[1]), float(found[2]), len(networks))
    return dataclasses.replace(table, calibration=fitted)
