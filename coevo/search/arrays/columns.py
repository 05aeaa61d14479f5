"""What an inner search may choose: named groups of columns, each an array of a fixed shape in every genome.

Bounds and numbers of options broadcast to `(problems, *shape)`: one for all columns, one a column, or one a column of
each problem, so that layers with other sizes evolve side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import ConfigError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Integers:
    """Whole numbers of low..high whose neighbours are alike: a mutation goes few steps more often than many. int64 in
    the fitness."""

    name: str
    low: ArrayLike
    high: ArrayLike
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Choices:
    """One of `options` (how many there are) without an order; 0..options-1 as int64 in the fitness. A mutation takes
    any other."""

    name: str
    options: ArrayLike
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reals:
    """Numbers of low..high on a linear or a logarithmic scale; float64 in the fitness."""

    name: str
    low: ArrayLike
    high: ArrayLike
    log: bool = False
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Orders:
    """Permutations of 0..length-1: `[..., place] = item`, int64, of the shape `(*shape, length)` in the fitness."""

    name: str
    length: int
    shape: tuple[int, ...] = ()


Group = Integers | Choices | Reals | Orders


class Layout:
    """The groups of a search over so many problems, and where each stands in a genome.

    Genomes are int64 [problems, n, width]: first the whole numbers, from 0 on; then the reals, mapped to 0..1, as the
    bits of a float64; then the orders one after another, each with the place of every item.
    """

    def __init__(self, groups: Sequence[Group], problems: int):
        self.problems = problems
        self.groups = tuple(groups)
        names = [group.name for group in self.groups]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"an inner search needs groups of columns with distinct names, got {names}")
        whole: list[tuple[Whole, Whole, bool]] = []
        reals: list[tuple[Floats, Floats, bool]] = []
        for group in self.groups:
            if isinstance(group, Integers):
                low, high = self._whole(group, group.low, "low"), self._whole(group, group.high, "high")
                _ascending(low, high, group)
                whole.append((low, high - low + 1, True))
            elif isinstance(group, Choices):
                options = self._whole(group, group.options, "options")
                _require(bool((options >= 1).all()), group, f"at least 1 option is needed, got {group.options!r}")
                whole.append((np.zeros_like(options), options, False))
            elif isinstance(group, Reals):
                start, end = self._wide(group, group.low, "low"), self._wide(group, group.high, "high")
                _ascending(start, end, group)
                if group.log:
                    _require(
                        bool((start > 0).all()), group, f"a logarithmic scale needs low above 0, got {group.low!r}"
                    )
                reals.append((start, end, group.log))
            else:
                length = group.length
                _require(isinstance(length, int) and length >= 1, group, f"length must be at least 1, got {length!r}")
        self.low = _side_by_side([low for low, _, _ in whole], np.int64, problems)
        self.size = _side_by_side([size for _, size, _ in whole], np.int64, problems)
        self.ordinal = np.array([near for low, _, near in whole for _ in range(low.shape[1])], dtype=bool)
        self.start = _side_by_side([start for start, _, _ in reals], np.float64, problems)
        self.end = _side_by_side([end for _, end, _ in reals], np.float64, problems)
        self.log = np.array([log for low, _, log in reals for _ in range(low.shape[1])], dtype=bool)
        self.orders = [(math.prod(group.shape), group.length) for group in self.groups if isinstance(group, Orders)]
        self.whole, self.reals = len(self.ordinal), len(self.log)
        self.order_at: list[slice] = []  # the columns of each group of orders
        self.width = self.whole + self.reals
        for orders, length in self.orders:
            self.order_at.append(slice(self.width, self.width + orders * length))
            self.width += orders * length
        self.genes = self.whole + self.reals + sum(orders for orders, _ in self.orders)  # a permutation counts as one

    def columns(self, genomes: Whole, items: Sequence[Whole]) -> dict[str, NDArray[Any]]:
        """Genomes as a fitness gets them: {name: [problems, n, *shape]}. `items` has for each group of orders the item
        in every place, [problems, n, orders, length]."""
        lead = genomes.shape[:2]
        numbers = genomes[..., : self.whole] + self.low[:, None, :] if self.whole else genomes[..., :0]
        reals = self._reals(genomes) if self.reals else np.zeros((*lead, 0))
        found: dict[str, NDArray[Any]] = {}
        at_whole, at_real, at_order = 0, 0, 0
        for group in self.groups:
            width = math.prod(group.shape)
            if isinstance(group, Orders):
                found[group.name] = items[at_order].reshape(*lead, *group.shape, group.length)
                at_order += 1
            elif isinstance(group, Reals):
                found[group.name] = reals[..., at_real : at_real + width].reshape(*lead, *group.shape)
                at_real += width
            else:
                found[group.name] = numbers[..., at_whole : at_whole + width].reshape(*lead, *group.shape)
                at_whole += width
        return found

    def _reals(self, genomes: Whole) -> Floats:
        unit = np.ascontiguousarray(genomes[..., self.whole : self.whole + self.reals]).view(np.float64)
        low, high, log = self.start[:, None, :], self.end[:, None, :], self.log
        if not log.any():
            linear: Floats = np.clip(low + unit * (high - low), low, high)
            return linear
        start, end = np.log(low, where=log, out=low.copy()), np.log(high, where=log, out=high.copy())
        numbers = start + unit * (end - start)
        np.exp(numbers, where=log, out=numbers)
        clipped: Floats = np.clip(numbers, low, high)  # rounding must not lead out of the bounds
        return clipped

    def _whole(self, group: Group, given: ArrayLike, what: str) -> Whole:
        wide = self._wide(group, given, what)
        _require(bool((wide == np.floor(wide)).all()), group, f"{what} must be whole numbers, got {given!r}")
        return wide.astype(np.int64)

    def _wide(self, group: Group, given: ArrayLike, what: str) -> Floats:
        """[problems, columns of the group]."""
        try:
            array = np.asarray(given, dtype=np.float64)
            wide = np.broadcast_to(array, (self.problems, *group.shape))
        except (TypeError, ValueError):
            raise ConfigError(
                f"{type(group).__name__}({group.name!r}): {what} must be numbers that broadcast to "
                f"(problems, *shape) = {(self.problems, *group.shape)}, got {given!r}"
            ) from None
        _require(bool(np.isfinite(wide).all()), group, f"{what} must be finite, got {given!r}")
        return wide.reshape(self.problems, math.prod(group.shape))


def _require(holds: bool, group: Group, said: str) -> None:
    if not holds:
        raise ConfigError(f"{type(group).__name__}({group.name!r}): {said}")


def _ascending(low: NDArray[Any], high: NDArray[Any], group: Integers | Reals) -> None:
    _require(bool((low <= high).all()), group, f"high must not be below low, got {group.low!r}..{group.high!r}")


def _side_by_side(parts: Sequence[NDArray[Any]], kind: type, problems: int) -> NDArray[Any]:
    return np.concatenate([np.zeros((problems, 0), dtype=kind), *parts], axis=1)
