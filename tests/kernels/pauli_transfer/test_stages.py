"""Stages: every block once, in an order that changes nothing, on tiles that hold all that is not 0."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.kernels.pauli_transfer.plan import light_cone, plan
from coevo.kernels.pauli_transfer.reference import pull_back
from coevo.kernels.pauli_transfer.stages import stages


def random_rows(rng, qubits, count):
    """Two-qubit rows alone: (first, second, -1, -1)."""
    pairs = [rng.permutation(qubits)[:2] for _ in range(count)]
    return np.array([(*pair, -1, -1) for pair in pairs], np.int32).reshape(-1, 4)


def random_channel(rng):
    """Trace preserving: the adjoint leaves the identity alone, so an operator stays on what it has reached."""
    matrix = rng.normal(size=(16, 16))
    matrix[0] = np.eye(16)[0]
    return matrix


def through_stages(parts, blocks, operator, width, row):
    """One operator [4^width] taken through its stages as a device does it."""
    operator = operator.copy()
    tile = parts.tile
    for stage in range(len(parts.ranges)):
        begin, end = parts.ranges[stage, row]
        shifts = parts.shifts[stage, row]
        assert sorted(shifts) == list(range(0, 2 * width, 2))
        spread = [sum((index >> 2 * place & 3) << shifts[place] for place in range(tile)) for index in range(4**tile)]
        for outside in range(4 ** (width - tile) if begin < end else 0):
            origin = sum((outside >> 2 * place & 3) << shifts[tile + place] for place in range(width - tile))
            where = origin + np.array(spread)
            if outside >= parts.tiles[stage, row]:
                assert not operator[where].any()
                continue
            held = operator[where].reshape([4] * tile)
            for block, first, second in parts.steps[begin:end]:
                axes = (tile - 1 - first, tile - 1 - second)
                moved = np.tensordot(blocks[block].reshape(4, 4, 4, 4), held, axes=((0, 1), axes))
                held = np.moveaxis(moved, (0, 1), axes)
            operator[where] = held.ravel()
    return operator


@pytest.mark.parametrize(("qubits", "tile"), [(2, 6), (4, 4), (5, 4), (6, 3), (7, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_stages_equal_rows_one_by_one(qubits, tile, seed):
    rng = np.random.default_rng(seed)
    reads = [rng.permutation(qubits)[:2].tolist() for _ in range(3)]
    rows = [random_rows(rng, qubits, count) for count in (25, 0, 7)]
    made = plan(rows, reads, [[]] * 3, least_width=qubits)
    width = made.width
    masks = (1 << made.starts[:, :, 0]).tolist()
    parts = stages(made, masks, tile)
    # Rows of one block are multiplied here, so that blocks are what the plan says.
    channels = [random_channel(rng) for _ in range(sum(map(len, rows)))]
    blocks = np.tile(np.eye(16), (made.blocks.max() + 1, 1, 1))
    for row, block, _, _, _, flipped in made.doubles.tolist():
        channel = channels[row].reshape(4, 4, 4, 4)
        channel = channel.transpose(1, 0, 3, 2) if flipped else channel
        blocks[block] = channel.reshape(16, 16) @ blocks[block]
    offset = 0
    for number, own in enumerate(rows):
        kept, cone = light_cone(own, reads[number])
        mine = [channels[offset + row] for row in kept]
        offset += len(own)
        places = sorted(cone) + list(range(qubits, 2 * qubits - len(cone)))  # padded digits are nobody's
        for observable, qubit in enumerate(reads[number]):
            start = np.zeros([4] * width)
            place = [0] * width
            for letter in range(4):
                place[places.index(qubit)] = letter
                start[tuple(place)] = rng.normal()
            wanted = pull_back(own[kept], mine, start, places)
            row = 2 * number + observable
            found = through_stages(parts, blocks, start.ravel(), width, row)
            np.testing.assert_allclose(found, wanted.ravel(), rtol=1e-9, atol=1e-9 * abs(wanted).max())


def test_only_tiles_that_an_operator_has_reached_are_swept():
    rows = np.array([(qubit, qubit + 1, -1, -1) for qubit in (4, 3, 2, 1, 0)], np.int32)
    made = plan([rows], [[0, 5]], [[]])
    parts = stages(made, (1 << made.starts[:, :, 0]).tolist(), 3)
    # From the end: the readout of qubit 0 meets the pair (0, 1) first and grows; that of qubit 5 meets the last alone.
    lengths = (parts.ranges[..., 1] - parts.ranges[..., 0]).tolist()
    assert lengths == [[2, 1], [2, 0], [1, 0]]
    assert parts.tiles.tolist() == [[1, 1], [16, 0], [64, 0]]


def test_readouts_without_two_qubit_rows_need_no_stage():
    rows = np.array([(qubit, -1, -1, -1) for qubit in range(5)], np.int32)
    parts = stages(plan([rows], [list(range(5))], [[]]), [[1, 2, 4, 8, 16]], 3)
    assert parts.shifts.shape == (0, 5, 5)
    assert parts.ranges.shape == (0, 5, 2)
    assert parts.steps.shape == (0, 3)


def test_blocks_that_share_a_tile_share_a_stage():
    ring = np.array([(qubit, (qubit + 1) % 6, -1, -1) for _ in range(4) for qubit in range(6)], np.int32)
    made = plan([ring], [[0]], [[]])
    depth = [len(stages(made, [[1]], tile).ranges) for tile in (6, 5, 4, 3)]
    assert depth[0] == 1
    assert depth == sorted(depth)
    assert depth[1] < 24 / 2
