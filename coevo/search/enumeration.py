"""Walking all designs of a space, and counting them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coevo.errors import SpaceError
from coevo.search.canonical import stream
from coevo.search.design import Origin
from coevo.search.questions import Question

if TYPE_CHECKING:
    from coevo.search.space import Grown, Space


class Walk:
    """Answers the i-th question with the i-th entry of a path, beyond it with the first answer; notes the sizes."""

    def __init__(self, path: list[int]):
        self.path, self.sizes, self.depth = path, [], 0  # type: tuple[list[int], list[int], int]

    def __call__(self, name: str, question: Question) -> Any:
        if question.size is None:
            raise SpaceError(f"the real number {name!r} has no end of values, so the space cannot be enumerated")
        if self.depth == len(self.path):
            self.path.append(0)
        self.sizes.append(question.size)
        self.depth += 1
        return question.nth(self.path[self.depth - 1])


def leaves(space: Space) -> Iterator[Grown]:
    """Every leaf of the space once, invalid ones included, depth first."""
    path: list[int] = []
    while True:
        walk = Walk(path)
        yield space.grow(walk, Origin("enumeration"))
        del path[walk.depth :]
        while path and path[-1] + 1 >= walk.sizes[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


@dataclass(frozen=True, slots=True)
class Count:
    """How many valid designs: `exact`, or an estimate with its 95 % interval. `valid_share` is of leaves (exact) or
    of random draws (estimate). `reals` counts the real-valued questions met; with any, `designs` is infinite."""

    designs: float
    low: float
    high: float
    exact: bool
    valid_share: float
    reals: int = 0

    def __str__(self) -> str:
        if self.reals:
            return f"no end of designs ({self.reals} real numbers)"
        if self.exact:
            return f"{int(self.designs):,} designs"
        return f"about {self.designs:.3g} designs (95 % interval {self.low:.3g} to {self.high:.3g})"


class _Dive:
    """A random descent; `weight` is one over its probability (Knuth 1975, on backtrack programs)."""

    def __init__(self, rng: Any):
        self.rng, self.weight, self.reals = rng, 1.0, 0

    def __call__(self, name: str, question: Question) -> Any:
        if question.size is None:
            self.reals += 1
        else:
            self.weight *= question.size
        return question.draw(self.rng)


def count(space: Space, bound: int, dives: int, seed: int) -> Count:
    """Exact where the space has at most `bound` leaves, else Knuth's estimate from `dives` random descents."""
    samples: list[float] = []
    valid = reals = 0
    for attempt in range(dives):
        dive = _Dive(stream(seed, "count", space.id, attempt))
        grown = space.grow(dive)
        ok = grown.refusal is None
        valid += ok
        reals = max(reals, dive.reals)
        samples.append(dive.weight if ok else 0.0)
    share = valid / dives
    if reals:
        return Count(math.inf, math.inf, math.inf, False, share, reals)
    mean = math.fsum(samples) / dives
    spread = 1.96 * math.sqrt(math.fsum((x - mean) ** 2 for x in samples) / max(dives - 1, 1) / dives)
    if max(mean, 1.0) <= 20 * bound:  # the estimate may be far off: try to walk the space all the same
        good = 0
        for total, grown in enumerate(leaves(space), start=1):
            good += grown.refusal is None
            if total > bound:
                break
        else:
            return Count(good, good, good, True, good / total)
        low = max(mean - spread, float(good))
        return Count(max(mean, low), low, max(mean + spread, low), False, share)
    return Count(mean, max(mean - spread, float(valid)), mean + spread, False, share)
