"""Device functions: valid mappings drawn constructively, each from its own number.

Mapping `number` of a seed is a function of the two alone: its random words are Philox-4x32 with seven rounds (Salmon et
al. 2011, section 4), keyed by the seed and counted by the number. So a search keeps the number of the best mapping, not
the mapping.

From the MAC units outwards every loop gets its bounds one after another, each below what is left of the loop, of the
axis and of every memory that binds. Words grow at most linearly with one bound (rows of a window are concave), so the
room for it is a quotient. A bound is 1 with probability 3/8, else drawn with a density that falls as its root; then it
becomes the least bound that leaves as many rounds to the loops further out, since more would be padding alone. What
remains of a loop is its bound at the outermost memory: every mapping covers the layer. Bounds are whole numbers in
float32, exact up to `LARGEST_SIZE`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coevo.errors import InputError, missing_extra
from coevo.kernels.mapping_cost import triton_structure as st
from coevo.kernels.mapping_cost.tables import TENSORS, Tables
from coevo.kernels.mapping_cost.triton_count import footprint

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

LARGEST_SIZE = 2**18
"""Of a loop: rounded quotients of such numbers have the right whole part."""
_ROUNDS: tl.constexpr = tl.constexpr(7)


def rooms_of(problems: Sequence[Tables]) -> np.ndarray:
    """float32 [P, 8 + A + 3 L + L + 3 L]: what the sampler reads: sizes, sizes of the axes, words of each tensor that a
    tile at each memory may have, and room for all tensors together with their widths, in the largest unit that divides
    the widths.

    Raises:
        InputError: a loop is longer than `LARGEST_SIZE`.
    """
    rows = []
    for tables in problems:
        if tables.sizes.max() > LARGEST_SIZE:
            raise InputError(
                f"the device's sampler takes loops of up to {LARGEST_SIZE} iterations, got {int(tables.sizes.max())}; "
                "split the layer, or search on the CPU"
            )
        words = np.where(tables.keeps, np.floor(tables.capacity_bits[:, :TENSORS] / tables.bits), np.inf)
        unit = np.gcd.reduce(tables.bits.astype(np.int64), axis=1)
        rows.append(
            np.concatenate([
                tables.sizes,
                tables.axis_size,
                np.minimum.accumulate(words, axis=0).ravel(),
                np.floor(tables.capacity_bits[:, TENSORS] / unit),
                (tables.bits / unit[:, None]).ravel(),
            ])
        )  # fmt: skip
    return np.stack(rows).astype(np.float32)


@triton.jit
def draw(number, seed, rooms, s: tl.constexpr):
    """Mapping `number` (int64) of the seed: (temporal [L * 8], order [L * 8], spatial [A * 8]); bounds in float32, and
    numbers whose order at each memory is that of its loops, the innermost first. `rooms` points at one problem's.
    """
    ones = tl.full(number.shape, 1.0, tl.float32)
    words = _random_words(number, seed, (st.num_choices(s) + 1) // 2 + st.num_levels(s))
    temporal, spatial, order = (), (), ()
    for _ in tl.static_range(8 * st.num_levels(s)):
        temporal = temporal + (ones,)
    for _ in tl.static_range(8 * st.num_axes(s)):
        spatial = spatial + (ones,)
    extent, left, free = (), (), ()
    for loop in tl.static_range(8):
        extent = extent + (ones,)
        if st.is_active(s, loop):
            left = left + (ones * tl.load(rooms + loop),)
        else:
            left = left + (ones,)
    for axis in tl.static_range(st.num_axes(s)):
        free = free + (ones * tl.load(rooms + 8 + axis),)
    for choice in tl.static_range(st.num_choices(s)):
        extent, left, free, temporal, spatial = _choose(
            words[choice // 2], extent, left, free, temporal, spatial, rooms, choice % 2 == 1,
            st.choice_level(s, choice), st.choice_axis(s, choice), st.choice_loop(s, choice), s,
        )  # fmt: skip
    outermost = ()
    for place in tl.static_range(8 * st.num_levels(s)):
        if place < 8:
            outermost = outermost + (left[place],)
        else:
            outermost = outermost + (temporal[place],)
    for level in tl.static_range(st.num_levels(s)):
        word = words[(st.num_choices(s) + 1) // 2 + level]
        for loop in tl.static_range(8):
            # Four random bits before the loop's own number: no two are equal, every order can come.
            order = order + ((((word >> (4 * loop)) & 15) * 8 + loop).to(tl.int32),)
    return outermost, order, spatial


@triton.jit
def _random_words(number, seed, COUNT: tl.constexpr):
    low, high = (number & 0xFFFFFFFF).to(tl.uint32), (number >> 32).to(tl.uint32)
    words = ()
    for block in tl.static_range((COUNT + 3) // 4):
        zero = low * 0
        words = words + tl.philox(seed, low, high, zero + block, zero, _ROUNDS)
    return words


@triton.jit
def _choose(
    word, extent, left, free, temporal, spatial, rooms, second: tl.constexpr,
    level: tl.constexpr, axis: tl.constexpr, loop: tl.constexpr, s: tl.constexpr,
):  # fmt: skip
    """One bound, and everything that it changes."""
    if second:  # a word serves two choices: the other one sees its halves exchanged
        word = (word << 16) | (word >> 16)
    most = left[loop]
    if axis >= 0:
        most = tl.minimum(most, free[axis])
    most = tl.maximum(tl.floor(_room(most, extent, rooms, level, loop, s)), 1.0)
    # The upper bits as a number in [0, 1): the fraction of a float32 between 1 and 2.
    drawn = ((word >> 9) | 0x3F800000).to(tl.float32, bitcast=True) - 1.0
    drawn = tl.maximum(drawn - 0.375, 0.0) * 1.6
    bound = 1.0 + tl.floor(most * (drawn * drawn))
    rest = _rounds(left[loop], bound)
    bound = _rounds(left[loop], rest)
    extent = _with(extent, loop, extent[loop] * bound)
    left = _with(left, loop, rest)
    if axis >= 0:
        free = _with(free, axis, tl.floor((free[axis] + 0.5) / bound))
        spatial = _with(spatial, 8 * axis + loop, bound)
    else:
        temporal = _with(temporal, 8 * level + loop, bound)
    return extent, left, free, temporal, spatial


@triton.jit
def _rounds(size, bound):
    """How often `bound` goes into `size`, rounded up. Half a step above the quotient no rounding reaches another."""
    return tl.floor((size + bound - 0.5) / bound)


@triton.jit
def _with(values, place: tl.constexpr, value):
    changed = ()
    for i in tl.static_range(len(values)):
        if i == place:
            changed = changed + (value,)
        else:
            changed = changed + (values[i],)
    return changed


@triton.jit
def _room(most, extent, rooms, level: tl.constexpr, loop: tl.constexpr, s: tl.constexpr):
    """`most`, or the largest bound of the loop with which the tile `extent` [8] still fits where that is less."""
    twice = _with(extent, loop, 2.0 * extent[loop])
    held, grown = (), ()
    for tensor in tl.static_range(3):
        words = footprint(extent, tensor, s)
        more = footprint(twice, tensor, s) - words
        held = held + (words,)
        grown = grown + (more,)
        if st.is_relevant(tensor, loop) and st.room_limited(s, level, tensor):
            room = tl.load(rooms + st.room_of(s, level, tensor))
            most = tl.minimum(most, 1.0 + (room - words + 0.5) / more)
    for outer in tl.static_range(level + 1):
        if st.binds_jointly(s, outer, level):
            room = tl.load(rooms + st.room_of(s, outer, 3)) + 0.5
            more = 0.0
            for tensor in tl.static_range(3):
                if st.keeps(s, outer, tensor):
                    width = tl.load(rooms + st.width_of(s, outer, tensor))
                    room = room - width * held[tensor]
                    if st.is_relevant(tensor, loop):
                        more = more + width * grown[tensor]
            if st.grows(s, outer, loop):
                most = tl.minimum(most, 1.0 + room / more)
    return most
