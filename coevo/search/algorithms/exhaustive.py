"""Exhaustive search: every valid design once, in the order of the options."""

from __future__ import annotations

from collections.abc import Container

from coevo.errors import InputError, SpaceError
from coevo.search.algorithms.base import Algorithm, Exhausted
from coevo.search.design import Design
from coevo.search.objectives import Goals
from coevo.search.space import Space


class Exhaustive(Algorithm):
    """Walks the space depth first; refuses spaces with real numbers."""

    name = "exhaustive"
    learns = False

    def bind(self, space: Space, goals: Goals, seed: int, lag: int, seen: Container[bytes]) -> None:
        super().bind(space, goals, seed, lag, seen)
        try:
            next(space.enumerate(valid_only=False))
        except SpaceError as problem:
            raise InputError(f"algorithm 'exhaustive': {problem}; use 'nsga2' or 'random'") from None
        self.walk_limit = 10**18  # type: ignore[misc]  # the user asked for all of it

    def ask(self, i: int) -> Design | Exhausted:
        return self.next_of_walk()
