"""What can fall when outputs move more often.

Every count grows with the reloads of a tensor, but for one: where the children of a network add to the same word, all
but one of them start at zero whenever the word comes back, and so read one sum less. What a reload costs on the way
outweighs that for all accelerators that we know; but figures can be given where it does not (free networks, dear
registers), and a limit of bandwidth may count these reads alone. There, bounds take the most that can start at zero:
they hold, but need not be reached.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from coevo.kernels.mapping_cost import Tables
from coevo.kernels.mapping_cost.tables import OUTPUTS, RELEVANT

Target = tuple[str, int]


def falling_targets(tables: Tables) -> set[Target]:
    """("energy", 0) and limits (kind, memory) that can fall when outputs are reloaded more often."""
    found: set[Target] = set()
    chain = [*(int(level) for level in np.flatnonzero(tables.keeps[:, OUTPUTS])), tables.levels]
    for place, (upper, lower) in enumerate(pairwise(chain[:-1])):
        sharing = _sharing(tables, upper, lower)
        if sharing == 1:
            continue
        read, write, hop = (table[:, OUTPUTS] for table in (tables.read_pj, tables.write_pj, tables.hop_pj))
        # A word more at the boundary: up to `sharing` sums leave the children, one arrives above and goes back.
        costs = read[upper] + write[upper] + write[lower] + 2 * hop[upper:lower].sum() + hop[lower - 1] * (sharing - 1)
        costs += read[lower] * sharing if tables.charge_drain else 0.0
        deeper = list(pairwise(chain[place + 1 :]))
        spared = sum(
            read[above] + (0.0 if below == tables.levels else write[below] + hop[above:below].sum())
            for above, below in deeper
        )
        if spared * (sharing - 1) > costs:
            found.add(("energy", 0))
        for above, below in deeper:
            limits = [("read", above, tables.read_bits_per_cycle), ("port", above, tables.port_bits_per_cycle)]
            if below < tables.levels:
                limits += [("write", below, tables.write_bits_per_cycle), ("port", below, tables.port_bits_per_cycle)]
                limits += [("network", network, tables.network_bits_per_cycle) for network in range(above, below)]
            found |= {(kind, level) for kind, level, rate in limits if not math.isinf(rate[level])}
    return found


def _sharing(tables: Tables, upper: int, lower: int) -> int:
    """How many children at most add to one word on the way from memory `lower` to memory `upper`."""
    return math.prod(
        int(size)
        for size, level, allowed in zip(tables.axis_size, tables.axis_level, tables.axis_allowed, strict=True)
        if upper <= level < lower and (allowed & ~RELEVANT[OUTPUTS]).any()
    )
