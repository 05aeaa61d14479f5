"""The closed form for a block of mappings, compiled: passes over rows of neighbouring numbers, one a mapping.

The same counts as `reference.count` and the same sums as `reference.cost`, never written out. Orders need no sorting:
of the loops at a memory those whose rank is at least the smallest rank of one that moves the tensor are its reloads.
`loops` names the loops that may have a bound above 1; the rows of all others hold ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled_lending
from coevo.kernels.mapping_cost.packed import (
    ABOVE,
    ACROSS,
    ALONG,
    APART,
    AXIS_ALLOWED,
    AXIS_LEVEL,
    AXIS_SIZE,
    BITS,
    CAPACITY,
    CHARGE_DRAIN,
    COUNT_RAMP,
    FETCH_HOLES,
    GRID,
    HALO_MERGE,
    HELD,
    HOP_PJ,
    INSTANCES,
    JOINED,
    KEEPS,
    LEAKAGE_PJ,
    MAC_PJ,
    MULTICAST,
    NETWORK_RATE,
    PLACES,
    PORT_RATE,
    RANK,
    READ,
    READ_PJ,
    READ_RATE,
    REDUCTION,
    RELOADS,
    ROWS,
    SENT,
    SIZES,
    SLIDE,
    SLIDING_WINDOW,
    SPARE,
    TEMPORAL,
    TILE,
    WRITE_PJ,
    WRITE_RATE,
    WRITTEN,
)  # fmt: skip
from coevo.kernels.mapping_cost.tables import INPUTS, OUTPUTS, RELEVANT, C, G, K, N, R, S, X, Y

Array = np.ndarray[Any, np.dtype[Any]]


@compiled_lending
def multiply(rows: Array, loops: Array, tensor: int, lanes: int, out: Array) -> None:
    """out = the product of the rows of all loops, or of those that index a tensor."""
    for i in range(lanes):
        out[i] = 1.0
    for d in loops:
        if tensor < 0 or RELEVANT[tensor, d]:
            row = rows[d]
            for i in range(lanes):
                out[i] *= row[i]


@compiled_lending
def shape_nest(memory: Array, axis: Array, loops: Array, lanes: int, k: Array, at: Array) -> None:
    """GRID, TILE, PLACES, APART, INSTANCES, ABOVE from the bounds."""
    levels = len(memory)
    for a in range(len(axis)):  # a memory without an axis below keeps its rows of ones
        level = int(axis[a, AXIS_LEVEL])
        first = True
        for other in range(a):
            first = first and axis[other, AXIS_LEVEL] != level
        for d in loops:
            row, bound = k[at[GRID] + 8 * level + d], k[at[ALONG] + 8 * a + d]
            if first:
                for i in range(lanes):
                    row[i] = bound[i]
            else:
                for i in range(lanes):
                    row[i] *= bound[i]
    for level in range(levels - 1, -1, -1):
        for d in loops:
            out, inner, grid, bound = (
                k[at[TILE] + 8 * level + d],
                k[at[TILE] + 8 * (level + 1) + d],
                k[at[GRID] + 8 * level + d],
                k[at[TEMPORAL] + 8 * level + d],
            )
            for i in range(lanes):
                out[i] = inner[i] * bound[i] * grid[i]
    for level in range(levels):
        here, below = k[at[INSTANCES] + level], k[at[INSTANCES] + level + 1]
        places, grids = k[at[PLACES] + level], k[at[GRID] + 8 * level : at[GRID] + 8 * level + 8]
        spread = False
        for a in range(len(axis)):
            spread = spread or axis[a, AXIS_LEVEL] == level
        if spread:
            for tensor in range(3):
                multiply(grids, loops, tensor, lanes, k[at[APART] + 3 * level + tensor])
            multiply(grids, loops, -1, lanes, places)
        for i in range(lanes):
            below[i] = here[i] * places[i]
        steps, outer = k[at[ABOVE] + level + 1], k[at[ABOVE] + level]
        for i in range(lanes):
            steps[i] = outer[i]
        for d in loops:
            bound = k[at[TEMPORAL] + 8 * level + d]
            for i in range(lanes):
                steps[i] *= bound[i]


@compiled_lending
def count_reloads(layer: Array, memory: Array, loops: Array, lanes: int, k: Array, at: Array) -> None:
    """RELOADS of a tile of each tensor at each memory; with sliding windows, which loop moves the inputs first."""
    smallest, product = k[at[SPARE] + 0], k[at[SPARE] + 1]
    for level in range(len(memory) - 1):
        outer = k[at[ABOVE] + level]
        for tensor in range(3):
            for i in range(lanes):
                smallest[i] = 8.0
                product[i] = 1.0
            for d in loops:
                if RELEVANT[tensor, d]:
                    bound, rank = k[at[TEMPORAL] + 8 * level + d], k[at[RANK] + 8 * level + d]
                    for i in range(lanes):
                        mine = rank[i]
                        mine = mine if bound[i] > 1.0 else 8.0
                        least = smallest[i]
                        smallest[i] = mine if mine < least else least
            for d in loops:
                bound, rank = k[at[TEMPORAL] + 8 * level + d], k[at[RANK] + 8 * level + d]
                for i in range(lanes):
                    factor = bound[i]
                    product[i] *= factor if rank[i] >= smallest[i] else 1.0
            before, out = (
                k[at[RELOADS] + len(memory) * tensor + tensor + level],
                k[at[RELOADS] + len(memory) * tensor + tensor + level + 1],
            )
            for i in range(lanes):
                moved, stays = product[i] * outer[i], before[i]
                out[i] = moved if smallest[i] < 8.0 else stays
            if tensor == INPUTS and layer[SLIDING_WINDOW] != 0.0:
                now = at[SLIDE] + 3 * (level + 1)
                was, now = k[now - 3 : now], k[now : now + 3]
                for i in range(lanes):
                    now[0, i], now[1, i], now[2, i] = was[0, i], was[1, i], was[2, i]
                for d in loops:
                    if d != K:
                        bound, rank = k[at[TEMPORAL] + 8 * level + d], k[at[RANK] + 8 * level + d]
                        inner, grid = k[at[TILE] + 8 * (level + 1) + d], k[at[GRID] + 8 * level + d]
                        for i in range(lanes):
                            if bound[i] > 1.0 and rank[i] == smallest[i]:
                                now[0, i], now[1, i], now[2, i] = d, bound[i], inner[i] * grid[i]


@compiled_lending
def words_of(layer: Array, tensor: int, t: Array, lanes: int, out: Array) -> None:
    """Words of a tile t [8, lanes]."""
    if tensor == INPUTS:
        n, g, c, y, x, r, s = t[N], t[G], t[C], t[Y], t[X], t[R], t[S]
        for i in range(lanes):
            out[i] = n[i] * g[i] * c[i]
        for across in range(2):
            at = ACROSS if across else ROWS
            outputs, taps = (x, s) if across else (y, r)
            stride, dilation, a, b = layer[at], layer[at + 1], layer[at + 2], layer[at + 3]
            if layer[FETCH_HOLES] != 0.0:
                for i in range(lanes):
                    out[i] *= (outputs[i] - 1.0) * stride + (taps[i] - 1.0) * dilation + 1.0
            else:
                for i in range(lanes):
                    more, over = outputs[i] - b, taps[i] - a
                    more = more if more > 0.0 else 0.0
                    over = over if over > 0.0 else 0.0
                    out[i] *= outputs[i] * taps[i] - more * over
    elif tensor == OUTPUTS:
        n, g, k, y, x = t[N], t[G], t[K], t[Y], t[X]
        for i in range(lanes):
            out[i] = n[i] * g[i] * k[i] * y[i] * x[i]
    else:
        g, k, c, r, s = t[G], t[K], t[C], t[R], t[S]
        for i in range(lanes):
            out[i] = g[i] * k[i] * c[i] * r[i] * s[i]


@compiled_lending
def rows_of(outputs: Any, taps: Any, window: Array, holes: bool) -> Any:
    """`footprint.rows_of` for one tile; window = (stride, dilation, a, b)."""
    if holes:
        return (outputs - 1.0) * window[0] + (taps - 1.0) * window[1] + 1.0
    return outputs * taps - max(outputs - window[3], 0.0) * max(taps - window[2], 0.0)


@compiled_lending
def overlap_rows(outputs: Any, taps: Any, shift: Any, along: bool, window: Array, holes: bool) -> Any:
    """`footprint.overlap_rows` for one tile that moves along the outputs, or else along the taps."""
    length = rows_of(outputs, taps, window, holes)
    step, a, b = (window[0], window[2], window[3]) if along else (window[1], window[3], window[2])
    moved, other = (outputs, taps) if along else (taps, outputs)
    if holes:
        return max(length - shift * step, 0.0)
    if shift == moved:
        both = rows_of(2.0 * outputs, taps, window, False) if along else rows_of(outputs, 2.0 * taps, window, False)
        return 2.0 * length - both
    if b != 1.0 or other < a:
        return 0.0
    return max(length - shift * a, 0.0)


@compiled_lending
def slide_along(layer: Array, t: Array, lanes: int, slide: Array, words: Array, times: Array, out: Array) -> None:
    """Words of inputs that enter tiles t [8, lanes] where forward steps fetch only what is new. slide [3, lanes]."""
    holes = layer[FETCH_HOLES] != 0.0
    rows, columns = layer[ROWS : ROWS + 4], layer[ACROSS : ACROSS + 4]
    for i in range(lanes):
        loop, bound, shift = int(slide[0, i]), slide[1, i], slide[2, i]
        saved = 0.0
        if loop == Y or loop == R:  # noqa: PLR1714, SIM109
            saved = overlap_rows(t[Y, i], t[R, i], shift, loop == Y, rows, holes)
            saved *= rows_of(t[X, i], t[S, i], columns, holes) if saved > 0.0 else 0.0
        elif loop == X or loop == S:  # noqa: PLR1714, SIM109
            saved = overlap_rows(t[X, i], t[S, i], shift, loop == X, columns, holes)
            saved *= rows_of(t[Y, i], t[R, i], rows, holes) if saved > 0.0 else 0.0
        saved *= t[N, i] * t[G, i] * t[C, i]
        out[i] = words[i] * times[i] - (bound - 1.0) * saved * (times[i] / bound)


@compiled_lending
def fetch(
    layer: Array, memory: Array, tensor: int, t: Array, lower: int, lanes: int, k: Array, at: Array, words: Array,
    out: Array,
) -> None:  # fmt: skip
    """Words of tile t that pass over the whole run, given the words of one; a MAC unit (lower = L) holds nothing."""
    levels = len(memory)
    times = k[at[ABOVE] + levels] if lower == levels else k[at[RELOADS] + tensor * (levels + 1) + lower]
    if tensor == INPUTS and layer[SLIDING_WINDOW] != 0.0 and lower < levels:
        slide = at[SLIDE] + 3 * lower
        slide_along(layer, t, lanes, k[slide : slide + 3], words, times, out)
    else:
        for i in range(lanes):
            out[i] = words[i] * times[i]


@compiled_lending
def charge(words: Array, lanes: int, bits: float, pj: float, limited: bool, moved: Array, energy: Array) -> None:
    """Adds words to the energy and, where its time is limited, to the bits that a memory moves."""
    if limited:
        for i in range(lanes):
            moved[i] += words[i] * bits
    if pj != 0.0:
        for i in range(lanes):
            energy[i] += words[i] * pj


@compiled_lending
def read(memory: Array, level: int, tensor: int, words: Array, lanes: int, k: Array, at: Array, energy: Array) -> None:
    """Words that are read at a memory."""
    limited = min(memory[level, READ_RATE], memory[level, PORT_RATE]) < np.inf
    bits, pj = memory[level, BITS + tensor], memory[level, READ_PJ + tensor]
    charge(words, lanes, bits, pj, limited, k[at[READ] + level], energy)


@compiled_lending
def write(memory: Array, level: int, tensor: int, words: Array, lanes: int, k: Array, at: Array, energy: Array) -> None:
    """Words that are written at a memory."""
    limited = min(memory[level, WRITE_RATE], memory[level, PORT_RATE]) < np.inf
    bits, pj = memory[level, BITS + tensor], memory[level, WRITE_PJ + tensor]
    charge(words, lanes, bits, pj, limited, k[at[WRITTEN] + level], energy)


@compiled_lending
def hold(memory: Array, tensor: int, level: int, words: Array, lanes: int, held: Array, excess: Array) -> None:
    """Adds a tile to what an instance of a memory holds."""
    bits, room = memory[level, BITS + tensor], memory[level, CAPACITY + tensor]
    for i in range(lanes):
        held[i] += words[i] * bits
    if room < np.inf:
        for i in range(lanes):
            over = words[i] * bits - room
            excess[i] += over if over > 0.0 else 0.0


@compiled_lending
def move_tensor(
    layer: Array, memory: Array, tensor: int, loops: Array, lanes: int, k: Array, at: Array, energy: Array,
    excess: Array,
) -> None:  # fmt: skip
    """One tensor between all memories that keep it, and the MAC units."""
    levels = len(memory)
    spare = at[SPARE]
    words, one, together, total = k[spare], k[spare + 1], k[spare + 2], k[spare + 3]
    zero, down, ramp, held = k[spare + 4], k[spare + 5], k[spare + 6], k[spare + 7]
    limited = min(memory[0, CAPACITY + tensor], memory[0, CAPACITY + 3]) < np.inf
    if tensor == OUTPUTS or limited:
        words_of(layer, tensor, k[at[TILE] : at[TILE] + 8], lanes, zero)
        hold(memory, tensor, 0, zero, lanes, k[at[HELD]], excess)
    upper = 0
    for lower in range(1, levels + 1):
        if lower < levels and memory[lower, KEEPS + tensor] == 0.0:
            continue
        tile = k[at[TILE] + 8 * lower : at[TILE] + 8 * lower + 8]
        if lower < levels:
            words_of(layer, tensor, tile, lanes, words)
            hold(memory, tensor, lower, words, lanes, k[at[HELD] + lower], excess)
            if layer[COUNT_RAMP] != 0.0:
                rate = min(memory[upper, READ_RATE], memory[upper, PORT_RATE])
                for i in range(lanes):
                    children = k[at[INSTANCES] + lower, i] / k[at[INSTANCES] + upper, i]
                    ramp[i] += words[i] * memory[upper, BITS + tensor] * children / rate
        else:
            for i in range(lanes):
                words[i] = 1.0
        fetch(layer, memory, tensor, tile, lower, lanes, k, at, words, one)
        for i in range(lanes):
            together[i] = one[i]
        merges = tensor == INPUTS and layer[HALO_MERGE] != 0.0 and memory[lower - 1, MULTICAST] != 0.0
        for network in range(lower - 1, upper - 1, -1):
            below, here = k[at[INSTANCES] + network + 1], k[at[INSTANCES] + network]
            hop, bits, sent = memory[network, HOP_PJ + tensor], memory[network, BITS + tensor], k[at[SENT] + network]
            if hop != 0.0:
                for i in range(lanes):
                    energy[i] += together[i] * below[i] * hop
            if merges and network == lower - 1:
                joined = k[at[JOINED] : at[JOINED] + 8]
                for d in loops:
                    wide, narrow, grid = joined[d], tile[d], k[at[GRID] + 8 * network + d]
                    for i in range(lanes):
                        wide[i] = narrow[i] * grid[i]
                words_of(layer, tensor, joined, lanes, total)
                fetch(layer, memory, tensor, joined, lower, lanes, k, at, total, together)
            else:
                combines = memory[network, REDUCTION if tensor == OUTPUTS else MULTICAST] != 0.0
                factor = k[at[APART] + 3 * network + tensor] if combines else k[at[PLACES] + network]
                for i in range(lanes):
                    together[i] *= factor[i]
            if memory[network, NETWORK_RATE] < np.inf:
                for i in range(lanes):
                    sent[i] += together[i] * here[i] * bits
        here, below = k[at[INSTANCES] + upper], k[at[INSTANCES] + lower]
        for i in range(lanes):
            total[i] = together[i] * here[i]
        if lower < levels:
            for i in range(lanes):
                held[i] = one[i] * below[i]
        if tensor != OUTPUTS:
            read(memory, upper, tensor, total, lanes, k, at, energy)
            if lower < levels:
                write(memory, lower, tensor, held, lanes, k, at, energy)
        else:
            write(memory, upper, tensor, total, lanes, k, at, energy)
            for i in range(lanes):
                total[i] -= zero[i]
            read(memory, upper, tensor, total, lanes, k, at, energy)
            if lower < levels:
                for i in range(lanes):
                    down[i] = one[i] * here[i]
                for network in range(upper, lower):
                    factor = k[at[APART] + 3 * network + tensor]
                    for i in range(lanes):
                        down[i] *= factor[i]
                for i in range(lanes):
                    down[i] -= zero[i]
                for network in range(upper, lower):
                    bits, hop = memory[network, BITS + tensor], memory[network, HOP_PJ + tensor]
                    limited = memory[network, NETWORK_RATE] < np.inf
                    charge(down, lanes, bits, hop, limited, k[at[SENT] + network], energy)
                write(memory, lower, tensor, down, lanes, k, at, energy)
                if layer[CHARGE_DRAIN] != 0.0:
                    read(memory, lower, tensor, held, lanes, k, at, energy)
                for i in range(lanes):
                    zero[i] = held[i] - down[i]
        upper = lower


@compiled_lending
def wait(bits: Array, instances: Array, rate: float, lanes: int, cycles: Array) -> None:
    """Cycles are at least those that each instance needs for its share of the bits."""
    if rate < np.inf:
        for i in range(lanes):
            needed = bits[i] / (instances[i] * rate)
            largest = cycles[i]
            cycles[i] = needed if needed > largest else largest


@compiled_lending
def take_time(layer: Array, memory: Array, lanes: int, k: Array, at: Array, cycles: Array) -> None:
    """The largest of what the MAC units, memories and networks need, and the ramp."""
    levels = len(memory)
    steps = k[at[ABOVE] + levels]
    for i in range(lanes):
        cycles[i] = steps[i]
    for level in range(levels):
        instances = k[at[INSTANCES] + level]
        fetched, written, sent = k[at[READ] + level], k[at[WRITTEN] + level], k[at[SENT] + level]
        wait(fetched, instances, memory[level, READ_RATE], lanes, cycles)
        wait(written, instances, memory[level, WRITE_RATE], lanes, cycles)
        wait(sent, instances, memory[level, NETWORK_RATE], lanes, cycles)
        if memory[level, PORT_RATE] < np.inf:
            for i in range(lanes):
                fetched[i] += written[i]
            wait(fetched, instances, memory[level, PORT_RATE], lanes, cycles)
    if layer[COUNT_RAMP] != 0.0:
        ramp = k[at[SPARE] + 6]
        for i in range(lanes):
            cycles[i] += ramp[i]


@compiled_lending
def find_misfits(
    layer: Array, memory: Array, axis: Array, loops: Array, lanes: int, k: Array, at: Array, excess: Array
) -> None:
    """What all tiles of a memory together, the loops along an axis, and uncovered loops add to the excess."""
    used, stray = k[at[SPARE] + 0], k[at[SPARE] + 1]
    for level in range(len(memory)):
        room, held = memory[level, CAPACITY + 3], k[at[HELD] + level]
        if room < np.inf:
            for i in range(lanes):
                over = held[i] - room
                excess[i] += over if over > 0.0 else 0.0
    for a in range(len(axis)):
        size = axis[a, AXIS_SIZE]
        for i in range(lanes):
            used[i] = 1.0
            stray[i] = 1.0
        for d in loops:
            bound = k[at[ALONG] + 8 * a + d]
            for i in range(lanes):
                used[i] *= bound[i]
            if axis[a, AXIS_ALLOWED + d] == 0.0:
                for i in range(lanes):
                    stray[i] *= bound[i]
        for i in range(lanes):
            over = used[i] - size
            excess[i] += (over if over > 0.0 else 0.0) + (stray[i] - 1.0)
    for d in range(8):
        size, tile = layer[SIZES + d], k[at[TILE] + 8 * 0 + d]
        if size > 1.0:
            for i in range(lanes):
                missing = size - tile[i]
                excess[i] += missing if missing > 0.0 else 0.0


@compiled_lending
def cost_block(
    layer: Array, memory: Array, axis: Array, loops: Array, lanes: int, k: Array, at: Array, energy: Array,
    cycles: Array, excess: Array,
) -> None:  # fmt: skip
    """energy (pJ), cycles and excess [lanes] of the mappings in the block."""
    levels = len(memory)
    for i in range(lanes):
        energy[i] = 0.0
        excess[i] = 0.0
    for row in range(at[READ], at[SPARE]):
        sums = k[row]
        for i in range(lanes):
            sums[i] = 0.0
    ramp = k[at[SPARE] + 6]
    for i in range(lanes):
        ramp[i] = 0.0
    shape_nest(memory, axis, loops, lanes, k, at)
    count_reloads(layer, memory, loops, lanes, k, at)
    for tensor in range(3):
        move_tensor(layer, memory, tensor, loops, lanes, k, at, energy, excess)
    take_time(layer, memory, lanes, k, at, cycles)
    find_misfits(layer, memory, axis, loops, lanes, k, at, excess)
    steps, units = k[at[ABOVE] + levels], k[at[INSTANCES] + levels]
    compute, leak = layer[MAC_PJ], layer[LEAKAGE_PJ]
    for i in range(lanes):
        energy[i] += steps[i] * units[i] * compute + cycles[i] * leak
