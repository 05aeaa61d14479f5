"""Who merges with whom: which rows of which program make which block, a matter of integers alone.

One-qubit rows between two two-qubit rows of their qubit form a segment, multiplied into the two-qubit row that follows;
two-qubit rows on one pair with nothing else between them, in either direction, form a block. Angles play no part, so a
plan serves every value of them. A search plans thousands of circuits once each, so all programs are planned together:
rows are sorted into one timeline a qubit, and neighbours on it decide. Conventions: `coevo.kernels.pauli_transfer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """Who merges with whom. N1 and N2 count the one- and two-qubit rows kept in all programs together.

    Attributes:
        width: digits of every padded operator.
        sizes: qubits of each program's light cone.
        encoded: for each program its encoded qubits inside the light cone, in the encoder's order.
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
    sizes: list[int]
    encoded: list[list[int]]
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
    encoders: Sequence[Sequence[int]],
    least_width: int = 2,
) -> Plan:
    """The plan of a batch. `encoders` are the qubits that each program's encoder acts on, `read` [programs, n_obs];
    row indices count through the concatenated `rows`."""
    programs = len(rows)
    pairs = np.concatenate(rows)[:, :2].astype(np.int64)
    program = np.repeat(np.arange(programs), [len(own) for own in rows])
    reads = np.array(read, np.int64).reshape(programs, -1)
    count = 1 + max(int(pairs.max(initial=0)), int(reads.max(initial=0)))
    double = np.flatnonzero(pairs[:, 1] >= 0)
    double = double[_in_cone(program[double], pairs[double], reads)]
    cone = np.zeros((programs, count), bool)
    cone[np.arange(programs)[:, None], reads] = True
    cone[program[double][:, None], pairs[double]] = True
    digits = np.cumsum(cone, axis=1) - 1
    sizes = cone.sum(axis=1)
    width = max(least_width, int(sizes.max(initial=0)))

    # One timeline a qubit and program: its kept two-qubit rows (twice, once a qubit) and all its one-qubit rows.
    single = np.flatnonzero(pairs[:, 1] < 0)
    event = np.concatenate([single, double, double])
    slot = np.repeat([0, 1, 2], [len(single), len(double), len(double)])  # one-qubit row, first qubit, second qubit
    line = program[event] * count + np.concatenate([pairs[single, 0], pairs[double, 0], pairs[double, 1]])
    sort = np.argsort(line * len(pairs) + event)
    event, slot, line = event[sort], slot[sort], line[sort]
    opens = _before(line, -1) != line
    closes = np.append(opens, True)[1:]
    two = slot > 0
    # A run of one-qubit rows is a segment if a two-qubit row follows, or a readout at the line's end.
    begins = ~two & (opens | _before(two, True))
    run = np.cumsum(begins) - 1
    heads = np.flatnonzero(begins)
    ends = np.flatnonzero(~two & (closes | np.append(two, True)[1:]))
    lines = np.arange(programs)[:, None] * count + reads
    chosen = np.flatnonzero(~closes[ends] | np.isin(line[ends], lines))
    number = np.zeros(len(heads) + 1, np.int64)  # of each run, by its first row; 0 is the identity, also of run -1
    number[chosen[np.argsort(event[heads[chosen]])]] = 1 + np.arange(len(chosen))
    at = np.flatnonzero(~two & (number[run] > 0))
    singles = np.column_stack([event[at], number[run[at]], at - heads[run[at]]])
    singles = singles[np.argsort(singles[:, 0])]
    # What stands right before a place on its line: a segment, and before that a two-qubit row.
    segment_before = np.where(opens | _before(two, True), 0, number[_before(run, -1)])
    latest = _before(np.maximum.accumulate(np.where(two, np.arange(len(two)), -1)), -1)
    row_before = np.where((latest >= 0) & (line[latest] == line), event[latest], -1)

    places = np.empty((len(double), 2), np.int64)  # of both events of each two-qubit row
    rank = np.zeros(len(pairs), np.int64)
    rank[double] = np.arange(len(double))
    for side in (1, 2):
        there = np.flatnonzero(slot == side)
        places[rank[event[there]], side - 1] = there
    doubles, leaders = _blocks(double, pairs, row_before[places], segment_before[places], rank)
    owner = program[double[leaders]]
    per = np.bincount(owner, minlength=programs)
    steps = int(per.max(initial=0))
    step = np.cumsum(per)[owner] - 1 - np.arange(len(leaders))  # from the end
    blocks = np.zeros((programs, steps), np.int64)
    placed = np.tile(np.array([0, 1], np.int64), (programs, steps, 1))
    blocks[owner, step] = 1 + np.arange(len(leaders))
    placed[owner, step] = digits[owner[:, None], pairs[double[leaders]]]

    tail = np.zeros(programs * count, np.int64)
    last = ends[closes[ends]]
    tail[line[last]] = number[run[last]]
    starts = np.stack([np.take_along_axis(digits, reads, axis=1), tail[lines]], axis=2)
    encoded = [
        [qubit for qubit in qubits if qubit < count and inside[qubit]]
        for qubits, inside in zip(encoders, cone.tolist(), strict=True)
    ]
    return Plan(
        width, sizes.tolist(), encoded, singles, doubles, 1 + len(chosen), blocks, placed, starts,
        _order(encoded, digits, width),
    )  # fmt: skip


def _before(values: NDArray[Any], first: Any) -> NDArray[Any]:
    """Each entry's predecessor."""
    return np.append(first, values)[:-1]


def _in_cone(program: Integers, pairs: Integers, reads: Integers) -> Flags:
    """Which two-qubit rows can influence a readout of their program."""
    kept = np.zeros(len(pairs), bool)
    begins = np.searchsorted(program, np.arange(len(reads) + 1)).tolist()
    ends = zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), strict=True)  # flat lists: cheap to collect
    masks = [1 << first | 1 << second for first, second in ends]
    for number, qubits in enumerate(reads.tolist()):
        cone = 0
        for qubit in qubits:
            cone |= 1 << qubit
        for row in range(begins[number + 1] - 1, begins[number] - 1, -1):
            if masks[row] & cone:
                cone |= masks[row]
                kept[row] = True
    return kept


def _blocks(
    double: Integers, pairs: Integers, row_before: Integers, segment_before: Integers, rank: Integers
) -> tuple[Integers, Integers]:
    """(`Plan.doubles`, the places in `double` of each block's first row). `row_before` and `segment_before` [N2, 2]
    belong to the two qubits of each row; `rank` gives a row's place in `double`."""
    joined = (row_before[:, 0] == row_before[:, 1]) & (row_before[:, 0] >= 0)
    root = np.where(joined, rank[row_before[:, 0]], np.arange(len(double)))
    depth = joined.astype(np.int64)
    while (moved := root[root] != root).any():
        depth = depth + np.where(moved, depth[root], 0)
        root = root[root]
    leaders = np.flatnonzero(~joined)
    block = np.cumsum(~joined)[root]
    flipped = pairs[double, 0] != pairs[double[root], 0]
    before = np.where(flipped[:, None], segment_before[:, ::-1], segment_before)
    return np.column_stack([double, block, depth, before, flipped]), leaders


def _order(encoded: list[list[int]], digits: Integers, width: int) -> Integers:
    """`Plan.order`."""
    keys = np.tile(width + np.arange(width), (len(encoded), 1))
    counts = [len(qubits) for qubits in encoded]
    owner = np.repeat(np.arange(len(encoded)), counts)
    qubits = np.array([qubit for own in encoded for qubit in own], np.int64)
    keys[owner, digits[owner, qubits]] = np.concatenate([np.empty(0, np.int64), *map(np.arange, counts)])
    return np.argsort(keys, axis=1, kind="stable")
