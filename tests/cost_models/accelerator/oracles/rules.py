"""Where an engine counts otherwise than the model, and no switch of `Assumptions` says so: its rule, as a formula.

Words by memory. `held`: leave one memory for the one above, over all its instances (outputs), or enter it (inputs).
`reduced`: what of it passes the networks between. Memory 0 is the outermost; a MAC unit stands below the innermost.
"""

import math
from itertools import pairwise

from coevo.cost_models.accelerator import Assumptions, evaluate_mapping, tables_of
from coevo.hardware.accelerators import RELEVANT, TENSORS
from coevo.kernels.mapping_cost import count


def spatial_bounds(accelerator, mapping, upper, lower):
    """Bounds by loop along the axes between memory `upper` and memory `lower`."""
    bounds = {}
    for (level, _), loops in zip(accelerator.axes, mapping.spatial, strict=True):
        if upper <= level < lower:
            for name, bound in loops:
                bounds[name] = bounds.get(name, 1) * bound
    return bounds


def not_indexing(bounds, tensor):
    return math.prod(bound for name, bound in bounds.items() if name not in RELEVANT[tensor])


def chain(accelerator, tensor):
    """Levels of the memories that keep `tensor`, from the outermost in, and the MAC unit's."""
    return [at for at, memory in enumerate(accelerator.memories) if tensor in memory.keeps] + [
        len(accelerator.memories)
    ]


def held_outputs(layer, accelerator, mapping, evaluation):
    """By level: outputs that leave it upwards; at a MAC unit one a MAC. What draining costs is what is drained."""
    drained = evaluate_mapping(layer, accelerator, mapping, Assumptions(charge_drain=True))
    kept = evaluate_mapping(layer, accelerator, mapping, Assumptions())
    held = {
        level: drained.accesses[memory.name, "outputs"].reads - kept.accesses[memory.name, "outputs"].reads
        for level, memory in enumerate(accelerator.memories)
        if "outputs" in memory.keeps
    }
    held[len(accelerator.memories)] = evaluation.padded_macs
    return held


def passes(accelerator, mapping, upper, lower, tensor):
    """How many children's words become one on the networks between: those that reduce (outputs) or multicast."""
    factor = 1
    for level in range(upper, lower):
        network = accelerator.memories[level].network
        if network.reduction if tensor == "outputs" else network.multicast:
            factor *= not_indexing(spatial_bounds(accelerator, mapping, level, level + 1), tensor)
    return factor


def accelforge_outputs(layer, accelerator, mapping, evaluation):
    """{memory: (reads, writes)} of outputs as AccelForge counts them: a partial sum that goes down is given to every
    child that adds to it, and each of them begins without one the first time that it meets a word. (The model gives it
    to one child, since a sum that all children added to would be counted as often.)"""
    held = held_outputs(layer, accelerator, mapping, evaluation)
    size = math.prod(layer.sizes[name] for name in RELEVANT["outputs"])
    levels = chain(accelerator, "outputs")
    counts = {level: [held[level] if level else 0, 0] for level in levels[:-1]}
    for upper, lower in pairwise(levels):
        begun = size * not_indexing(spatial_bounds(accelerator, mapping, 0, lower), "outputs")
        combined = passes(accelerator, mapping, upper, lower, "outputs")
        counts[upper][1] += held[lower] // combined
        counts[upper][0] += (held[lower] - begun) // combined
        if lower < len(accelerator.memories):
            counts[lower][1] += held[lower] - begun
    return {accelerator.memories[level].name: tuple(both) for level, both in counts.items()}


def accelforge_networks(layer, accelerator, mapping, evaluation):
    """{(memory, tensor): words} that the networks below memories deliver to (or take from) their children, those that
    cost energy, as AccelForge counts them: outputs by the rule above."""
    tables = tables_of(layer, accelerator, Assumptions(charge_drain=True, fetch_holes=True))
    delivered = count(tables, mapping.arrays(accelerator)).delivered[0]
    words = {
        (memory.name, tensor): int(delivered[level, place])
        for level, memory in enumerate(accelerator.memories)
        if memory.network.pj_per_bit
        for place, tensor in enumerate(TENSORS)
    }
    held = held_outputs(layer, accelerator, mapping, evaluation)
    size = math.prod(layer.sizes[name] for name in RELEVANT["outputs"])
    for upper, lower in pairwise(chain(accelerator, "outputs")):
        begun = size * not_indexing(spatial_bounds(accelerator, mapping, 0, lower), "outputs")
        both = held[lower] + (held[lower] - begun if lower < len(accelerator.memories) else 0)
        for level in range(upper, lower):
            if accelerator.memories[level].network.pj_per_bit:
                inside = passes(accelerator, mapping, level + 1, lower, "outputs")
                words[accelerator.memories[level].name, "outputs"] = both // inside
    return words


def zigzag_outputs(layer, accelerator, mapping, evaluation):
    """{memory: (reads, writes)} as zigzag prices outputs: where partial sums go down at all, one goes down for each
    that comes up, the first included. (The model begins the first at zero, as zigzag's own element counts do.)"""
    held = held_outputs(layer, accelerator, mapping, evaluation)
    size = math.prod(layer.sizes[name] for name in RELEVANT["outputs"])
    levels = chain(accelerator, "outputs")
    counts = {level: [held[level] if level else 0, 0] for level in levels[:-1]}
    for upper, lower in pairwise(levels):
        up = held[lower] // not_indexing(spatial_bounds(accelerator, mapping, upper, lower), "outputs")
        partial = up > size
        counts[upper][1] += up
        counts[upper][0] += up if partial else 0
        if lower < len(accelerator.memories) and partial:
            counts[lower][1] += held[lower]
    return {accelerator.memories[level].name: tuple(both) for level, both in counts.items()}


def zigzag_inputs(layer, accelerator, mapping):
    """{memory: (reads, writes)} of inputs as zigzag counts them: of the rows that neighbouring children share it merges
    those that the spatial loops alone would share, were there no temporal loops inside, not those of wider tiles."""
    apart = evaluate_mapping(layer, accelerator, mapping, Assumptions())
    innermost = len(accelerator.memories)
    counts = {}
    for upper, lower in pairwise(chain(accelerator, "inputs")):
        name = accelerator.memories[upper].name
        reads = apart.accesses[name, "inputs"].reads
        between, within, below = (
            spatial_bounds(accelerator, mapping, *levels)
            for levels in ((upper, lower), (upper, innermost), (lower, innermost))
        )
        for axis in (0, 1):
            separate = between.get("YX"[axis], 1) * between.get("RS"[axis], 1) * rows(layer, axis, below)
            assert reads * rows(layer, axis, within) % separate == 0
            reads = reads * rows(layer, axis, within) // separate
        counts[name] = (reads, apart.accesses[name, "inputs"].writes)
    return counts


def rows(layer, axis, bounds):
    """Different values of output * stride + tap * dilation over the loops of `bounds`."""
    outputs, taps = bounds.get("YX"[axis], 1), bounds.get("RS"[axis], 1)
    return len({o * layer.stride[axis] + t * layer.dilation[axis] for o in range(outputs) for t in range(taps)})


def energy_of(counts, layer, accelerator, evaluation, leakage_cycles=None, networks=None):
    """pJ of an engine's own counts {(memory, tensor): (reads, writes)} at the accelerator's energies; `networks`: words
    delivered {(memory, tensor): words}, for engines that price them."""
    base = layer.bits or accelerator.bits
    energy = evaluation.compute_pj
    for memory in accelerator.memories:
        for place, tensor in enumerate(RELEVANT):
            reads, writes = counts.get((memory.name, tensor), (0, 0))
            bits = memory.bits[place] or base[place]
            energy += bits * (networks or {}).get((memory.name, tensor), 0) * memory.network.pj_per_bit
            energy += bits * (reads * memory.read_pj_per_bit[place] + writes * memory.write_pj_per_bit[place])
    if leakage_cycles is not None:
        energy += evaluation.leakage_pj / evaluation.cycles * leakage_cycles
    return energy


def cycles_of(counts, layer, accelerator, mapping, evaluation):
    """Cycles of an engine's own counts by the model's rule: the largest of the work and of each memory's transfers."""
    base = layer.bits or accelerator.bits
    longest = evaluation.parts_cycles["compute"]
    for level, memory in enumerate(accelerator.memories):
        used = math.prod(spatial_bounds(accelerator, mapping, 0, level).values())
        moved = [
            sum(
                counts.get((memory.name, tensor), (0, 0))[way] * (memory.bits[place] or base[place])
                for place, tensor in enumerate(RELEVANT)
            )
            / used
            for way in (0, 1)
        ]
        rates = (memory.read_bytes_per_cycle, memory.write_bytes_per_cycle)
        if memory.shared_port:
            moved, rates = [sum(moved)], rates[:1]
        longest = max(longest, *(bits / (8 * rate) for bits, rate in zip(moved, rates, strict=True) if rate), 0)
    return longest
