"""The orders of loops that can matter: three classes a memory, and what they do to reloads.

Weights do not index N, Y, X; inputs not K; outputs not C, R, S; all index G. So every loop but G leaves one tensor in
place, and these three groups do not overlap.

**Three classes are enough.** Take any order at a memory, and let l be its innermost loop of bound above 1. Below it
every tensor that l indexes moves at l, and from l outwards every bound counts for it, whatever the order of the rest.
At most one tensor T is not indexed by l. T is fetched least if all loops that do not index it are inside all that do;
that order has a loop of l's group innermost too, so the others lose nothing by it. Hence for every order one of the
classes "weights stay" (N, Y, X innermost), "inputs stay" (K), "outputs stay" (C, R, S) costs no more. (G innermost
moves all three: any class costs no more.)

**Staying across memories.** T also stays over the loops of the next memory further out if no loop of bound above 1
indexes it here. Then all loops here are of its group: the class is written "only", and all other loops have bound 1.

So a class choice names for every memory but the innermost (below which nothing is held) a group, and whether it is
alone there. What it says is exact for mappings whose loops are as it says and never too low for others, so the least
cost over all choices is the least cost over all orders. `only` helps only if the next memory out has the same group.

**Sliding windows.** Then it also counts which loop moves the inputs first: Y or X where weights stay, R or S where
outputs stay, any of the four after K where inputs stay. (N, C and G share no rows.) These are classes of their own, and
so is a memory with no loop above 1 at all, or with K alone: the loop that moves the inputs is then one further out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.mapping_cost import Tables
from coevo.kernels.mapping_cost.tables import INPUTS, OUTPUTS, RELEVANT, TENSORS, WEIGHTS, C, G, K, N, R, S, X, Y

GROUPS = {WEIGHTS: (Y, X, N), INPUTS: (K,), OUTPUTS: (R, S, C)}
"""By the tensor that stays: the loops that do not index it."""
FIRST_MOVERS = {WEIGHTS: (Y, X), INPUTS: (Y, X, R, S), OUTPUTS: (R, S)}
ANY = -1
NOTHING = -1
"""In place of the tensor that stays: no loop there has a bound above 1."""


@dataclass(frozen=True, slots=True)
class Choice:
    """At one memory: which tensor stays, whether only its loops are there, and the loop that moves inputs first
    (`ANY` where that does not matter)."""

    stays: int
    only: bool
    first: int = ANY

    def order(self) -> list[int]:
        """The loops from the innermost outwards."""
        group = list(GROUPS[self.stays]) if self.stays != NOTHING else []
        rest = [loop for loop in (Y, X, N, R, S, C, K, G) if loop not in group]
        for part in (group, rest):
            if self.first in part:
                part.remove(self.first)
                part.insert(0, self.first)
        return group + rest


@dataclass(frozen=True, eq=False, slots=True)
class OrderClass:
    """`choices` by memory (all but the innermost). `counted` bool [3, L, L, 8]: whether the bound of a loop at memory
    `above` multiplies what is fetched into memory `below` of a tensor, [tensor, below, above, loop]. `single` bool
    [L, 8]: bounds that must be 1. `first_mover` [L]: (loop, memory) that moves the inputs of memory `below` first."""

    choices: tuple[Choice, ...]
    counted: NDArray[np.bool_]
    single: NDArray[np.bool_]
    first_mover: tuple[tuple[int, int] | None, ...]

    def ranks(self) -> NDArray[np.int64]:
        """[L, 8], 0 = innermost."""
        ranks = np.tile(np.arange(7, -1, -1), (len(self.choices) + 1, 1))
        for level, choice in enumerate(self.choices):
            ranks[level, choice.order()] = np.arange(8)
        return ranks


def order_classes(tables: Tables, stays: Mapping[int, int] | None = None) -> list[OrderClass]:
    """All choices that are not covered by another one. `stays`: by memory, the tensor that has to stay there."""
    keeps, sliding, fixed = tables.keeps, tables.sliding_window, (stays or {}).items()
    found: list[OrderClass] = [
        _effects(choices, keeps, sliding)
        for choices in _choices(tables.levels - 1, sliding)
        if all(choices[level].stays == tensor for level, tensor in fixed)
    ]
    return _uncovered(found)


def _uncovered(classes: list[OrderClass]) -> list[OrderClass]:
    """Without those for which another one costs no more, whatever they stand for: with the same first movers, no loop
    that has to be single and no bound that counts beyond theirs."""
    distinct = {(one.first_mover, one.single.tobytes(), one.counted.tobytes()): one for one in reversed(classes)}
    groups: dict[tuple[tuple[int, int] | None, ...], list[OrderClass]] = {}
    for one in distinct.values():
        groups.setdefault(one.first_mover, []).append(one)
    kept = []
    for members in groups.values():
        costs = np.array([[*one.single.ravel(), *one.counted.ravel()] for one in members], dtype=np.float32)
        beyond = costs @ (1.0 - costs).T  # [a, b]: what a has that b has not
        covered = ((beyond == 0.0) & (beyond.T > 0.0)).any(axis=0)
        kept += [one for one, drop in zip(members, covered, strict=True) if not drop]
    return kept


def _choices(levels: int, sliding: bool) -> list[tuple[Choice, ...]]:
    """Class choices for `levels` memories, outermost first."""

    def firsts(stays: int, only: bool) -> tuple[int, ...]:
        return FIRST_MOVERS[stays] if sliding and not (only and stays == INPUTS) else (ANY,)

    rows: list[tuple[Choice, ...]] = [()]
    for level in range(levels):
        longer = []
        for row in rows:
            if sliding and level > 0:
                longer.append((*row, Choice(NOTHING, only=True)))
            for stays, only in itertools.product(range(TENSORS), (False, True)):
                if only and (level == 0 or (row[-1].stays != stays and not sliding)):
                    continue
                longer += [(*row, Choice(stays, only, first)) for first in firsts(stays, only)]
        rows = longer
    return rows


def _effects(choices: tuple[Choice, ...], keeps: NDArray[np.bool_], sliding: bool) -> OrderClass:
    levels = len(choices) + 1
    counted = np.zeros((TENSORS, levels, levels, 8), dtype=bool)
    first_mover: list[tuple[int, int] | None] = [None] * levels
    for tensor, below in itertools.product(range(TENSORS), range(1, levels)):
        if not keeps[below, tensor]:
            continue
        moving = False
        for above in range(below - 1, -1, -1):
            choice = choices[above]
            counted[tensor, below, above] = True
            stays = choice.stays in (tensor, NOTHING)
            if not moving and stays:
                counted[tensor, below, above] = RELEVANT[tensor]
            opens = not moving and not (stays and choice.only)
            if opens and tensor == INPUTS and sliding:
                first_mover[below] = (choice.first, above)
            moving |= opens
    single = np.zeros((levels, 8), dtype=bool)
    for level, choice in enumerate(choices):
        if choice.only:
            single[level] = True
            if choice.stays != NOTHING:
                single[level, list(GROUPS[choice.stays])] = False
    return OrderClass(choices, counted, single, tuple(first_mover))
