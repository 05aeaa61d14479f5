"""The least traffic at the outermost memory as a function of the buffer below it (Orojenesis: Huang et al., ISCA 2024).

Whatever happens further in, what the outermost memory sends and takes is at least what it would with one ideal buffer
of the same size, which every tensor may use and tiles of which are chosen for this traffic alone. All tiles (for every
number of steps the smallest one) and all three order classes are enumerated, so the curve is exact for the one-buffer
machine, and falls in steps with the size of the buffer. A tensor that passes the buffer by takes no room in it here.
With sliding windows inputs count once: how often their rows are shared depends on more than the tile.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.accelerator.bounds.certificate import Certificate
from coevo.cost_models.accelerator.bounds.compulsory import compulsory_bounds
from coevo.cost_models.accelerator.bounds.order_classes import GROUPS
from coevo.kernels.jit import compiled
from coevo.kernels.mapping_cost import Tables
from coevo.kernels.mapping_cost.footprint import footprint
from coevo.kernels.mapping_cost.tables import INPUTS, OUTPUTS, RELEVANT, TENSORS

Floats = NDArray[np.float64]


def traffic_curve(tables: Tables, sizes_bits: Floats, costs: Floats) -> Floats:
    """The least of `costs` [4] x words (weights read, inputs read, outputs written, sums read back), at buffers of
    `sizes_bits` [n], ascending; infinite where not even the smallest tiles fit."""
    tiles, starts = _tiles(tables)
    best = np.full(len(sizes_bits) + 1, np.inf)
    counted = np.ones((TENSORS, TENSORS, 8), dtype=np.bool_)
    for stays, group in GROUPS.items():
        counted[stays, stays, list(group)] = False
    once = float(footprint(tables, INPUTS, tables.sizes)) if tables.sliding_window else -1.0
    room = tables.bits[1] * tables.keeps[1] if tables.levels > 1 else np.zeros(TENSORS)
    _enumerate(
        tiles, starts, tables.sizes, tables.window, tables.step, tables.fetch_holes, counted, RELEVANT, room,
        np.ascontiguousarray(sizes_bits), np.ascontiguousarray(costs), once, best,
    )  # fmt: skip
    return np.minimum.accumulate(best[:-1])


def buffer_bits(tables: Tables) -> float:
    """Room of all instances of the memory below the outermost, for what it keeps; infinite where it has no limit."""
    if tables.levels < 2:
        return math.inf
    shared = float(tables.capacity_bits[1, 3])
    parts = float(tables.capacity_bits[1, :3][tables.keeps[1]].sum())
    fanout = math.prod(int(size) for size, level in zip(tables.axis_size, tables.axis_level, strict=True) if level == 0)
    return min(shared, parts) * fanout


def _tiles(tables: Tables) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For every loop, for every number of steps that a tile can have, the smallest one: one after another."""
    lists = [
        np.unique([-(-int(size) // steps) for steps in range(1, int(size) + 1)]).astype(np.int64)
        for size in tables.sizes
    ]
    return np.concatenate(lists), np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)


@compiled
def _rows(outputs: int, taps: int, window: Any, step: Any, holes: bool) -> Any:
    if holes:
        return (outputs - 1) * step[0] + (taps - 1) * step[1] + 1
    return outputs * taps - max(outputs - window[1], 0) * max(taps - window[0], 0)


@compiled
def _enumerate(
    tiles: Any, starts: Any, sizes: Any, window: Any, step: Any, holes: bool, counted: Any, relevant: Any, room: Any,
    limits: Any, costs: Any, once: float, best: Any,
) -> None:  # fmt: skip
    at = starts[:8].copy()
    tile = np.empty(8, dtype=np.int64)
    steps = np.empty(8)
    words = np.empty(3)
    while True:
        padded = 1.0
        for d in range(8):
            tile[d] = tiles[at[d]]
            steps[d] = -(-sizes[d] // tile[d])
            if relevant[2, d]:
                padded *= steps[d] * tile[d]
        rows = _rows(tile[4], tile[6], window[0], step[0], holes)
        columns = _rows(tile[5], tile[7], window[1], step[1], holes)
        words[0] = tile[1] * tile[2] * tile[3] * tile[6] * tile[7]
        words[1] = tile[0] * tile[1] * tile[3] * rows * columns
        words[2] = tile[0] * tile[1] * tile[2] * tile[4] * tile[5]
        held = words[0] * room[0] + words[1] * room[1] + words[2] * room[2]
        place = np.searchsorted(limits, held)
        for stays in range(3):
            total = 0.0
            for tensor in range(3):
                moved = words[tensor]
                for d in range(8):
                    if counted[stays, tensor, d]:
                        moved *= steps[d]
                if tensor == 1 and once >= 0.0:
                    moved = once
                total += moved * costs[tensor]
                if tensor == 2:
                    total += (moved - padded) * costs[3]
            best[place] = min(best[place], total)
        d = 7
        while d >= 0:
            at[d] += 1
            if at[d] < starts[d + 1]:
                break
            at[d] = starts[d]
            d -= 1
        if d < 0:
            return


def outermost_energy_pj(tables: Tables) -> float:
    """The least energy of reading and writing the outermost memory, at the size of the buffer below it."""
    costs = np.array([*tables.read_pj[0, :OUTPUTS], tables.write_pj[0, OUTPUTS], tables.read_pj[0, OUTPUTS]])
    return float(traffic_curve(tables, np.array([buffer_bits(tables)]), costs)[0])


def outermost_cycles(tables: Tables) -> float:
    """The least time of the outermost memory's ports, at the size of the buffer below it; 0 without limits."""
    bits, size = tables.bits[0], np.array([buffer_bits(tables)])
    found = 0.0
    for rate, reads, writes in (
        (tables.read_bits_per_cycle[0], 1.0, 0.0),
        (tables.write_bits_per_cycle[0], 0.0, 1.0),
        (tables.port_bits_per_cycle[0], 1.0, 1.0),
    ):
        if not math.isinf(rate):
            costs = np.array([bits[0] * reads, bits[1] * reads, bits[2] * writes, bits[2] * reads]) / rate
            found = max(found, float(traffic_curve(tables, size, costs)[0]))
    return found


def curve_bounds(tables: Tables, clock_mhz: float) -> Certificate:
    """The compulsory bounds, with the curve's in place of what is compulsory at the outermost memory."""
    return compulsory_bounds(tables, clock_mhz, outermost_energy_pj(tables), outermost_cycles(tables), "curve")
