"""The ladder: who goes on from one stage to the next, decided from recorded outcomes alone.

Design i goes on from a stage if it is among the top share of that stage's outcomes in a window that ends at i: the
latest `window` designs that reached the stage, in the order of their indices. So the decision does not depend on who
finished first, and it never waits for a later design. Ranks are those of NSGA-II: fronts, then crowding. In throughput
mode the window holds the latest arrivals instead, and the decision is made at once.
"""

from __future__ import annotations

import math
from collections import deque

from coevo.search import ranking
from coevo.search.objectives import Score

WINDOW = 32


class Gate:
    """Decides for one stage, in the order of the indices; or, where that is waived, in the order of arrival."""

    def __init__(self, share: float, window: int = WINDOW, in_order: bool = True):
        self.share = share
        self.in_order = in_order
        self.turn = 0  # every index below it is decided
        self._waiting: dict[int, Score | None] = {}
        self._window: deque[Score] = deque(maxlen=window)

    def settle(self, index: int, score: Score | None) -> list[tuple[int, bool]]:
        """Takes the outcome of one index at this stage, None where it failed or never came here; gives the decisions
        that this makes possible: (index, does it go on?)."""
        if not self.in_order:
            if score is None:
                return []
            self._window.append(score)
            return [(index, self._newest_goes_on())]
        self._waiting[index] = score
        decisions = []
        while self.turn in self._waiting:
            newest = self._waiting.pop(self.turn)
            if newest is not None:
                self._window.append(newest)
                decisions.append((self.turn, self._newest_goes_on()))
            self.turn += 1
        return decisions

    def _newest_goes_on(self) -> bool:
        n = len(self._window)
        kept, _ = ranking.survivors(list(self._window), math.ceil(self.share * n))
        return n - 1 in kept


class Ladder:
    """The gates between the stages, and the batches that wait behind them.

    A batch of a later stage is a fixed range of indices, those of it that came so far; it is ready when all of the
    range is decided. Without `in_order` (throughput mode) it is whatever came first, ready when it is full.
    """

    def __init__(self, shares: list[float], batches: list[int], window: int = WINDOW, in_order: bool = True):
        self.in_order = in_order
        self._gates = [Gate(share, window, in_order) for share in shares[:-1]]
        self._batches = batches
        self._promoted: list[dict[int, list[int]]] = [{} for _ in batches]

    @property
    def last(self) -> int:
        """The number of the last stage."""
        return len(self._batches) - 1

    def settle(self, index: int, stage: int, score: Score | None) -> tuple[list[int], list[tuple[int, int]]]:
        """Takes an outcome at a stage: gives (indices that end at their stage, (index, next stage) of those that go
        on). An outcome that failed, or that is the last stage's, is no question for a gate; its end is the caller's."""
        ended: list[int] = []
        promoted: list[tuple[int, int]] = []
        todo = [(index, stage, score)]
        while todo:
            index, stage, score = todo.pop(0)
            if stage == self.last:
                continue
            if score is None:  # it reaches no later gate
                todo += [(index, stage + 1, None)]
            for decided, goes_on in self._gates[stage].settle(index, score):
                if goes_on:
                    promoted.append((decided, stage + 1))
                    group = decided - decided % self._batches[stage + 1] if self.in_order else 0
                    self._promoted[stage + 1].setdefault(group, []).append(decided)
                else:
                    ended.append(decided)
                    todo.append((decided, stage + 1, None))
        return ended, promoted

    def holds(self, index: int, stage: int) -> bool:
        """Does a design that came to this stage still wait for its batch?"""
        if stage == 0:
            return False
        group = index - index % self._batches[stage] if self.in_order else 0
        return index in self._promoted[stage].get(group, ())

    def ready(self, asked: int, no_more: bool) -> list[tuple[int, list[int]]]:
        """(stage, indices) of the batches whose range is decided, the deepest first; each is given once. `no_more`
        says that nothing beyond `asked` will come for now."""
        if not self.in_order:
            return self._full(no_more)
        found = []
        for stage in range(self.last, 0, -1):
            turn = self._gates[stage - 1].turn
            for first in sorted(self._promoted[stage]):
                end = first + self._batches[stage]
                if turn >= (min(end, asked) if no_more else end):
                    found.append((stage, sorted(self._promoted[stage].pop(first))))
        return found

    def _full(self, no_more: bool) -> list[tuple[int, list[int]]]:
        found = []
        for stage in range(self.last, 0, -1):
            waiting = self._promoted[stage].get(0, [])
            size = self._batches[stage]
            while len(waiting) >= size or (waiting and no_more):
                found.append((stage, waiting[:size]))
                del waiting[:size]
        return found
