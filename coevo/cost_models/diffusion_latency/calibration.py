"""Fitting a table to whole networks: what a block costs beside its operations, and what overlaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from coevo.cost_models.diffusion_latency.table import Calibration, LatencyTable, Network
from coevo.cost_models.fitting import non_negative_least_squares
from coevo.errors import InputError

LEAST = 4


def calibrate(
    table: LatencyTable, networks: Sequence[Network], images: Sequence[int], measured_ms: npt.ArrayLike
) -> LatencyTable:
    """The table with the constants that fit whole evaluations best, by relative errors.

    Constants that would be negative are left out: a block more never makes a network faster.

    Args:
        networks: that were measured.
        images: of each measurement.
        measured_ms: of each.

    Raises:
        InputError: fewer than four networks, times that are not positive, or lists of different lengths.
    """
    times = np.asarray(measured_ms, dtype=float)
    count = len(networks)
    if count < LEAST or times.shape != (count,) or len(images) != count or not (times > 0).all():
        raise InputError(
            f"calibration needs positive times of at least {LEAST} networks and the images of each, got "
            f"{list(times.shape)} times and {len(images)} numbers of images for {count} networks"
        )
    sums = np.array([table.of_operations(each, many) for each, many in zip(networks, images, strict=True)])
    blocks = np.array([each.blocks for each in networks], dtype=float)
    columns = np.stack([sums, blocks, np.ones_like(sums)], axis=-1)
    found = non_negative_least_squares(columns / times[:, None], np.ones(times.size))
    error = float(np.abs(columns @ found / times - 1).mean())
    fitted = Calibration(float(found[0]), float(found[1]), float(found[2]), count, error)
    return dataclasses.replace(table, calibration=fitted)
