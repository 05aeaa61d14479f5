"""Random search: the control that every other algorithm has to beat."""

from __future__ import annotations

from coevo.search.algorithms.base import Algorithm, Exhausted
from coevo.search.design import Design


class RandomSearch(Algorithm):
    """Draws every design anew, each choice uniform, no design twice."""

    name = "random"
    learns = False

    def ask(self, i: int) -> Design | Exhausted:
        return self.unseen(i)
