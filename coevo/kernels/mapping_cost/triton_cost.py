"""Device functions: energy, cycles and whether a mapping is valid, from its counts. `reference.cost`, `excess_bits`,
`axis_excess` and `uncovered`, for one mapping a lane; `figures` points at those of one problem."""

from __future__ import annotations

from coevo.errors import missing_extra
from coevo.kernels.mapping_cost import triton_structure as st

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error


@triton.jit
def cost(counts, tile_words, instances, steps, figures, s: tl.constexpr):
    """(energy in pJ, cycles) in float64."""
    reads, writes, sent, delivered = counts
    energy = steps * instances[st.num_levels(s)] * tl.load(figures + st.figure(s, "mac_pj"))
    cycles = steps
    for level in tl.static_range(st.num_levels(s)):
        read = tl.full(steps.shape, -0.0, steps.dtype)  # x + -0.0 is x
        written, carried = read, read
        for tensor in tl.static_range(3):
            bits = tl.load(figures + st.figure(s, "bits", 3 * level + tensor))
            if st.keeps(s, level, tensor):
                energy += reads[3 * level + tensor] * tl.load(figures + st.figure(s, "read_pj", 3 * level + tensor))
                energy += writes[3 * level + tensor] * tl.load(figures + st.figure(s, "write_pj", 3 * level + tensor))
                read += reads[3 * level + tensor] * bits
                written += writes[3 * level + tensor] * bits
            if st.has_hops(s, level, tensor):
                energy += delivered[3 * level + tensor] * tl.load(figures + st.figure(s, "hop_pj", 3 * level + tensor))
            carried += sent[3 * level + tensor] * bits
        if st.has_fanout_above(s, level):
            share = 1.0 / instances[level]
        else:
            share = 1.0
        cycles = _at_least(cycles, read, share, "read_cycles_per_bit", level, figures, s)
        cycles = _at_least(cycles, written, share, "write_cycles_per_bit", level, figures, s)
        cycles = _at_least(cycles, read + written, share, "port_cycles_per_bit", level, figures, s)
        cycles = _at_least(cycles, carried, share, "network_cycles_per_bit", level, figures, s)
    if st.switch(s, "count_ramp"):
        cycles += _ramp(tile_words, instances, figures, s)
    energy += cycles * tl.load(figures + st.figure(s, "leakage_pj_per_cycle"))
    return energy, cycles


@triton.jit
def _at_least(cycles, bits, share, rate: tl.constexpr, level: tl.constexpr, figures, s: tl.constexpr):
    """The cycles, or those that one instance's share of the bits takes where that is more."""
    if st.is_rated(s, rate, level):
        return tl.maximum(cycles, bits * share * tl.load(figures + st.figure(s, rate, level)))
    else:
        return cycles


@triton.jit
def _ramp(tile_words, instances, figures, s: tl.constexpr):
    """Cycles until the first tiles are loaded."""
    ramp = tl.full(instances[0].shape, -0.0, instances[0].dtype)
    for tensor in tl.static_range(3):
        for upper in tl.static_range(st.num_levels(s)):
            if st.keeps(s, upper, tensor) and st.next_kept(s, upper, tensor) < st.num_levels(s):
                slowest = tl.maximum(
                    tl.load(figures + st.figure(s, "read_cycles_per_bit", upper)),
                    tl.load(figures + st.figure(s, "port_cycles_per_bit", upper)),
                )
                bits = tl.load(figures + st.figure(s, "bits", 3 * upper + tensor))
                words = tile_words[3 * st.next_kept(s, upper, tensor) + tensor]
                children = instances[st.next_kept(s, upper, tensor)] / instances[upper]
                ramp += words * children * (bits * slowest)
    return ramp


@triton.jit
def fits(tile_words, figures, s: tl.constexpr):
    """Whether the tiles fit the memories."""
    fitting = tl.full(tile_words[0].shape, 1, tl.int1)
    for level in tl.static_range(st.num_levels(s)):
        held = tl.full(tile_words[0].shape, -0.0, tile_words[0].dtype)
        for tensor in tl.static_range(3):
            if st.keeps(s, level, tensor):
                needed = tile_words[3 * level + tensor] * tl.load(figures + st.figure(s, "bits", 3 * level + tensor))
                held += needed
                if st.is_limited(s, level, tensor):
                    fitting &= needed <= tl.load(figures + st.figure(s, "capacity_bits", 4 * level + tensor))
        if st.is_limited(s, level, 3):
            fitting &= held <= tl.load(figures + st.figure(s, "capacity_bits", 4 * level + 3))
    return fitting


@triton.jit
def covers(temporal, spatial, figures, s: tl.constexpr):
    """Whether the bounds cover the layer and the spatial loops fit the axes that they run along."""
    covering = tl.full(temporal[0].shape, 1, tl.int1)
    for loop in tl.static_range(8):
        bound = temporal[loop]
        for level in tl.static_range(1, st.num_levels(s)):
            bound = bound * temporal[8 * level + loop]
        for axis in tl.static_range(st.num_axes(s)):
            bound = bound * spatial[8 * axis + loop]
            if not st.axis_allows(s, axis, loop):
                covering &= spatial[8 * axis + loop] == 1.0
        covering &= bound >= tl.load(figures + st.figure(s, "sizes", loop))
    for axis in tl.static_range(st.num_axes(s)):
        used = spatial[8 * axis]
        for loop in tl.static_range(1, 8):
            used = used * spatial[8 * axis + loop]
        covering &= used <= tl.load(figures + st.figure(s, "axis_size", axis))
    return covering


@triton.jit
def is_exact(instances, steps, s: tl.constexpr):
    """Whether every count is below 2^53. A word moves at most once a MAC and direction; a tile with the rows between
    has that many words more."""
    return steps * instances[st.num_levels(s)] < 2.0**52 / st.words_a_mac(s)
