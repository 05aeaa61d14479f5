"""Which loops run along the axes of the array: NAAS's importance encoding, the index encoding that it is compared with,
and coevo's own order (NAAS, DAC 2021, section 3.1 and figure 9).

The connections between neighbours follow from it: along C partial sums are added on the way, along K inputs are
broadcast, and so on. Groups, and so the channels of a depthwise convolution, go along with K, as in the bundled
baselines: what adds sums up along C cannot keep groups apart.
"""

from __future__ import annotations

from itertools import permutations

from coevo.search.pick import Pick

LOOPS = ("C", "K", "Y", "X", "R", "S")
ENCODINGS = ("importance", "index", "order")
_CHOICES = {k: tuple("".join(choice) for choice in permutations(LOOPS, k)) for k in (1, 2, 3)}


def parallel_loops(pick: Pick, encoding: str, axes: int) -> tuple[str, ...]:
    """The loop of each axis, the outermost axis first.

    `importance`: a real number for each loop; the most important run along the array, equal ones in the order of
    `LOOPS`. `index`: the number of a choice in a list of all. `order`: the loops themselves, as an order.
    """
    if encoding == "importance":
        weights = {loop: pick.real(f"importance_{loop}", 0.0, 1.0) for loop in LOOPS}
        return tuple(sorted(LOOPS, key=lambda loop: (-weights[loop], LOOPS.index(loop)))[:axes])
    if encoding == "index":
        return tuple(_CHOICES[axes][pick.integer(f"choice_{axes}", 0, len(_CHOICES[axes]) - 1)])
    return pick.order(f"parallel_{axes}", LOOPS, axes)


def choices_of(axes: int) -> tuple[str, ...]:
    """All choices that an index counts."""
    return _CHOICES[axes]


def loops_along(loop: str) -> tuple[str, ...]:
    """What an axis of `loop` carries."""
    return ("K", "G") if loop == "K" else (loop,)
