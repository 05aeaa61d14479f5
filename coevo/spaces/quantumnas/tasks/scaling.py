"""Rows of numbers as angles: principal components and scaling, fitted on training rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError

Real = NDArray[np.float64]

TAIL = 0.05  # of the training rows at either end, which robust scaling does not look at


@dataclass(frozen=True, eq=False)
class Scaling:
    """(rows - centre) / spread by column, then clipped to -1 .. 1 where `clip` is set; a spread of 0 gives 0."""

    centre: Real
    spread: Real
    clip: bool

    @classmethod
    def min_max(cls, rows: Real) -> Scaling:
        """The rows' smallest value becomes 0 and their largest 1; other rows may lie outside."""
        low = rows.min(axis=0)
        return cls(low, rows.max(axis=0) - low, False)

    @classmethod
    def robust(cls, rows: Real) -> Scaling:
        """The median becomes 0 and the farther of the 5 % and 95 % quantiles -1 or 1; what lies beyond is clipped.

        A column whose quantiles are its median (mostly one value) is scaled by its extremes.
        """
        centre = np.median(rows, axis=0)
        low, high = np.quantile(rows, (TAIL, 1 - TAIL), axis=0)
        spread = np.maximum(centre - low, high - centre)
        return cls(centre, np.where(spread > 0, spread, np.abs(rows - centre).max(axis=0)), True)

    def to_document(self) -> dict[str, Any]:
        return {
            "step": "scaling",
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
            "clip_to_one": self.clip,
        }

    def apply(self, rows: Real) -> Real:
        scaled = np.divide(rows - self.centre, self.spread, out=np.zeros(rows.shape), where=self.spread > 0)
        return np.clip(scaled, -1, 1) if self.clip else scaled


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components: (rows - mean) @ directions; `directions` float64 [columns, kept].

    The sign of a direction is such that its largest entry is positive. Where the rows span fewer dimensions than are
    kept, the rest are 0.
    """

    mean: Real
    directions: Real

    @classmethod
    def fit(cls, rows: Real, kept: int) -> Components:
        mean = rows.mean(axis=0)
        _, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
        spanned = int(np.sum(sizes > sizes[0] * max(rows.shape) * np.finfo(np.float64).eps)) if len(sizes) else 0
        directions = np.zeros((rows.shape[1], kept))
        for place, axis in enumerate(axes[: min(kept, spanned)]):
            directions[:, place] = axis * np.sign(axis[np.abs(axis).argmax()])
        return cls(mean, directions)

    def to_document(self) -> dict[str, Any]:
        return {"step": "components", "mean": self.mean.tolist(), "directions": self.directions.tolist()}

    def apply(self, rows: Real) -> Real:
        made: Real = (rows - self.mean) @ self.directions
        return made


@dataclass(frozen=True, eq=False)
class AngleScaler:
    """Steps in order, then a factor in radians: rows of a data set [rows, columns] to angles [rows, kept]."""

    columns: int
    steps: tuple[Scaling | Components, ...]
    factor: float

    @classmethod
    def min_max(cls, rows: Real, kept: int) -> AngleScaler:
        """Principal components scaled to 0 .. 1 rad over the training rows, as the artifact does for Vowel.

        The artifact scales robustly before; that is affine by column and min-max undoes it, so it is left out here.
        """
        components = Components.fit(rows, kept)
        return cls(rows.shape[1], (components, Scaling.min_max(components.apply(rows))), 1.0)

    @classmethod
    def robust(cls, rows: Real, kept: int) -> AngleScaler:
        """Columns scaled to -pi/2 .. pi/2; more columns than `kept` become `kept` principal components first."""
        first = Scaling.robust(rows)
        if rows.shape[1] <= kept:
            return cls(rows.shape[1], (first,), math.pi / 2)
        scaled = first.apply(rows)
        components = Components.fit(scaled, kept)
        second = Scaling.robust(components.apply(scaled))
        return cls(rows.shape[1], (first, components, second), math.pi / 2)

    def to_document(self) -> dict[str, Any]:
        """JSON's own types, exact; `from_document` reads it back."""
        return {
            "columns": self.columns,
            "steps": [step.to_document() for step in self.steps],
            "factor_rad": self.factor,
        }

    @classmethod
    def from_document(cls, told: Mapping[str, Any]) -> AngleScaler:
        """InputError, KeyError, TypeError or ValueError for another content, such as shapes that do not fit."""
        width = int(told["columns"])
        made = cls(width, tuple(_step_of(step) for step in told["steps"]), float(told["factor_rad"]))
        for step in made.steps:
            arrays = (step.centre, step.spread) if isinstance(step, Scaling) else (step.mean, step.directions)
            if any(not np.isfinite(array).all() or len(array) != width for array in arrays):
                raise InputError(f"a step of the scaler does not take the {width} columns before it, or is not finite")
            width = arrays[1].shape[-1]
        if not math.isfinite(made.factor):
            raise InputError(f"the scaler's factor is {made.factor}, not finite")
        return made

    def is_close(self, other: AngleScaler) -> bool:
        """Whether both make the same angles, up to what another machine's linear algebra may change."""
        pairs = list(zip(self._arrays(), other._arrays(), strict=False))
        return (
            [type(step) for step in self.steps] == [type(step) for step in other.steps]
            and (self.columns, self.factor) == (other.columns, other.factor)
            and all(one.shape == two.shape and np.allclose(one, two, rtol=1e-6, atol=1e-9) for one, two in pairs)
        )

    def _arrays(self) -> list[Real]:
        found = []
        for step in self.steps:
            found += [step.centre, step.spread, np.array([float(step.clip)])] if isinstance(step, Scaling) else []
            found += [step.mean, step.directions] if isinstance(step, Components) else []
        return found

    @property
    def kept(self) -> int:
        """Angles a row."""
        widths = [step.directions.shape[1] for step in self.steps if isinstance(step, Components)]
        return widths[-1] if widths else self.columns

    def angles(self, rows: Real) -> Real:
        """Angles in radians [rows, kept] of raw rows [rows, columns]; InputError for another number of columns."""
        if rows.ndim != 2 or rows.shape[1] != self.columns:
            raise InputError(f"expected rows of {self.columns} columns, as in training, got {list(rows.shape)}")
        for step in self.steps:
            rows = step.apply(rows)
        return np.ascontiguousarray(rows * self.factor)


def _step_of(told: Mapping[str, Any]) -> Scaling | Components:
    if told["step"] == "scaling":
        return Scaling(_array(told["centre"], 1), _array(told["spread"], 1), bool(told["clip_to_one"]))
    if told["step"] == "components":
        return Components(_array(told["mean"], 1), _array(told["directions"], 2))
    raise InputError(f"the scaler has a step {told['step']!r}; expected 'scaling' or 'components'")


def _array(told: Any, dimensions: int) -> Real:
    made = np.array(told, dtype=np.float64)
    if made.ndim != dimensions:
        raise InputError(f"a number of the scaler has {made.ndim} dimensions, expected {dimensions}")
    return made
