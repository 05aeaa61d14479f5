"""Who merges with whom: which rows of which program make which block, a matter of integers alone.

One-qubit rows between two two-qubit rows of their qubit form a segment, multiplied into the two-qubit row that follows;
two-qubit rows on one pair with nothing else between them, in either direction, form a block. Angles play no part, so a
plan serves every value of them. Conventions: `coevo.kernels.pauli_transfer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """Who merges with whom. N1 and N2 count the one- and two-qubit rows kept in all programs together.

    Attributes:
        width: digits of every padded operator.
        singles: [N1, 3] row of the batch, segment, order in the segment.
        doubles: [N2, 6] row, block, order in the block, segment before on the pair's first qubit, the same on its
            second, 1 where the row names the pair the other way round.
        segments: number of segments; segment 0 stays the identity.
        blocks: [programs, steps] block of each step from the END of the circuit on; block 0 stays the identity.
        pairs: [programs, steps, 2] its digits; (0, 1) where there is none.
        starts: [programs, n_obs, 2] digit of each readout and the segment after its last block.
        order: [programs, width] the digits that are encoded, in the encoder's order, then all others.
    """

    width: int
    singles: Integers
    doubles: Integers
    segments: int
    blocks: Integers
    pairs: Integers
    starts: Integers
    order: Integers


def light_cone(rows: NDArray[np.int32], read: Sequence[int]) -> tuple[list[int], set[int]]:
    """The rows [G, 4] that can influence the read qubits, in order, and the qubits that they and these act on."""
    cone, kept = set(read), []
    listed = rows[:, :2].tolist()
    for index in range(len(listed) - 1, -1, -1):
        first, second = listed[index]
        if first in cone or (second >= 0 and second in cone):
            kept.append(index)
            cone.add(first)
            if second >= 0:
                cone.add(second)
    return kept[::-1], cone


def plan(
    rows: Sequence[NDArray[np.int32]],
    read: Sequence[Sequence[int]],
    encoded: Sequence[Sequence[int]],
    least_width: int = 2,
) -> tuple[Plan, list[int]]:
    """The plan of a batch and the size of each light cone. Row indices count through the concatenated `rows`."""
    cones, kept_rows, sizes = [], [], []
    for own, qubits, before in zip(rows, read, encoded, strict=True):
        kept, cone = light_cone(own, qubits)
        sizes.append(len(cone))
        cones.append(sorted(cone.union(before)))
        kept_rows.append(kept)
    width = max([least_width, *map(len, cones)])
    singles, doubles, starts, orders = [], [], [], []
    blocks_of, pairs_of = [], []
    segments, blocks, offset = 1, 1, 0
    for own, qubits, before, inner, kept in zip(rows, read, encoded, cones, kept_rows, strict=True):
        digit = {qubit: place for place, qubit in enumerate(inner)}
        pending: dict[int, tuple[int, int]] = {}  # qubit -> (segment, rows in it)
        owner: dict[int, int] = {}
        mine: list[int] = []
        pairs: list[tuple[int, int]] = []
        length: dict[int, int] = {}
        listed = own.tolist()
        for index in kept:
            first, second = listed[index][:2]
            if second < 0:
                segment, count = pending.get(first, (0, 0))
                if not segment:
                    segment, segments = segments, segments + 1
                singles.append((offset + index, segment, count))
                pending[first] = segment, count + 1
                continue
            block = owner.get(first)
            flipped = 0
            if block is None or block != owner.get(second):
                block, blocks = blocks, blocks + 1
                mine.append(block)
                pairs.append((digit[first], digit[second]))
                owner[first] = owner[second] = block
            elif pairs[mine.index(block)] != (digit[first], digit[second]):
                flipped = 1
                first, second = second, first
            order = length.get(block, 0)
            length[block] = order + 1
            doubles.append(
                (offset + index, block, order, pending.pop(first, (0, 0))[0], pending.pop(second, (0, 0))[0], flipped)
            )
        starts.append([(digit[qubit], pending.get(qubit, (0, 0))[0]) for qubit in qubits])
        inside = [digit[qubit] for qubit in before]
        orders.append(inside + [place for place in range(width) if place not in inside])
        blocks_of.append(mine[::-1])
        pairs_of.append(pairs[::-1])
        offset += len(own)
    steps = max(map(len, blocks_of), default=0)
    padded = np.zeros((len(rows), steps), np.int64)
    placed = np.tile(np.array([0, 1], np.int64), (len(rows), steps, 1))
    for index, (mine, pairs) in enumerate(zip(blocks_of, pairs_of, strict=True)):
        padded[index, : len(mine)] = mine
        placed[index, : len(pairs)] = np.array(pairs, np.int64).reshape(-1, 2)
    made = Plan(
        width,
        np.array(singles, np.int64).reshape(-1, 3),
        np.array(doubles, np.int64).reshape(-1, 6),
        segments,
        padded,
        placed,
        np.array(starts, np.int64).reshape(len(rows), -1, 2),
        np.array(orders, np.int64),
    )
    return made, sizes
