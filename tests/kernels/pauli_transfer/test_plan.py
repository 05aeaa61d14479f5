"""Plans of whole batches against a plan made row by row."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.kernels.pauli_transfer.plan import light_cone, plan


def row_by_row(rows, read, encoders):
    """{what: as `Plan` has it} with lists in place of padded arrays, one program and one row after the other."""
    made = {name: [] for name in ("sizes", "encoded", "singles", "doubles", "blocks", "pairs", "starts", "order")}
    segments, blocks, offset = 1, 1, 0
    cones = [sorted(light_cone(own, qubits)[1]) for own, qubits in zip(rows, read, strict=True)]
    width = max(2, *map(len, cones), 0)
    for own, qubits, before, inner in zip(rows, read, encoders, cones, strict=True):
        digit = {qubit: place for place, qubit in enumerate(inner)}
        pending, owner, length = {}, {}, {}
        mine, pairs = [], []
        for index in light_cone(own, qubits)[0]:
            first, second = own[index, :2].tolist()
            if second < 0:
                segment, count = pending.get(first, (0, 0))
                if not segment:
                    segment, segments = segments, segments + 1
                made["singles"].append((offset + index, segment, count))
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
            segment_pair = [pending.pop(qubit, (0, 0))[0] for qubit in (first, second)]
            made["doubles"].append((offset + index, block, order, *segment_pair, flipped))
        made["starts"].append([(digit[qubit], pending.get(qubit, (0, 0))[0]) for qubit in qubits])
        made["encoded"].append([qubit for qubit in before if qubit in digit])
        inside = [digit[qubit] for qubit in made["encoded"][-1]]
        made["order"].append(inside + [place for place in range(width) if place not in inside])
        made["blocks"].append(mine[::-1])
        made["pairs"].append(pairs[::-1])
        made["sizes"].append(len(inner))
        offset += len(own)
    return made | {"segments": segments, "width": width}


def random_rows(rng, qubits, count, pairs_share):
    """Rows on a few neighbours of a line, so that pairs repeat in both directions."""
    made = []
    for _ in range(count):
        first = int(rng.integers(qubits))
        second = -1
        if qubits > 1 and rng.random() < pairs_share:
            second = first + 1 if first + 1 < qubits else first - 1
            if rng.random() < 0.3:
                first, second = second, first
        made.append((first, second, -1, -1))
    return np.array(made, np.int32).reshape(-1, 4)


@pytest.mark.parametrize("seed", range(60))
def test_a_batch_planned_at_once_equals_rows_planned_one_by_one(seed):
    rng = np.random.default_rng(seed)
    programs, n_obs = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    sizes = [int(rng.integers(n_obs, 9)) for _ in range(programs)]
    share = float(rng.choice([0, 0.2, 0.5, 1]))
    rows = [random_rows(rng, size, int(rng.choice([0, 1, 7, 40])), share) for size in sizes]
    read = [rng.permutation(size)[:n_obs].tolist() for size in sizes]
    encoders = [rng.permutation(size + 3)[: int(rng.integers(size + 1))].tolist() for size in sizes]
    wanted = row_by_row(rows, read, encoders)
    found = plan(rows, read, encoders)
    assert (found.width, found.segments) == (wanted["width"], wanted["segments"])
    assert (found.sizes, found.encoded) == (wanted["sizes"], wanted["encoded"])
    assert found.singles.tolist() == [list(row) for row in wanted["singles"]]
    assert found.doubles.tolist() == [list(row) for row in wanted["doubles"]]
    np.testing.assert_array_equal(found.starts, np.array(wanted["starts"]).reshape(programs, n_obs, 2))
    np.testing.assert_array_equal(found.order, wanted["order"])
    assert found.blocks.shape == found.pairs.shape[:2] == (programs, max(map(len, wanted["blocks"])))
    for number, (blocks, pairs) in enumerate(zip(wanted["blocks"], wanted["pairs"], strict=True)):
        assert found.blocks[number].tolist() == blocks + [0] * (found.blocks.shape[1] - len(blocks))
        assert found.pairs[number, : len(pairs)].tolist() == [list(pair) for pair in pairs]


def test_qubits_beyond_a_machine_word_are_planned_too():
    rows = np.array([(130, 64, -1, -1), (64, -1, -1, -1), (64, 63, -1, -1), (2, 130, -1, -1)], np.int32)
    made = plan([rows], [[63]], [[130, 2]])
    assert made.sizes == [3]  # 63, 64 and 130: the last row acts after all that the readout sees
    assert made.encoded == [[130]]
    assert made.doubles[:, 0].tolist() == [0, 2]
