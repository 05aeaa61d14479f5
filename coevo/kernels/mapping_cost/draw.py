"""A block of random mappings that fit, compiled: the innermost tile first, inside the capacities, then factors along
the axes, then the next tile outwards; what is left runs at the outermost memory.

Candidate i of a seed has its own random numbers (SplitMix64 over a counter), so it is the same whoever draws it, and
when. In which order the loops take their factors is drawn once a block: all lanes then do the same thing at the same
time, in passes without branches that differ from lane to lane.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled_lending
from coevo.kernels.mapping_cost.packed import (
    ACROSS,
    ALONG,
    AXIS_ALLOWED,
    AXIS_LEVEL,
    AXIS_SIZE,
    FETCH_HOLES,
    LANES,
    PITCH,
    RANK,
    ROWS,
    TEMPORAL,
)
from coevo.kernels.mapping_cost.tables import LOOPS, OUTPUTS, RELEVANT, WEIGHTS, K, R, S, X, Y

Array = np.ndarray[Any, np.dtype[Any]]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
U8, U16, U27, U30, U31, U32 = (np.uint64(value) for value in (8, 16, 27, 30, 31, 32))
BYTE, HALF = np.uint64(0xFF), np.uint64(0xFFFF)

# Rows of `state`: extents of the tile; its words of weights, of outputs, of inputs but for rows and columns; its rows;
# its columns; children that the axis has left. Then what `choose` needs of one loop: iterations left; factors that may
# be taken; words of inputs that stay and that grow with the factor; the largest factor.
TILE, WEIGHT_WORDS, OUTPUT_WORDS, OTHERS, TILE_ROWS, TILE_COLUMNS, ROOM = 0, 8, 9, 10, 11, 12, 13
LEFT, COUNT, STAYS, GROWS, LARGEST, STATE_ROWS = 14, 15, 16, 17, 18, 19
PLACE = LOOPS  # of `rest`: which factor a lane takes


def new_state() -> tuple[Array, Array, Array, Array]:
    """Room for `draw`: state [., PITCH], what is left of each loop [8 and one more, LANES], random streams [2, LANES],
    an order [8]."""
    return (
        np.ones((STATE_ROWS, PITCH)),
        np.zeros((LOOPS + 1, LANES), dtype=np.int64),
        np.zeros((2, LANES), dtype=np.uint64),
        np.zeros(LOOPS, dtype=np.int64),
    )


@compiled_lending
def mix(z: Any) -> Any:
    """The output function of SplitMix64 (Steele, Lea and Flood, 2014)."""
    z = (z ^ (z >> U30)) * FIRST
    z = (z ^ (z >> U27)) * SECOND
    return z ^ (z >> U31)


@compiled_lending
def shuffle(order: Array, count: int, z: Any) -> None:
    """The first `count` (at most 8) items in a random order, from the lower bytes of z."""
    for last in range(count - 1, 0, -1):
        other = np.int64(((z & BYTE) * np.uint64(last + 1)) >> U8)
        z = z >> U8
        mine = order[last]
        order[last] = order[other]
        order[other] = mine


@compiled_lending
def rows_at(layer: Array, at: int, outputs: Any, taps: Any) -> Any:
    """`footprint.rows_of` with the window at place `at` of the layer."""
    if layer[FETCH_HOLES] != 0.0:
        return (outputs - 1.0) * layer[at] + (taps - 1.0) * layer[at + 1] + 1.0
    return outputs * taps - max(outputs - layer[at + 3], 0.0) * max(taps - layer[at + 2], 0.0)


@compiled_lending
def bound_factor(layer: Array, limits: Array, level: int, d: int, lanes: int, state: Array) -> None:
    """LARGEST: at most which factor the tile may grow by along loop d, by the room of memory `level` and of the axis.
    Exact but for dilated windows, where it may be too small."""
    for_weights, for_outputs, for_inputs = RELEVANT[WEIGHTS, d], RELEVANT[OUTPUTS, d], d != K
    bw, bi, bo = limits[level, 0], limits[level, 1], limits[level, 2]
    w, o, others = state[WEIGHT_WORDS], state[OUTPUT_WORDS], state[OTHERS]
    rows, columns, largest, room = state[TILE_ROWS], state[TILE_COLUMNS], state[LARGEST], state[ROOM]
    stays, grows = state[STAYS], state[GROWS]
    for i in range(lanes):
        largest[i] = room[i]
    if d >= Y:
        along_rows, kernel = d == Y or d == R, d >= R  # noqa: PLR1714, SIM109
        at = ROWS if along_rows else ACROSS
        one, two, other = state[TILE + d], state[TILE + (d - 2 if kernel else d + 2)], columns if along_rows else rows
        stride, dilation = (layer[at + 1], layer[at]) if kernel else (layer[at], layer[at + 1])
        a, b = (layer[at + 3], layer[at + 2]) if kernel else (layer[at + 2], layer[at + 3])
        if layer[FETCH_HOLES] != 0.0:
            for i in range(lanes):
                scale = others[i] * other[i]
                stays[i] = scale * ((two[i] - 1.0) * dilation + 1.0 - stride)
                grows[i] = scale * one[i] * stride
        else:  # outputs * taps, less those that outputs * a + b * (taps - a) counts once where taps > a
            for i in range(lanes):
                scale = others[i] * other[i]
                beyond = two[i] - a
                runs = two[i] if beyond <= 0.0 else a
                stays[i] = scale * b * (beyond if beyond > 0.0 else 0.0)
                grows[i] = scale * one[i] * runs
    else:
        for i in range(lanes):
            words = others[i] * rows[i] * columns[i]
            stays[i] = 0.0 if for_inputs else words
            grows[i] = words if for_inputs else 0.0
    most = limits[level, 6]
    if most < np.inf and ((for_weights and bw > 0.0) or (for_inputs and bi > 0.0) or (for_outputs and bo > 0.0)):
        fw, fo = 1.0 if for_weights else 0.0, 1.0 if for_outputs else 0.0
        for i in range(lanes):
            held, more = bw * w[i], bo * o[i]
            slope = fw * held + bi * grows[i] + fo * more
            limit = (most - (1.0 - fw) * held - bi * stays[i] - (1.0 - fo) * more) / slope
            largest[i] = limit if limit < largest[i] else largest[i]
    if limits[level, 7] != 0.0:
        if for_weights and limits[level, 3] < np.inf:
            for i in range(lanes):
                limit = limits[level, 3] / w[i]
                largest[i] = limit if limit < largest[i] else largest[i]
        if for_inputs and limits[level, 4] < np.inf:
            for i in range(lanes):
                limit = (limits[level, 4] - stays[i]) / grows[i]
                largest[i] = limit if limit < largest[i] else largest[i]
        if for_outputs and limits[level, 5] < np.inf:
            for i in range(lanes):
                limit = limits[level, 5] / o[i]
                largest[i] = limit if limit < largest[i] else largest[i]


@compiled_lending
def place_of(first: Any, whole: Array, count: Any, tight: int, even: int, z: Any) -> Any:
    """One of the first `count` factors, by the random number z."""
    place = np.int64(((z >> U32) * np.uint64(count)) >> U32)
    place += np.int64(np.int64(z & HALF) < tight) * (count - 1 - place)
    return place + np.int64(np.int64((z >> U16) & HALF) < even) * (whole[first + place] - place)


@compiled_lending
def good(
    layer: Array, limits: Array, checks: Array, level: int, d: int, f: float, i: int, state: Array
) -> bool:  # fmt: skip
    """Whether the tile of lane i, f times as long along loop d, fits the memories that `checks` [L, L] names."""
    rows, columns, others = state[TILE_ROWS, i], state[TILE_COLUMNS, i], state[OTHERS, i]
    w = state[WEIGHT_WORDS, i] * (f if RELEVANT[WEIGHTS, d] else 1.0)
    o = state[OUTPUT_WORDS, i] * (f if RELEVANT[OUTPUTS, d] else 1.0)
    y, x, r, s = state[TILE + Y, i], state[TILE + X, i], state[TILE + R, i], state[TILE + S, i]
    if d == Y or d == R:  # noqa: PLR1714, SIM109
        rows = rows_at(layer, ROWS, y * f if d == Y else y, r if d == Y else r * f)
    elif d == X or d == S:  # noqa: PLR1714, SIM109
        columns = rows_at(layer, ACROSS, x * f if d == X else x, s if d == X else s * f)
    elif d != K:
        others *= f
    n = others * rows * columns
    fits = True
    for outer in range(level + 1):
        if checks[level, outer]:
            total = w * limits[outer, 0] + n * limits[outer, 1] + o * limits[outer, 2]
            fits = fits and w <= limits[outer, 3] and n <= limits[outer, 4] and o <= limits[outer, 5]
            fits = fits and total <= limits[outer, 6]
    return fits


@compiled_lending
def choose(
    layer: Array, limits: Array, checks: Array, level: int, left: Array, start: Array, factor: Array, after: Array,
    whole: Array, d: int, tight: int, even: int, salt: Any, lanes: int, state: Array, rest: Array, streams: Array,
    out: Array,
) -> None:  # fmt: skip
    """For every lane a factor of what is left of loop d, into `out` [lanes], that is at most ROOM and leaves the tile
    inside the memories: the largest with chance tight / 65536, else any with the same chance; with chance even / 65536
    lowered to one that divides what is left. The first always fits: it is 1."""
    bound_factor(layer, limits, level, d, lanes, state)
    here, z, stream = rest[d], streams[1], streams[0]
    size, count, largest = state[LEFT], state[COUNT], state[LARGEST]
    for i in range(lanes):
        size[i] = left[here[i]]
        count[i] = start[here[i] + 1] - start[here[i]]
        z[i] = mix(stream[i] + salt)
    for i in range(lanes):
        # Below the square root every number is a factor, above it ceil(size / q) for each q.
        most, all_of_them = largest[i], count[i]
        most = np.floor(most) if most > 1.0 else 1.0
        above = np.ceil(size[i] / most) - 1.0
        above = above if above > 0.0 else 0.0
        count[i] = most if most * most <= size[i] else all_of_them - above
    for i in range(lanes):
        first = start[here[i]]
        place = place_of(first, whole, np.int64(count[i]), tight, even, z[i])
        rest[PLACE, i] = place
        out[i] = factor[first + place]
    further = False
    for outer in range(level):
        further = further or checks[level, outer]
    if further:
        for i in range(lanes):
            first = start[here[i]]
            while rest[PLACE, i] > 0 and not good(layer, limits, checks, level, d, out[i], i, state):
                # What does not fit bounds what can: the rest stays equally likely.
                z[i] = mix(z[i] + GOLDEN)
                rest[PLACE, i] = place_of(first, whole, rest[PLACE, i], tight, even, z[i])
                out[i] = factor[first + rest[PLACE, i]]
    for i in range(lanes):
        here[i] = after[start[here[i]] + rest[PLACE, i]]
    tile, room, rows, columns = state[TILE + d], state[ROOM], state[TILE_ROWS], state[TILE_COLUMNS]
    for i in range(lanes):
        tile[i] *= out[i]
    if room[0] < np.inf:
        for i in range(lanes):
            room[i] = np.floor(room[i] / out[i])
    for which in range(WEIGHT_WORDS, TILE_ROWS):
        grows = RELEVANT[WEIGHTS, d] if which == WEIGHT_WORDS else RELEVANT[OUTPUTS, d]
        if which == OTHERS:
            grows = d < Y and d != K
        if grows:
            words = state[which]
            for i in range(lanes):
                words[i] *= out[i]
    if d == Y or d == R:  # noqa: PLR1714, SIM109
        y, r = state[TILE + Y], state[TILE + R]
        for i in range(lanes):
            rows[i] = rows_at(layer, ROWS, y[i], r[i])
    elif d == X or d == S:  # noqa: PLR1714, SIM109
        x, s = state[TILE + X], state[TILE + S]
        for i in range(lanes):
            columns[i] = rows_at(layer, ACROSS, x[i], s[i])


@compiled_lending
def draw(
    layer: Array, limits: Array, axis: Array, checks: Array, root: Array, left: Array, start: Array, factor: Array,
    after: Array, whole: Array, orders: Array, loops: Array, ranked: Array, seed: int, block: int, tight: int,
    even: int, state: Array, rest: Array, streams: Array, order: Array, k: Array, at: Array,
) -> None:  # fmt: skip
    """Candidates block * LANES and following of `seed` into the rows of a block. `loops`: those longer than 1;
    `ranked`: those whose ranks are written; `orders` [., 8]: the ranks that one is drawn from at each memory."""
    levels = len(limits)
    key = mix(np.uint64(seed))
    common = mix(key ^ (np.uint64(block) * GOLDEN)) ^ FIRST
    salt = np.uint64(0)
    for i in range(LANES):
        streams[0, i] = mix(key ^ ((np.uint64(block) * np.uint64(LANES) + np.uint64(i)) * GOLDEN + SECOND))
    for row in range(TILE_ROWS):
        for i in range(LANES):
            state[row, i] = 1.0
    one_row, one_column = rows_at(layer, ROWS, 1.0, 1.0), rows_at(layer, ACROSS, 1.0, 1.0)
    for i in range(LANES):
        state[TILE_ROWS, i] = one_row
        state[TILE_COLUMNS, i] = one_column
    for j in range(len(loops)):
        for i in range(LANES):
            rest[loops[j], i] = root[loops[j]]
    for level in range(levels - 1, -1, -1):
        for a in range(len(axis) - 1, -1, -1):
            if axis[a, AXIS_LEVEL] == level:
                for i in range(LANES):
                    state[ROOM, i] = axis[a, AXIS_SIZE]
                count = 0
                for j in range(len(loops)):
                    if axis[a, AXIS_ALLOWED + loops[j]] != 0.0:
                        order[count] = loops[j]
                        count += 1
                salt += GOLDEN
                shuffle(order, count, mix(common + salt))
                for j in range(count):
                    salt += GOLDEN
                    choose(layer, limits, checks, level, left, start, factor, after, whole, order[j], tight, even, salt,
                           LANES, state, rest, streams, k[at[ALONG] + 8 * a + order[j]])  # fmt: skip
        salt += GOLDEN
        for i in range(LANES if level < levels - 1 or len(ranked) == 8 else 0):  # the innermost order costs nothing
            which = np.int64(((mix(streams[0, i] + salt) >> U32) * np.uint64(len(orders))) >> U32)
            for j in range(len(ranked)):
                k[at[RANK] + 8 * level + ranked[j], i] = orders[which, ranked[j]]
        for j in range(len(loops)):
            order[j] = loops[j]
        if level == 0:
            for j in range(len(loops)):
                for i in range(LANES):
                    k[at[TEMPORAL] + loops[j], i] = left[rest[loops[j], i]]
        else:
            for i in range(LANES):
                state[ROOM, i] = np.inf
            salt += GOLDEN
            shuffle(order, len(loops), mix(common + salt))
            for j in range(len(loops)):
                salt += GOLDEN
                choose(layer, limits, checks, level, left, start, factor, after, whole, order[j], tight, even, salt,
                       LANES, state, rest, streams, k[at[TEMPORAL] + 8 * level + order[j]])  # fmt: skip
