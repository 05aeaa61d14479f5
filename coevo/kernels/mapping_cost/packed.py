"""`Tables` as compiled kernels take them, and the room that a block of mappings needs: few plain float64 arrays,
because what a kernel is handed decides how long it takes to compile.

A block holds up to `LANES` mappings side by side: a row has one number a mapping, so that the passes of `block.py` run
over neighbouring numbers. float64 is exact for whole numbers below 2^53.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.mapping_cost.tables import TENSORS, Tables

LANES = 128
PITCH = LANES + 8
"""Numbers from one row of a block to the next. Rows a power of two apart fall into the same few sets of a cache: with
128 costing is 1.1 to 1.3 times as slow, and searching 1.05 to 1.2 times."""

Array = np.ndarray[Any, np.dtype[Any]]

# Columns of `memory` [L, 28]; those of a tensor are followed by the other two.
KEEPS, BITS, READ_PJ, WRITE_PJ, HOP_PJ = 0, 3, 6, 9, 12
CAPACITY = 15  # of weights, inputs, outputs, of all together
READ_RATE, WRITE_RATE, PORT_RATE, NETWORK_RATE = 19, 20, 21, 22
MULTICAST, REDUCTION = 23, 24
COLUMNS = 25

# Columns of `axis` [A, 10]: the memory above, the size, and for each loop whether it may run there.
AXIS_LEVEL, AXIS_SIZE, AXIS_ALLOWED = 0, 1, 2

# Places in `layer` [23]: sizes of the loops, (stride, dilation, a, b) of rows and of columns, then the rest.
SIZES, ROWS, ACROSS, LEAKAGE_PJ, MAC_PJ = 0, 8, 12, 16, 17
HALO_MERGE, SLIDING_WINDOW, CHARGE_DRAIN, FETCH_HOLES, COUNT_RAMP = 18, 19, 20, 21, 22


def packed(tables: Tables) -> tuple[Array, Array, Array]:
    """(layer, memory, axis) for the compiled kernels."""
    windows = np.concatenate([tables.step, tables.window], axis=1)
    scalars = [
        tables.leakage_pj_per_cycle, tables.mac_pj, tables.halo_merge, tables.sliding_window, tables.charge_drain,
        tables.fetch_holes, tables.count_ramp,
    ]  # fmt: skip
    layer = np.concatenate([tables.sizes, windows[0], windows[1], scalars]).astype(np.float64)
    rates = (
        tables.read_bits_per_cycle, tables.write_bits_per_cycle, tables.port_bits_per_cycle,
        tables.network_bits_per_cycle, tables.multicast, tables.reduction,
    )  # fmt: skip
    wide = (tables.keeps, tables.bits, tables.read_pj, tables.write_pj, tables.hop_pj, tables.capacity_bits)
    memory = np.concatenate([*wide, np.stack(rates, axis=1)], axis=1).astype(np.float64)
    allowed = np.reshape(tables.axis_allowed, (-1, 8))
    axis = np.concatenate([np.stack([tables.axis_level, tables.axis_size], axis=1), allowed], axis=1)
    return layer, np.ascontiguousarray(memory), np.ascontiguousarray(axis, dtype=np.float64)


# Rows of a block, the first of each kind, for L memories and A axes. Bounds and orders: [L, 8] and [A, 8].
TEMPORAL, RANK, ALONG, GRID, TILE, JOINED = 0, 1, 2, 3, 4, 5
"""Temporal bounds, ranks, bounds along axes; [L, 8] bounds of all loops below a memory; [L+1, 8] its tile; [8] a tile
of several children."""
PLACES, APART, INSTANCES, ABOVE, RELOADS, SLIDE = 6, 7, 8, 9, 10, 11
"""[L] children of one instance; [L, 3] those that want different words; [L+1] instances; [L+1] steps of the temporal
loops above; [3, L+1] reloads; [L+1, 3] the loop that moves the inputs first, its bound, how far a step of it goes."""
READ, WRITTEN, SENT, HELD, SPARE = 12, 13, 14, 15, 16
"""[L] bits read, written, sent and held; [13] whatever a pass needs."""


def new_block(levels: int, axes: int) -> tuple[Array, Array]:
    """(block [rows, PITCH], first row of each kind [17]); every bound is 1."""
    per_loop = [levels * 8, levels * 8, axes * 8, levels * 8, (levels + 1) * 8, 8]
    counts = [levels, levels * TENSORS, levels + 1, levels + 1, TENSORS * (levels + 1), 3 * (levels + 1)]
    sizes = [*per_loop, *counts, levels, levels, levels, levels, 13]
    first = np.concatenate([[0], np.cumsum(sizes)])
    return np.ones((int(first[-1]), PITCH)), first[:-1].astype(np.int64)
