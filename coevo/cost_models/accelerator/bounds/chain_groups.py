"""Chains of the loops that are chosen together, with their features: logarithms of bounds and of input rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.accelerator.bounds.chains import loop_chains
from coevo.cost_models.accelerator.bounds.products import GROUPS, RowFeature
from coevo.kernels.mapping_cost import Tables
from coevo.kernels.mapping_cost.footprint import overlap_rows, rows_of
from coevo.kernels.mapping_cost.tables import S, X

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class ChainGroup:
    """`bounds` int64 [n, loops, L + A]: the chains of the group's loops, side by side. `logs` [n, loops * (L + A)]."""

    loops: tuple[int, ...]
    bounds: Whole
    logs: Floats


def chain_groups(tables: Tables, fixed: Whole | None = None, padding: bool = True) -> list[ChainGroup]:
    """All chains of all groups; for Y with R and X with S all pairs whose input tile fits by itself.
    `fixed` [8, L + A]: bounds that are given, 0 where they are free. Without `padding` those alone whose product is the
    size."""
    found = []
    for group in GROUPS:
        windowed = tables.sliding_window and len(group) == 2
        lists = [loop_chains(tables, loop, not windowed, None if fixed is None else fixed[loop]) for loop in group]
        if not padding:
            lists = [each[each.prod(axis=1) == tables.sizes[loop]] for loop, each in zip(group, lists, strict=True)]
        if len(lists) == 1:
            bounds = lists[0][:, None, :]
        else:
            first, second = (index.ravel() for index in np.indices((len(lists[0]), len(lists[1]))))
            bounds = np.stack([lists[0][first], lists[1][second]], axis=1)
            bounds = bounds[_pair_fits(tables, group, bounds)]
        width = len(group) * (tables.levels + tables.axes)
        found.append(ChainGroup(group, bounds, np.log(bounds.reshape(len(bounds), width).astype(np.float64))))
    return found


def _pair_fits(tables: Tables, group: tuple[int, ...], bounds: Whole) -> NDArray[np.bool_]:
    """Where the axes and the memories that keep inputs have room for the pair by itself."""
    levels = tables.levels
    good: NDArray[np.bool_] = (bounds[:, :, levels:].prod(axis=1) <= tables.axis_size).all(axis=1)
    for level in range(1, levels):
        tile = _tile(tables, bounds, level)
        rows = _rows(tables, group, tile[:, 0], tile[:, 1])
        held = np.stack([tile[:, 1], rows, tile[:, 0]], axis=1) * tables.bits[level] * tables.keeps[level]
        good &= (held <= tables.capacity_bits[level, :3]).all(axis=1)
        good &= held.sum(axis=1) <= tables.capacity_bits[level, 3]
    return good


def _tile(tables: Tables, bounds: Whole, level: int, joined: int = 0) -> Whole:
    """Extents of the group's loops at memory `level`, [n, loops]; `joined` = 1 with the network right above."""
    levels = tables.levels
    tile: Whole = bounds[:, :, level:levels].prod(axis=2)
    for axis, own in enumerate(tables.axis_level):
        if own >= level - joined:
            tile = tile * bounds[:, :, levels + axis]
    return tile


def _rows(tables: Tables, group: tuple[int, ...], outputs: Whole, taps: Whole) -> Whole:
    window = int(group == (X, S))
    rows: Whole = rows_of(outputs, taps, tables.window[window], tables.step[window], tables.fetch_holes)
    return rows


def features_of(tables: Tables, group: ChainGroup, wanted: tuple[RowFeature, ...]) -> Floats:
    """[n, columns] in the order of the group's matrix: logarithms of bounds, for pairs also of row features."""
    if len(group.loops) == 1:
        return group.logs
    columns = [np.log(_feature(tables, group, feature)) for feature in wanted]
    return np.ascontiguousarray(np.concatenate([group.logs, np.stack(columns, axis=1)], axis=1))


def _feature(tables: Tables, group: ChainGroup, feature: RowFeature) -> Floats:
    kind, level = feature[0], int(feature[1])
    if kind in ("tile", "joined"):
        tile = _tile(tables, group.bounds, level, int(kind == "joined"))
        return _rows(tables, group.loops, tile[:, 0], tile[:, 1]).astype(np.float64)
    joined, role, above = (int(value) for value in feature[2:])
    return _moved(tables, group, level, joined, role, above)


def _moved(tables: Tables, group: ChainGroup, level: int, joined: int, role: int, above: int) -> Floats:
    """Rows that enter a tile of memory `level` while loop `role` of the pair at memory `above` runs once: the first
    tile, then at each step what the tile before did not have."""
    levels, bounds = tables.levels, group.bounds
    tile = _tile(tables, bounds, level, joined)
    rows = _rows(tables, group.loops, tile[:, 0], tile[:, 1])
    own = bounds[:, role]
    steps_on = _tile(tables, bounds, above + 1)[:, role]  # iterations that one step of the loop advances
    for axis, network in enumerate(tables.axis_level):
        if network == above:
            steps_on = steps_on * own[:, levels + axis]
    window = int(group.loops == (X, S))
    pair: list[Any] = [tile[:, 0], tile[:, 1]]
    steps = tables.window[window], tables.step[window]
    if role == 1:  # the same set with the two sums exchanged
        pair.reverse()
        steps = steps[0][::-1], steps[1][::-1]
    shared = overlap_rows(pair[0], pair[1], steps_on, steps[0], steps[1], tables.fetch_holes)
    moved: Floats = (rows + (own[:, above] - 1) * (rows - shared)).astype(np.float64)
    return moved
