"""Device functions: how often every word moves. `reference.count`, for one mapping a lane.

Values are tuples that are unrolled while a kernel is compiled: bounds [L * 8] (memory by memory), counts [L * 3]. All
are whole numbers in float64, exact up to 2^53. Nothing is sorted: at one memory a tile stays until the loop of the
lowest rank among those that index the tensor and have a bound above 1; loops that do not index it multiply the reloads
where their rank is higher.
"""

from __future__ import annotations

from coevo.errors import missing_extra
from coevo.kernels.mapping_cost import triton_structure as st

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

N: tl.constexpr = tl.constexpr(0)
G: tl.constexpr = tl.constexpr(1)
K: tl.constexpr = tl.constexpr(2)
C: tl.constexpr = tl.constexpr(3)
Y: tl.constexpr = tl.constexpr(4)
X: tl.constexpr = tl.constexpr(5)
R: tl.constexpr = tl.constexpr(6)
S: tl.constexpr = tl.constexpr(7)
WEIGHTS: tl.constexpr = tl.constexpr(0)
INPUTS: tl.constexpr = tl.constexpr(1)
OUTPUTS: tl.constexpr = tl.constexpr(2)
NEVER: tl.constexpr = tl.constexpr(2**20)  # above every rank


@triton.jit
def count(temporal, rank, spatial, s: tl.constexpr):
    """Counts of a mapping: temporal [L * 8] (float64), rank [L * 8] (int32), spatial [A * 8] (float64).

    Returns ((reads, writes, sent, delivered), tile_words, instances, steps): tuples [L * 3], [L * 3] and [L + 1], and
    the number of time steps.
    """
    ones = tl.full(temporal[0].shape, 1.0, temporal[0].dtype)
    nothing = tl.full(temporal[0].shape, -0.0, temporal[0].dtype)  # x + -0.0 is x: no addition is left of it
    grid = _grid(spatial, ones, s)
    tile = _tiles(temporal, grid, ones, s)
    instances = (ones,)
    for level in tl.static_range(st.num_levels(s)):
        instances = instances + (instances[level] * _product(grid, level, 0, False) * _product(grid, level, 0, True),)
    steps = ones
    for level in tl.static_range(st.num_levels(s)):
        steps = steps * _product(temporal, level, 0, False) * _product(temporal, level, 0, True)
    none = ()
    for _ in tl.static_range(3 * st.num_levels(s)):
        none = none + (nothing,)
    counts = (none, none, none, none)
    tile_words = none
    for tensor in tl.static_range(3):
        for level in tl.static_range(st.num_levels(s)):
            if st.keeps(s, level, tensor):
                tile_words = add(tile_words, 3 * level + tensor, footprint(_row(tile, level), tensor, s))
        zero_starts = tile_words[tensor]  # words of outputs that begin without a sum at the memory above
        for level in tl.static_range(st.num_levels(s)):
            if st.keeps(s, level, tensor):
                counts, zero_starts = _move(
                    counts, zero_starts, tile, grid, instances, steps, temporal, rank,
                    tensor, level, st.next_kept(s, level, tensor), s,
                )  # fmt: skip
    return counts, tile_words, instances, steps


@triton.jit
def add(values, place: tl.constexpr, value):
    """The tuple with `value` added at `place`."""
    changed = ()
    for i in tl.static_range(len(values)):
        if i == place:
            changed = changed + (values[i] + value,)
        else:
            changed = changed + (values[i],)
    return changed


@triton.jit
def _row(values, level: tl.constexpr):
    row = ()
    for loop in tl.static_range(8):
        row = row + (values[8 * level + loop],)
    return row


@triton.jit
def _product(bounds, level: tl.constexpr, tensor: tl.constexpr, relevant: tl.constexpr):
    """Product of the bounds at one memory of the loops that index the tensor, or of those that do not."""
    product = tl.full(bounds[0].shape, 1.0, bounds[0].dtype)
    for loop in tl.static_range(8):
        if st.is_relevant(tensor, loop) == relevant:
            product = product * bounds[8 * level + loop]
    return product


@triton.jit
def _grid(spatial, ones, s: tl.constexpr):
    """Bounds of the spatial loops below each memory, [L * 8]."""
    grid = ()
    for level in tl.static_range(st.num_levels(s)):
        for loop in tl.static_range(8):
            bound = ones
            for axis in tl.static_range(st.num_axes(s)):
                if st.axis_level(s, axis) == level:
                    bound = bound * spatial[8 * axis + loop]
            grid = grid + (bound,)
    return grid


@triton.jit
def _tiles(temporal, grid, ones, s: tl.constexpr):
    """What one instance of each memory sees, [(L + 1) * 8]; the last row is the MAC unit's."""
    tile = ()
    for _ in tl.static_range(8):
        tile = tile + (ones,)
    for outwards in tl.static_range(st.num_levels(s)):
        row = ()
        for loop in tl.static_range(8):
            row = row + (
                tile[loop]
                * temporal[8 * (st.num_levels(s) - 1 - outwards) + loop]
                * grid[8 * (st.num_levels(s) - 1 - outwards) + loop],
            )
        tile = row + tile
    return tile


@triton.jit
def _move(
    counts, zero_starts, tile, grid, instances, steps, temporal, rank,
    tensor: tl.constexpr, upper: tl.constexpr, lower: tl.constexpr, s: tl.constexpr,
):  # fmt: skip
    """The counts with what moves of the tensor between memory `upper` and the next that keeps it (or the MAC units)."""
    reads, writes, sent, delivered = counts
    if lower == st.num_levels(s):
        one = steps  # a MAC unit holds nothing
    else:
        one = _fetched(_row(tile, lower), tile, grid, temporal, rank, tensor, lower, s)
    together = one  # words that pass the network above `lower`, of all its children
    reduced = one * instances[upper]
    for up in tl.static_range(lower - upper):  # the network below memory lower - 1 - up
        delivered = add(delivered, 3 * (lower - 1 - up) + tensor, together * instances[lower - up])
        apart = _product(grid, lower - 1 - up, tensor, True)
        reduced = reduced * apart
        if st.merges(s, tensor, lower) and up == 0:
            joined = _joined(_row(tile, lower), _row(grid, lower - 1))
            if lower == st.num_levels(s):
                together = footprint(joined, tensor, s) * steps
            else:
                together = _fetched(joined, tile, grid, temporal, rank, tensor, lower, s)
        else:
            together = together * apart
            if not st.combines(s, tensor, lower - 1 - up):
                together = together * _product(grid, lower - 1 - up, tensor, False)
        sent = add(sent, 3 * (lower - 1 - up) + tensor, together * instances[lower - 1 - up])
    moved = together * instances[upper]
    if tensor != OUTPUTS:
        reads = add(reads, 3 * upper + tensor, moved)
        if lower < st.num_levels(s):
            writes = add(writes, 3 * lower + tensor, one * instances[lower])
    else:
        # Sums that come up, and those of them that had been sent down before.
        sent_down = reduced - zero_starts
        writes = add(writes, 3 * upper + tensor, moved)
        reads = add(reads, 3 * upper + tensor, moved - zero_starts)
        if lower < st.num_levels(s):
            for up in tl.static_range(lower - upper):
                sent = add(sent, 3 * (lower - 1 - up) + tensor, sent_down)
                delivered = add(delivered, 3 * (lower - 1 - up) + tensor, sent_down)
            writes = add(writes, 3 * lower + tensor, sent_down)
            held = one * instances[lower]
            if st.switch(s, "charge_drain"):
                reads = add(reads, 3 * lower + tensor, held)
            zero_starts = held - sent_down
    return (reads, writes, sent, delivered), zero_starts


@triton.jit
def _joined(tile, grid):
    joined = ()
    for loop in tl.static_range(8):
        joined = joined + (tile[loop] * grid[loop],)
    return joined


@triton.jit
def _fetched(words_of, tile, grid, temporal, rank, tensor: tl.constexpr, below: tl.constexpr, s: tl.constexpr):
    """Words of the tile `words_of` [8] that pass over the whole run: what enters one instance of memory `below`, or all
    children of the network right above it together."""
    words = footprint(words_of, tensor, s)
    if not st.slides(s, tensor):
        return words * _reloads(temporal, rank, tensor, below)
    bound, others, steps, by = _first_mover(tile, grid, temporal, rank, below)
    saved = tl.where(by[0], _overlap(words_of, Y, steps, s), 0.0)
    saved = tl.where(by[1], _overlap(words_of, X, steps, s), saved)
    saved = tl.where(by[2], _overlap(words_of, R, steps, s), saved)
    saved = tl.where(by[3], _overlap(words_of, S, steps, s), saved)
    return (words + (bound - 1.0) * (words - saved)) * others


@triton.jit
def first_rank(temporal, rank, tensor: tl.constexpr, level: tl.constexpr):
    """The lowest rank at one memory of the loops that index the tensor and move; NEVER where none does."""
    first = tl.full(rank[0].shape, NEVER, tl.int32)
    for loop in tl.static_range(8):
        if st.is_relevant(tensor, loop):
            first = tl.where(temporal[8 * level + loop] > 1.0, tl.minimum(first, rank[8 * level + loop]), first)
    return first


@triton.jit
def _reloads(temporal, rank, tensor: tl.constexpr, below: tl.constexpr):
    """How often a tile of memory `below` is fetched."""
    reloads = tl.full(temporal[0].shape, 1.0, temporal[0].dtype)
    last = tl.full(rank[0].shape, NEVER, tl.int32)
    for up in tl.static_range(below):
        # A loop further in has moved the tile: from here on every bound multiplies.
        first = tl.where(last < NEVER, -1, first_rank(temporal, rank, tensor, below - 1 - up))
        reloads = reloads * _product(temporal, below - 1 - up, tensor, True)
        for loop in tl.static_range(8):
            if not st.is_relevant(tensor, loop):
                reloads = reloads * _outside(temporal, rank, first, 8 * (below - 1 - up) + loop)
        last = first
    return reloads


@triton.jit
def _outside(temporal, rank, first, place: tl.constexpr):
    """The bound of a loop where it stands outside of the rank `first`, else 1."""
    return tl.where(rank[place] > first, temporal[place], 1.0)


@triton.jit
def _first_mover(tile, grid, temporal, rank, below: tl.constexpr):
    """The loop that moves an input tile of memory `below` first: (its bound, the reloads by all others, iterations that
    one step of it advances, whether it is Y, X, R, S)."""
    bound = tl.full(temporal[0].shape, 1.0, temporal[0].dtype)
    others = bound
    steps = bound
    never = tl.full(rank[0].shape, 0, tl.int1)
    by = (never, never, never, never)
    last = tl.full(rank[0].shape, NEVER, tl.int32)
    for up in tl.static_range(below):
        first = tl.where(last < NEVER, -1, first_rank(temporal, rank, INPUTS, below - 1 - up))
        for loop in tl.static_range(8):
            if st.is_relevant(INPUTS, loop):
                opens = (rank[8 * (below - 1 - up) + loop] == first) & (temporal[8 * (below - 1 - up) + loop] > 1.0)
                bound = tl.where(opens, temporal[8 * (below - 1 - up) + loop], bound)
                others = others * tl.where(opens, 1.0, temporal[8 * (below - 1 - up) + loop])
                if st.is_sliding(loop):
                    by_one = tile[8 * (below - up) + loop] * grid[8 * (below - 1 - up) + loop]
                    steps = tl.where(opens, by_one, steps)
                    by = _either(by, loop - 4, opens)
            else:
                others = others * _outside(temporal, rank, first, 8 * (below - 1 - up) + loop)
        last = first
    return bound, others, steps, by


@triton.jit
def _either(flags, place: tl.constexpr, flag):
    changed = ()
    for i in tl.static_range(len(flags)):
        if i == place:
            changed = changed + (flags[i] | flag,)
        else:
            changed = changed + (flags[i],)
    return changed


@triton.jit
def footprint(tile, tensor: tl.constexpr, s: tl.constexpr):
    """Words of the tensor in a tile [8]."""
    if tensor == WEIGHTS:
        return tile[G] * tile[K] * tile[C] * tile[R] * tile[S]
    elif tensor == OUTPUTS:
        return tile[N] * tile[G] * tile[K] * tile[Y] * tile[X]
    else:
        rows, columns = rows_of(tile[Y], tile[R], 0, False, s), rows_of(tile[X], tile[S], 1, False, s)
        return tile[N] * tile[G] * tile[C] * rows * columns


@triton.jit
def rows_of(outputs, taps, across: tl.constexpr, turned: tl.constexpr, s: tl.constexpr):
    """Rows of input that `outputs` rows of output and `taps` rows of the kernel touch (columns with `across`); with
    `turned` the two have changed places."""
    if st.switch(s, "fetch_holes"):
        return (outputs - 1.0) * st.step(s, across, turned) + (taps - 1.0) * st.step(s, across, not turned) + 1.0
    elif st.window(s, across, 0) * st.window(s, across, 1) == 1:
        return outputs + taps - 1.0
    else:
        twice = tl.maximum(outputs - st.window(s, across, not turned), 0.0)
        return outputs * taps - twice * tl.maximum(taps - st.window(s, across, turned), 0.0)


@triton.jit
def _overlap(tile, loop: tl.constexpr, shift, s: tl.constexpr):
    """Words of inputs that a tile shares with the tile `shift` steps further along Y, X, R or S."""
    rows, columns = rows_of(tile[Y], tile[R], 0, False, s), rows_of(tile[X], tile[S], 1, False, s)
    if loop == Y:
        rows = _overlap_rows(tile[Y], tile[R], shift, 0, False, s)
    elif loop == R:
        rows = _overlap_rows(tile[R], tile[Y], shift, 0, True, s)
    elif loop == X:
        columns = _overlap_rows(tile[X], tile[S], shift, 1, False, s)
    else:
        columns = _overlap_rows(tile[S], tile[X], shift, 1, True, s)
    return tile[N] * tile[G] * tile[C] * rows * columns


@triton.jit
def _overlap_rows(outputs, taps, shift, across: tl.constexpr, turned: tl.constexpr, s: tl.constexpr):
    length = rows_of(outputs, taps, across, turned, s)
    if st.switch(s, "fetch_holes"):
        return tl.maximum(length - shift * st.step(s, across, turned), 0.0)
    else:
        adjacent = 2.0 * length - rows_of(2.0 * outputs, taps, across, turned, s)
        if st.window(s, across, not turned) != 1:
            return tl.where(shift == outputs, adjacent, 0.0)
        else:
            # Tiles are runs of `taps` rows, each a further on. For taps >= a they form one run.
            joined = tl.maximum(length - shift * st.window(s, across, turned), 0.0)
            joined = tl.where(taps >= st.window(s, across, turned), joined, 0.0)
            return tl.where(shift == outputs, adjacent, joined)
