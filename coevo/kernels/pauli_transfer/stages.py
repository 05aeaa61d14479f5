"""Which blocks of a plan an operator goes through together, while a tile of it stays on the chip.

A stage takes blocks that act on at most `tile` digits, so that one pass over the operators serves all of them. Blocks
that share no digit may change places. Integers alone; conventions: `coevo.kernels.pauli_transfer`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.pauli_transfer.plan import Plan

Integers = NDArray[np.int32]


@dataclass(frozen=True)
class Stages:
    """Places of digits in a tile and in a tile's number are counted from the lowest.

    Attributes:
        tile: digits of a tile.
        steps: [N, 3] block, and the places in its tile of the pair's first and second digit.
        ranges: [stages, programs, 2] the steps of each program.
        shifts: [stages, programs, width] the lowest bit of each digit in an operator's index, those in the tile first.
        skips: [stages, programs * n_obs] bits of a tile's number; where one is set, the tile's coefficients are 0,
            because the operator has not reached that digit.
    """

    tile: int
    steps: Integers
    ranges: Integers
    shifts: Integers
    skips: Integers


def stages(made: Plan, reached: list[list[int]], tile: int) -> Stages:
    """The stages of a plan. `reached` has for every program a bit mask of digits an operator, those it begins on."""
    programs = len(made.blocks)
    n_obs = len(reached[0])
    tile = min(tile, made.width)
    bit = 2 * (made.width - 1 - np.arange(made.width))
    if tile == made.width:
        real = made.blocks != 0
        places = (made.width - 1 - made.pairs)[real]
        ends = np.cumsum(real.sum(axis=1))
        return Stages(
            tile,
            np.column_stack([made.blocks[real], places]).astype(np.int32),
            np.column_stack([ends - real.sum(axis=1), ends])[None].astype(np.int32),
            np.tile(bit[::-1].astype(np.int32), (1, programs, 1)),
            np.zeros((1, programs * n_obs), np.int32),
        )
    steps: list[tuple[int, int, int]] = []
    found: list[list[tuple[int, int, list[int], list[int]]]] = []
    for blocks, pairs, masks in zip(made.blocks.tolist(), made.pairs.tolist(), reached, strict=True):
        mine = []
        masks = list(masks)
        for inside, chosen in _grouped([pair for block, pair in zip(blocks, pairs, strict=True) if block], made, tile):
            outside = [digit for digit in range(made.width - 1, -1, -1) if digit not in inside]
            skips = []
            for index, mask in enumerate(masks):
                skips.append(sum(3 << 2 * place for place, digit in enumerate(outside) if not mask >> digit & 1))
                for step in chosen:
                    pair = 1 << pairs[step][0] | 1 << pairs[step][1]
                    mask |= pair if mask & pair else 0
                masks[index] = mask
            begin = len(steps)
            for step in chosen:
                first, second = pairs[step]
                steps.append((blocks[step], inside.index(first), inside.index(second)))
            mine.append((begin, len(steps), inside + outside, skips))
        found.append(mine)
    idle = (0, 0, list(range(made.width)), [0] * n_obs)
    depth = max(map(len, found))
    padded = [[mine[stage] if stage < len(mine) else idle for mine in found] for stage in range(depth)]
    return Stages(
        tile,
        np.array(steps, np.int32).reshape(-1, 3),
        np.array([[entry[:2] for entry in row] for row in padded], np.int32).reshape(depth, programs, 2),
        bit[np.array([[entry[2] for entry in row] for row in padded], np.int64)]
        .reshape(depth, programs, -1)
        .astype("i4"),
        np.array([[entry[3] for entry in row] for row in padded], np.int32).reshape(depth, -1),
    )


def _grouped(pairs: list[list[int]], made: Plan, tile: int) -> list[tuple[list[int], list[int]]]:
    """(digits of the tile, lowest in the index first, and the blocks of the stage) for all stages of one program: each
    takes every block that is free to come next and finds room, first come first served."""
    waiting = list(range(len(pairs)))
    found = []
    while waiting:
        # The digit whose coefficients are neighbours in memory is always in: a tile reads whole memory sectors.
        inside = {made.width - 1}
        behind: set[int] = set()
        chosen, left = [], []
        for step in waiting:
            pair = set(pairs[step])
            if not pair & behind and len(inside | pair) <= tile:
                inside |= pair
                chosen.append(step)
            else:
                behind |= pair
                left.append(step)
        room = (digit for digit in range(made.width - 1, -1, -1) if digit not in inside)
        while len(inside) < tile:
            inside.add(next(room))
        found.append((sorted(inside, reverse=True), chosen))
        waiting = left
    return found
