"""Keep-masks: which blocks of a transformer stay, and how a search moves from one mask to another.

Redundancy lies together in depth: what can be left out is mostly a few runs of neighbouring blocks (PPCL, CVPR 2026,
arXiv 2511.16156). So the moves here are of runs: one is removed, slides, or is split; a single flip is a run of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coevo.errors import InputError

Keep = tuple[bool, ...]
MOVES = ("slide", "split", "resettle", "swap")


def check_keep(keep: Sequence[bool], depth: int, where: str = "keep") -> Keep:
    """The mask as a tuple of bools.

    Raises:
        InputError: another length than the depth; entries other than yes and no; no block kept.
    """
    if len(keep) != depth:
        raise InputError(
            f"{where} says yes or no to {len(keep)} blocks, the transformer has {depth}: give {depth} entries"
        )
    if any(each not in (0, 1) for each in keep):
        raise InputError(f"{where} has an entry that is neither true nor false: {list(keep)}")
    found = tuple(bool(each) for each in keep)
    if not any(found):
        raise InputError(f"{where} keeps none of {depth} blocks; keep one at least")
    return found


def check_kept(kept: int, depth: int) -> None:
    """InputError unless 1 <= kept <= depth."""
    if not 1 <= kept <= depth:
        raise InputError(f"expected 1 to {depth} kept blocks, got {kept}")


def removed_runs(keep: Sequence[bool]) -> list[tuple[int, int]]:
    """The runs of removed blocks, as (first, behind the last), from the bottom up."""
    runs: list[tuple[int, int]] = []
    for index, stays in enumerate(keep):
        if stays:
            continue
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs


def uniform_keep(depth: int, kept: int) -> Keep:
    """Blocks at even distances, the first and the last among them (the first alone where one is kept)."""
    check_kept(kept, depth)
    places = {0} if kept == 1 else {round(i * (depth - 1) / (kept - 1)) for i in range(kept)}
    return tuple(i in places for i in range(depth))


def random_keep(depth: int, kept: int, rng: np.random.Generator) -> Keep:
    """Every mask of `kept` blocks equally likely."""
    check_kept(kept, depth)
    places = set(rng.choice(depth, kept, replace=False).tolist())
    return tuple(i in places for i in range(depth))


def without_run(depth: int, kept: int, first: int) -> Keep:
    """One run of depth - kept neighbours removed, which begins at block `first`."""
    check_kept(kept, depth)
    if not 0 <= first <= kept:
        raise InputError(f"a run of {depth - kept} of {depth} blocks begins at 0 to {kept}, got {first}")
    return tuple(not first <= i < first + depth - kept for i in range(depth))


def remove_run(keep: Sequence[bool], first: int, count: int) -> Keep:
    """`count` more blocks removed, kept ones from `first` up and, where the top is reached, from `first` down.

    Where blocks from `first` on are removed already the run joins theirs. InputError unless one block stays.
    """
    left = sum(map(bool, keep)) - count
    if count < 0 or left < 1:
        raise InputError(f"{count} of {sum(map(bool, keep))} kept blocks cannot be removed: one at least stays")
    found = [bool(each) for each in keep]
    order = [*range(first, len(found)), *range(first - 1, -1, -1)]
    for index in [i for i in order if found[i]][:count]:
        found[index] = False
    return tuple(found)


def restore_run(keep: Sequence[bool], first: int, count: int) -> Keep:
    """`count` removed blocks put back, from `first` up and then from `first` down; InputError where there are fewer."""
    turned = [not each for each in keep]
    if count < 0 or sum(turned) < count:
        raise InputError(f"{count} blocks cannot be put back: {sum(turned)} are removed")
    order = [*range(first, len(turned)), *range(first - 1, -1, -1)]
    for index in [i for i in order if turned[i]][:count]:
        turned[index] = False
    return tuple(not each for each in turned)


def slide(keep: Sequence[bool], rng: np.random.Generator) -> Keep:
    """A removed run goes up or down by one block or a few."""
    first, behind = _any_run(keep, rng)
    by = int(rng.integers(1, max(2, (behind - first) + 1))) * (1 if rng.random() < 0.5 else -1)
    return _resettled(keep, first, behind, int(np.clip(first + by, 0, len(keep) - (behind - first))))


def resettle(keep: Sequence[bool], rng: np.random.Generator) -> Keep:
    """A removed run goes anywhere."""
    first, behind = _any_run(keep, rng)
    return _resettled(keep, first, behind, int(rng.integers(0, len(keep) - (behind - first) + 1)))


def split(keep: Sequence[bool], rng: np.random.Generator) -> Keep:
    """A removed run of two or more becomes two: its upper part goes anywhere. A run of one goes anywhere."""
    first, behind = _any_run(keep, rng)
    if behind - first < 2:
        return resettle(keep, rng)
    cut = int(rng.integers(first + 1, behind))
    return _resettled(keep, cut, behind, int(rng.integers(0, len(keep) - (behind - cut) + 1)))


def swap(keep: Sequence[bool], rng: np.random.Generator) -> Keep:
    """One removed block is put back, one kept block is removed."""
    found = [bool(each) for each in keep]
    back = int(rng.choice([i for i, stays in enumerate(found) if not stays]))
    out = int(rng.choice([i for i, stays in enumerate(found) if stays]))
    found[back], found[out] = True, False
    return tuple(found)


def moved(keep: Sequence[bool], rng: np.random.Generator) -> Keep:
    """A neighbour with as many blocks kept, by one of `MOVES`; the mask itself where it removes nothing."""
    if all(keep):
        return tuple(map(bool, keep))
    operator = {"slide": slide, "split": split, "resettle": resettle, "swap": swap}[str(rng.choice(MOVES))]
    return operator(keep, rng)


def resized(keep: Sequence[bool], rng: np.random.Generator, most: int = 3) -> Keep:
    """A neighbour of another number of kept blocks: a run of 1 to `most` is removed, or put back."""
    kept, depth = sum(map(bool, keep)), len(keep)
    first = int(rng.integers(depth))
    can_shrink, can_grow = kept > 1, kept < depth
    if not can_shrink and not can_grow:
        return tuple(map(bool, keep))
    if can_shrink and (not can_grow or rng.random() < 0.5):
        return remove_run(keep, first, int(rng.integers(1, min(most, kept - 1) + 1)))
    return restore_run(keep, first, int(rng.integers(1, min(most, depth - kept) + 1)))


def crossed(one: Sequence[bool], other: Sequence[bool], rng: np.random.Generator) -> Keep:
    """A child that has from its parents what they agree on, and of the rest as many blocks as brings it to as many kept
    blocks as the first parent has."""
    if len(one) != len(other):
        raise InputError(f"masks of {len(one)} and {len(other)} blocks cannot be crossed: expected one length")
    kept = sum(map(bool, one))
    sure = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a and b]
    open_ = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if bool(a) != bool(b)]
    places = {*sure, *rng.permutation(open_)[: kept - len(sure)].tolist()}
    return tuple(i in places for i in range(len(one)))


def _any_run(keep: Sequence[bool], rng: np.random.Generator) -> tuple[int, int]:
    runs = removed_runs(keep)
    if not runs:
        raise InputError("nothing is removed from this mask: there is no run to move")
    return runs[int(rng.integers(len(runs)))]


def _resettled(keep: Sequence[bool], first: int, behind: int, to: int) -> Keep:
    back = tuple(True if first <= i < behind else bool(stays) for i, stays in enumerate(keep))
    return remove_run(back, to, behind - first)
