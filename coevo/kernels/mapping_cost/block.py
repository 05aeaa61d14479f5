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
                mover, moves, shift = k[now], k[now + 1], k[now + 2]
                for row in range(3):
                    inherited, mine_now = k[now - 3 + row], k[now + row]
                    for i in range(lanes):
                        mine_now[i] = inherited[i]
                for d in loops:
                    bound, rank = k[at[TEMPORAL] + 8 * level + d], k[at[RANK] + 8 * level + d]
                    inner, grid = k[at[TILE] + 8 * (level + 1) + d], k[at[GRID] + 8 * level + d]
                    loop = float(d)
                    for i in range(lanes):
                        opens, was, times, far = rank[i] == smallest[i], mover[i], moves[i], shift[i]
                        here, step = bound[i], inner[i] * grid[i]
                        mover[i] = loop if opens else was
                        moves[i] = here if opens else times
                        shift[i] = step if opens else far


@compiled_lending
def rows_of(layer: Array, outputs: Array, taps: Array, at: int, lanes: int, out: Array) -> None:
    """`footprint.rows_of` with the window at place `at` of the layer."""
    stride, dilation, a, b = layer[at], layer[at + 1], layer[at + 2], layer[at + 3]
    if layer[FETCH_HOLES] != 0.0:
        for i in range(lanes):
            out[i] = (outputs[i] - 1.0) * stride + (taps[i] - 1.0) * dilation + 1.0
    else:
        for i in range(lanes):
            more, over = outputs[i] - b, taps[i] - a
            more = more if more > 0.0 else 0.0
            over = over if over > 0.0 else 0.0
            out[i] = outputs[i] * taps[i] - more * over


@compiled_lending
def words_of(layer: Array, tensor: int, t: Array, lanes: int, parts: Array, out: Array) -> None:
    """Words of a tile t [8, lanes]; of inputs its rows, its columns and the rest in parts [3, lanes] too."""
    if tensor == INPUTS:
        n, g, c, rows, columns, others = t[N], t[G], t[C], parts[0], parts[1], parts[2]
        rows_of(layer, t[Y], t[R], ROWS, lanes, rows)
        rows_of(layer, t[X], t[S], ACROSS, lanes, columns)
        for i in range(lanes):
            others[i] = n[i] * g[i] * c[i]
        for i in range(lanes):
            out[i] = others[i] * rows[i] * columns[i]
    elif tensor == OUTPUTS:
        n, g, k, y, x = t[N], t[G], t[K], t[Y], t[X]
        for i in range(lanes):
            out[i] = n[i] * g[i] * k[i] * y[i] * x[i]
    else:
        g, k, c, r, s = t[G], t[K], t[C], t[R], t[S]
        for i in range(lanes):
            out[i] = g[i] * k[i] * c[i] * r[i] * s[i]


@compiled_lending
def share_tiles(layer: Array, t: Array, loops: Array, lanes: int, slide: Array, parts: Array, spare: Array,
                shared: Array) -> None:  # fmt: skip
    """shared = words that a tile t [8, lanes] has of the one before, after a forward step of the loop that moves it:
    `footprint.overlap`. slide [3, lanes], parts [3, lanes] of the tile."""
    mover, shift, others = slide[0], slide[2], parts[2]
    for i in range(lanes):
        shared[i] = 0.0
    for d in loops:
        if d < Y:
            continue
        by_rows, kernel = d == Y or d == R, d >= R  # noqa: PLR1714, SIM109
        at = ROWS if by_rows else ACROSS
        length, other, mine = parts[0 if by_rows else 1], parts[1 if by_rows else 0], t[d]
        step, a, b = layer[at + 1] if kernel else layer[at], layer[at + 2], layer[at + 3]
        if kernel:  # the same set with its two sums exchanged
            a, b = b, a
        loop = float(d)
        if layer[FETCH_HOLES] != 0.0 or b == 1.0:
            far = step if layer[FETCH_HOLES] != 0.0 else a
            for i in range(lanes):
                common, before = length[i] - shift[i] * far, shared[i]
                words = (common if common > 0.0 else 0.0) * other[i] * others[i]
                shared[i] = words if mover[i] == loop else before
        else:  # only with the very next tile: twice its rows less those of both together
            outputs, taps = t[d - 2 if kernel else d], t[d if kernel else d + 2]
            for i in range(lanes):
                spare[i] = 2.0 * mine[i]
            rows_of(layer, outputs if kernel else spare, spare if kernel else taps, at, lanes, spare)
            for i in range(lanes):
                words, before = (2.0 * length[i] - spare[i]) * other[i] * others[i], shared[i]
                words = words if shift[i] == mine[i] else 0.0
                shared[i] = words if mover[i] == loop else before


@compiled_lending
def fetch(
    layer: Array, memory: Array, tensor: int, t: Array, lower: int, loops: Array, lanes: int, k: Array, at: Array,
    words: Array, out: Array,
) -> None:  # fmt: skip
    """Words of tile t that pass over the whole run, given those of one (`words_of` comes first); a MAC unit (lower = L)
    holds nothing."""
    levels = len(memory)
    times = k[at[ABOVE] + levels] if lower == levels else k[at[RELOADS] + tensor * (levels + 1) + lower]
    for i in range(lanes):
        out[i] = words[i] * times[i]
    if tensor == INPUTS and layer[SLIDING_WINDOW] != 0.0 and lower < levels:
        slide, parts = at[SLIDE] + 3 * lower, at[SPARE] + 8
        moves, spare, shared = k[slide + 1], k[parts + 3], k[parts + 4]
        share_tiles(layer, t, loops, lanes, k[slide : slide + 3], k[parts : parts + 3], spare, shared)
        for i in range(lanes):
            out[i] -= (moves[i] - 1.0) * shared[i] * (times[i] / moves[i])


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
    parts = k[spare + 8 : spare + 11]
    limited = min(memory[0, CAPACITY + tensor], memory[0, CAPACITY + 3]) < np.inf
    if tensor == OUTPUTS or limited:
        words_of(layer, tensor, k[at[TILE] : at[TILE] + 8], lanes, parts, zero)
        hold(memory, tensor, 0, zero, lanes, k[at[HELD]], excess)
    upper = 0
    for lower in range(1, levels + 1):
        if lower < levels and memory[lower, KEEPS + tensor] == 0.0:
            continue
        tile = k[at[TILE] + 8 * lower : at[TILE] + 8 * lower + 8]
        if lower < levels:
            words_of(layer, tensor, tile, lanes, parts, words)
            hold(memory, tensor, lower, words, lanes, k[at[HELD] + lower], excess)
            if layer[COUNT_RAMP] != 0.0:
                rate = min(memory[upper, READ_RATE], memory[upper, PORT_RATE])
                cycles_a_word = memory[upper, BITS + tensor] / rate
                many, few = k[at[INSTANCES] + lower], k[at[INSTANCES] + upper]
                for i in range(lanes):
                    ramp[i] += words[i] * cycles_a_word * (many[i] / few[i])
        else:
            for i in range(lanes):
                words[i] = 1.0
        fetch(layer, memory, tensor, tile, lower, loops, lanes, k, at, words, one)
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
                words_of(layer, tensor, joined, lanes, parts, total)
                fetch(layer, memory, tensor, joined, lower, loops, lanes, k, at, total, together)
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
