"""Places for buffers in one piece of memory, so that those that are never needed at the same time share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT_BYTES = 512
"""As torch's own allocator aligns: kernels that were compiled for aligned pointers stay right."""


@dataclass(frozen=True)
class Life:
    """A buffer: its bytes, and the first and the last step that need it."""

    size_bytes: int
    first: int
    last: int


def places(lives: Sequence[Life]) -> tuple[list[int], int]:
    """Where each buffer begins, in bytes, and the bytes of all: no two buffers overlap that both live at some step.

    Each buffer goes to the lowest gap among those that live beside it. That is done in three orders (the largest first,
    the longest-lived first, by the first step), and the one that takes least is kept.
    """
    every = range(len(lives))
    orders = (
        sorted(every, key=lambda at: (-lives[at].size_bytes, lives[at].first)),
        sorted(every, key=lambda at: (lives[at].first - lives[at].last, -lives[at].size_bytes)),
        sorted(every, key=lambda at: (lives[at].first, -lives[at].last)),
    )
    return min((_placed(lives, order) for order in orders), key=lambda found: found[1])


def most_live_bytes(lives: Sequence[Life]) -> int:
    """The most bytes that live at one step: no placement takes less."""
    changes: dict[int, int] = {}
    for life in lives:
        size = _aligned(life.size_bytes)
        changes[life.first] = changes.get(life.first, 0) + size
        changes[life.last + 1] = changes.get(life.last + 1, 0) - size
    live = most = 0
    for step in sorted(changes):
        live += changes[step]
        most = max(most, live)
    return most


def _placed(lives: Sequence[Life], order: Sequence[int]) -> tuple[list[int], int]:
    begins = [0] * len(lives)
    done: list[tuple[int, int, Life]] = []  # begin, end, whose: by begin
    total = 0
    for at in order:
        life, size = lives[at], _aligned(lives[at].size_bytes)
        begin = 0
        for other_begin, other_end, other in done:
            if other.first <= life.last and life.first <= other.last:
                if other_begin - begin >= size:
                    break
                begin = max(begin, other_end)
        begins[at] = begin
        done.append((begin, begin + size, life))
        done.sort(key=lambda each: each[0])
        total = max(total, begin + size)
    return begins, total


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
