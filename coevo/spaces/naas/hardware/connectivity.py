"""Which loops run along the axes of the array: NAAS's importance encoding, the index encoding that it is compared with,
and coevo's own order (NAAS, DAC 2021, section 3.1 and figure 9).

NAAS gives each axis one loop. Chips such as Eyeriss replicate several along one axis; with `loops_per_axis` above 1
every axis has an encoding of its own, so that a loop may run along two axes, as K does there.

The connections between neighbours follow from it: along C partial sums are added on the way, along K inputs are
broadcast, and so on. Groups, and so the channels of a depthwise convolution, go along with K, as in the bundled
baselines: what adds sums up along C cannot keep groups apart.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

from coevo.search.pick import Pick

LOOPS = ("C", "K", "Y", "X", "R", "S")
ENCODINGS = ("importance", "index", "order")
_CHOICES = {k: tuple("".join(choice) for choice in permutations(LOOPS, k)) for k in (1, 2, 3)}
_SETS = {k: tuple("".join(choice) for choice in combinations(LOOPS, k)) for k in range(1, len(LOOPS) + 1)}


def parallel_loops(pick: Pick, encoding: str, axes: int, loops_per_axis: int = 1) -> tuple[tuple[str, ...], ...]:
    """The loops of each axis, the outermost axis first.

    `importance`: a real number for each loop; the most important run along the array, equal ones in the order of
    `LOOPS`. `index`: the number of a choice in a list of all. `order`: the loops themselves, as an order. With
    `loops_per_axis` above 1 each axis is asked so by itself, and an order's first loops are a set.
    """
    if loops_per_axis > 1:
        return tuple(_loops_of(pick, encoding, f"axis{axis}_", loops_per_axis) for axis in range(axes))
    if encoding == "importance":
        return tuple((loop,) for loop in _most_important(pick, "", axes))
    if encoding == "index":
        return tuple((loop,) for loop in _CHOICES[axes][pick.integer(f"choice_{axes}", 0, len(_CHOICES[axes]) - 1)])
    return tuple((loop,) for loop in pick.order(f"parallel_{axes}", LOOPS, axes))


def answers_for(encoding: str, along: tuple[tuple[str, ...], ...], loops_per_axis: int) -> dict[str, Any]:
    """The answers that make `parallel_loops` give `along`; an axis with too few loops gets the first others."""
    if loops_per_axis == 1:
        loops = [axis[0] for axis in along]
        if encoding == "importance":
            return _importances("", loops)
        if encoding == "index":
            return {f"choice_{len(loops)}": _CHOICES[len(loops)].index("".join(loops))}
        return {f"parallel_{len(loops)}": tuple(loops)}
    answers: dict[str, Any] = {}
    for number, axis in enumerate(along):
        filled = (*axis, *(loop for loop in LOOPS if loop not in axis))[:loops_per_axis]
        if encoding == "importance":
            answers |= _importances(f"axis{number}_", list(filled))
        elif encoding == "index":
            answers[f"axis{number}_choice"] = _SETS[loops_per_axis].index("".join(sorted(filled, key=LOOPS.index)))
        else:
            answers[f"axis{number}_parallel"] = tuple(filled)
    return answers


def with_groups(loops: tuple[str, ...]) -> tuple[str, ...]:
    """What an axis of `loops` carries."""
    return (*loops, "G") if "K" in loops else loops


def _loops_of(pick: Pick, encoding: str, prefix: str, count: int) -> tuple[str, ...]:
    if encoding == "importance":
        found = _most_important(pick, prefix, count)
    elif encoding == "index":
        found = tuple(_SETS[count][pick.integer(f"{prefix}choice", 0, len(_SETS[count]) - 1)])
    else:
        found = pick.order(f"{prefix}parallel", LOOPS, count)
    return tuple(sorted(found, key=LOOPS.index))


def _most_important(pick: Pick, prefix: str, count: int) -> tuple[str, ...]:
    weights = {loop: pick.real(f"{prefix}importance_{loop}", 0.0, 1.0) for loop in LOOPS}
    return tuple(sorted(LOOPS, key=lambda loop: (-weights[loop], LOOPS.index(loop)))[:count])


def _importances(prefix: str, loops: list[str]) -> dict[str, float]:
    return {f"{prefix}importance_{loop}": 1.0 - loops.index(loop) / 8 if loop in loops else 0.0 for loop in LOOPS}
