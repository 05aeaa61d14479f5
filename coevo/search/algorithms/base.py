"""The contract of a search algorithm, and what all of them share: never asking the same design twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from coevo.errors import ConfigError, InfeasibleSpace, SpaceError
from coevo.search.canonical import Stream, stream
from coevo.search.design import Design
from coevo.search.objectives import Goals
from coevo.search.space import Grown, Space
from coevo.search.trial import Trial


@dataclass(frozen=True, slots=True)
class Exhausted:
    """`ask` found no design that was not asked before."""

    reason: str


class Algorithm:
    """Proposes designs and learns from trials.

    `ask(i)` is a pure function of (configuration, seed, i, the trials told before it, the designs asked before it).
    The study tells trials in the order of their indices, and before `ask(i)` exactly those below `horizon(i)`; so the
    same study gives the same designs whatever the number of workers. A subclass keeps its settings as attributes named
    like its constructor's parameters, and keeps no random state.
    """

    name: ClassVar[str] = ""
    learns: ClassVar[bool] = True  # False: `tell` is never called, and `ask` waits for nothing
    barrier: ClassVar[bool] = False  # True: `horizon` is the start of a generation, whatever the lag
    attempts: ClassVar[int] = 24
    walk_limit: ClassVar[int] = 200_000

    space: Space
    goals: Goals
    seed: int
    lag: int
    seen: Container[bytes]

    def bind(self, space: Space, goals: Goals, seed: int, lag: int, seen: Container[bytes]) -> None:
        """Called once by the study, before anything else. `seen` holds the digests of all designs asked so far."""
        if hasattr(self, "space"):
            raise ConfigError(f"this {type(self).__name__} already serves a study; give every study one of its own")
        self.space, self.goals, self.seed, self.lag, self.seen = space, goals, seed, lag, seen
        self._walk: Iterator[Grown] | None = None
        self._walked = 0
        self._found_any = False

    def settings(self) -> dict[str, Any]:
        """The constructor's parameters, as run.toml records them."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def horizon(self, i: int) -> int:
        """`ask(i)` sees the outcomes 0..horizon(i)-1."""
        return max(0, i - self.lag) if self.learns else 0

    @property
    def period(self) -> int:
        """horizon(i + period) is horizon(i) + period, from some i on: the size of a generation where there is one."""
        return 1

    def ask(self, i: int) -> Design | Exhausted:
        raise NotImplementedError

    def tell(self, trial: Trial) -> None:
        """Learn from a trial; failed ones have no score."""

    def fresh(self, i: int, propose: Callable[[Stream], Design | None]) -> Design | Exhausted:
        """A design that was not asked before: from `propose`, else a random one, else the next of the enumeration."""
        for attempt in range(self.attempts):
            design = propose(stream(self.seed, "ask", i, attempt))
            if design is not None and design.digest not in self.seen:
                self._found_any = True
                return design
        return self.unseen(i)

    def unseen(self, i: int) -> Design | Exhausted:
        """A random design that was not asked before; where chance finds none, the next of the enumeration."""
        for attempt in range(self.attempts):
            try:
                design = self.space.sample(stream(self.seed, "sample", i, attempt))
            except InfeasibleSpace:
                if not self._found_any and i == 0:
                    raise
                break  # valid designs are so rare that only the enumeration can tell whether any is left
            self._found_any = True
            if design.digest not in self.seen:
                return design
        return self.next_of_walk()

    def next_of_walk(self) -> Design | Exhausted:
        """The first design of the enumeration that was not asked before. What was asked stays asked, so the walk
        never goes back; it is no state of the search, only a bookmark."""
        try:
            if self._walk is None:
                self._walk = self.space.enumerate(valid_only=False)
            for grown in self._walk:
                self._walked += 1
                if grown.refusal is None and grown.design.digest not in self.seen:
                    return grown.design
                if self._walked >= self.walk_limit:
                    return Exhausted(f"no new design within {self.walk_limit:,} steps of the enumeration")
        except SpaceError:
            return Exhausted(f"chance found no new design in {2 * self.attempts} attempts")
        return Exhausted("every design of the space was asked")


def positive(name: str, number: Any, least: int = 1) -> int:
    """A whole number of at least `least`, or a ConfigError that names the option."""
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ConfigError(f"{name}: expected a whole number of at least {least}, got {number!r}")
    return number
