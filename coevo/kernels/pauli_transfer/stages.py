"""Which blocks of a plan an operator goes through together, while a tile of it stays on the chip.

A stage takes blocks that act on at most `tile` digits, so that one pass over an operator serves all of them. Blocks
that share no digit may change places, and a block on digits that the operator has not reached does nothing to it.
Integers alone; conventions: `coevo.kernels.pauli_transfer`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.pauli_transfer.plan import Plan

Integers = NDArray[np.int32]


@dataclass(frozen=True)
class Stages:
    """R operators, those of each program after another, stage by stage. Places of digits are counted from the lowest.

    Attributes:
        tile: digits of a tile.
        steps: [N, 3] block, and the places in its tile of the pair's first and second digit.
        ranges: [stages, R, 2] the steps of each operator.
        shifts: [stages, R, width] the lowest bit of each digit in an operator's index: those in the tile, then those
            that the operator has reached, then all others.
        tiles: [stages, R] how many tiles are not 0: 4^(digits reached outside the tile), or 0 without steps.
    """

    tile: int
    steps: Integers
    ranges: Integers
    shifts: Integers
    tiles: Integers


def stages(made: Plan, reached: list[list[int]], tile: int) -> Stages:
    """The stages of a plan. `reached` has for every program a bit mask of digits an operator, those it begins on."""
    width = made.width
    tile = min(tile, width)
    bit = (2 * (width - 1 - np.arange(width))).astype(np.int32)
    if tile == width:
        return _one_stage(made, len(reached[0]), bit)
    steps: list[tuple[int, int, int]] = []
    found: list[list[tuple[int, int, list[int], int]]] = []
    for blocks, pairs, masks in zip(made.blocks.tolist(), made.pairs.tolist(), reached, strict=True):
        listed = [(block, *pair) for block, pair in zip(blocks, pairs, strict=True) if block]
        for mask in masks:
            mine = []
            for digits, outside, chosen in _grouped(_relevant(listed, mask), mask, width, tile):
                begin = len(steps)
                steps += [(block, digits.index(first), digits.index(second)) for block, first, second in chosen]
                mine.append((begin, len(steps), digits, 4**outside))
            found.append(mine)
    idle = (0, 0, list(range(width)), 0)
    padded = [[mine[stage] if stage < len(mine) else idle for mine in found] for stage in range(max(map(len, found)))]
    return Stages(
        tile,
        np.array(steps, np.int32).reshape(-1, 3),
        np.array([[entry[:2] for entry in row] for row in padded], np.int32).reshape(len(padded), len(found), 2),
        bit[np.array([[entry[2] for entry in row] for row in padded], np.int64)].reshape(
            len(padded), len(found), width
        ),
        np.array([[entry[3] for entry in row] for row in padded], np.int32).reshape(len(padded), len(found)),
    )


def _one_stage(made: Plan, n_obs: int, bit: Integers) -> Stages:
    """All blocks in one tile: the operators of a program share its steps."""
    real = made.blocks != 0
    counts = real.sum(axis=1)
    ends = np.cumsum(counts)
    ranges = np.column_stack([ends - counts, ends])
    return Stages(
        made.width,
        np.column_stack([made.blocks[real], (made.width - 1 - made.pairs)[real]]).astype(np.int32),
        np.repeat(ranges, n_obs, axis=0)[None].astype(np.int32),
        np.tile(bit[::-1], (1, len(counts) * n_obs, 1)),
        np.repeat(counts > 0, n_obs)[None].astype(np.int32),
    )


Block = tuple[int, int, int]
"""Its number, and its digits."""


def _relevant(listed: list[Block], reached: int) -> list[Block]:
    """The blocks that change an operator."""
    waiting = []
    for entry in listed:
        pair = 1 << entry[1] | 1 << entry[2]
        if reached & pair:
            reached |= pair
            waiting.append(entry)
    return waiting


def _grouped(waiting: list[Block], reached: int, width: int, tile: int) -> list[tuple[list[int], int, list[Block]]]:
    """The stages of one operator: (all digits, those of the tile first, then those reached outside; how many these are;
    the blocks). Each stage takes every block that is free to come next and finds room, first come first served."""
    found = []
    order = range(width - 1, -1, -1)
    low = 1 << width - 1  # the digit whose coefficients are neighbours in memory: a tile reads whole sectors
    while waiting:
        inside, behind, room = 0, 0, tile
        if reached & low and reached.bit_count() > tile:
            inside, room = low, tile - 1
        chosen, left = [], []
        for entry in waiting:
            pair = 1 << entry[1] | 1 << entry[2]
            more = (pair & ~inside).bit_count()
            if not pair & behind and more <= room:
                inside |= pair
                room -= more
                chosen.append(entry)
            else:
                behind |= pair
                left.append(entry)
        for candidates in (reached & ~inside, ~reached & ~inside):  # better in the tile than outside it
            for digit in order:
                if room and candidates >> digit & 1:
                    inside |= 1 << digit
                    room -= 1
        outside = reached & ~inside
        digits = [digit for part in (inside, outside, ~inside & ~outside) for digit in order if part >> digit & 1]
        found.append((digits, outside.bit_count(), chosen))
        for _, first, second in chosen:
            reached |= 1 << first | 1 << second
        waiting = left
    return found
