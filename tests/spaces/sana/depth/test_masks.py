"""Moves of runs keep a mask's size; every mask can be reached."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coevo.errors import InputError
from coevo.spaces.sana.depth import masks
from coevo.spaces.sana.depth.masks import (
    check_keep,
    crossed,
    moved,
    random_keep,
    remove_run,
    removed_runs,
    resized,
    restore_run,
    slide,
    split,
    uniform_keep,
    without_run,
)

KEEPS = st.lists(st.booleans(), min_size=1, max_size=14).filter(any).map(tuple)
SEEDS = st.integers(0, 2**20)


@settings(max_examples=60, deadline=None)
@given(keep=KEEPS, other=KEEPS, seed=SEEDS)
def test_moves_and_crossings_keep_the_number_of_kept_blocks(keep, other, seed):
    rng = np.random.default_rng(seed)
    for move in (moved, *(getattr(masks, name) for name in masks.MOVES)):
        if move is not moved and all(keep):
            continue
        found = move(keep, rng)
        assert len(found) == len(keep) and sum(found) == sum(keep) and set(map(type, found)) == {bool}
    other = (other * len(keep))[: len(keep)]
    child = crossed(keep, other, rng)
    assert sum(child) == sum(keep)
    assert all(c == a for a, b, c in zip(keep, other, child, strict=True) if a == b)
    changed = resized(keep, rng)
    assert any(changed) and (len(keep) == 1 or 1 <= abs(sum(changed) - sum(keep)) <= 3)


def test_moves_are_those_of_runs():
    rng, keep = np.random.default_rng(0), (True, False, False, True, True, True, True)
    slid = {slide(keep, rng) for _ in range(60)}
    assert slid == {without_run(7, 5, first) for first in (0, 2, 3)}
    assert {removed_runs(each)[0][1] - removed_runs(each)[0][0] for each in slid} == {2}
    parted = {tuple(removed_runs(split(keep, rng))) for _ in range(200)}
    assert ((1, 2), (6, 7)) in parted and ((1, 2), (4, 5)) in parted and ((0, 2),) in parted


def test_every_mask_is_reached_from_every_other():
    rng, depth, kept = np.random.default_rng(1), 6, 3
    reached, edge = {uniform_keep(depth, kept)}, [uniform_keep(depth, kept)]
    while edge:
        here = edge.pop()
        for _ in range(200):
            found = moved(here, rng)
            if found not in reached:
                reached.add(found)
                edge.append(found)
    assert len(reached) == 20


def test_runs_are_removed_and_put_back():
    keep = (True, True, False, True, True)
    assert removed_runs(keep) == [(2, 3)] and removed_runs((False, True, False, False)) == [(0, 1), (2, 4)]
    assert remove_run(keep, 1, 2) == (True, False, False, False, True)
    assert remove_run(keep, 4, 2) == (True, True, False, False, False)  # the top is reached: downwards
    assert restore_run((False, False, True, False), 1, 2) == (False, True, True, True)
    assert restore_run((False, True, False), 2, 2) == (True, True, True)
    with pytest.raises(InputError, match="one at least stays"):
        remove_run(keep, 0, 4)
    with pytest.raises(InputError, match="1 are removed"):
        restore_run(keep, 0, 2)


def test_even_and_random_masks():
    assert uniform_keep(12, 4) == tuple(i in (0, 4, 7, 11) for i in range(12))
    for depth in range(1, 14):
        for kept in range(1, depth + 1):
            assert sum(uniform_keep(depth, kept)) == kept
    rng = np.random.default_rng(0)
    assert len({random_keep(5, 2, rng) for _ in range(300)}) == 10
    with pytest.raises(InputError, match="1 to 5 kept blocks, got 6"):
        random_keep(5, 6, rng)
    with pytest.raises(InputError, match="begins at 0 to 2, got 3"):
        without_run(5, 2, 3)
    with pytest.raises(InputError, match="one length"):
        crossed((True,), (True, False), rng)


def test_bad_masks():
    assert check_keep([1, 0, True], 3) == (True, False, True)
    for wrong, message in (
        ((True,), "yes or no to 1 blocks, the transformer has 3"),
        ((True, False, 2), "neither true nor false"),
        ((0, 0, 0), "keeps none of 3"),
    ):
        with pytest.raises(InputError, match=message):
            check_keep(wrong, 3)
