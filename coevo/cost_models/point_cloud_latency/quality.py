"""How good a predictor of latency is on networks that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coevo.errors import InputError


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean absolute error in percent of the measured time, and Spearman's rank correlation, over `networks`."""

    mape_percent: float
    spearman: float
    networks: int


def quality(predicted: npt.ArrayLike, measured: npt.ArrayLike) -> Quality:
    """Of predictions [networks] in the unit of the measurements [networks], which are positive."""
    a, b = np.asarray(predicted, dtype=float), np.asarray(measured, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 3 or not (b > 0).all():
        raise InputError(f"expected as many predictions as positive measurements, at least 3, got {a.shape} and "
                         f"{b.shape}")  # fmt: skip
    return Quality(float(100 * np.mean(np.abs(a - b) / b)), spearman(a, b), len(a))


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """The correlation of ranks; ties share their mean rank. NaN where one side has a single rank."""
    x, y = _ranks(np.asarray(a, dtype=float)), _ranks(np.asarray(b, dtype=float))
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum() / scale) if scale > 0 else float("nan")


def proportional(predictor: npt.ArrayLike, measured: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """[2] (slope, intercept): the line by which a predictor in another unit (MACs) becomes milliseconds."""
    x, y = np.asarray(predictor, dtype=float), np.asarray(measured, dtype=float)
    found: npt.NDArray[np.float64] = np.linalg.lstsq(
        np.stack([x / y, 1.0 / y], axis=1), np.ones_like(y), rcond=None
    )[0]  # fmt: skip
    return found


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    ranks: npt.NDArray[np.float64] = below + (equal - 1) / 2
    return ranks
