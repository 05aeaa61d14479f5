"""What a sampler is, and the plainest one.

A subnet is a gene: one integer a position, each from that position's choices. Choices are widths, numbers of blocks, or
bit masks of a layer's gates; they are listed from the smallest subnet to the largest, which is what the staged samplers
mean by large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from coevo.errors import InputError

Gene = tuple[int, ...]


class Sampler(Protocol):
    """`progress` runs from 0 to below 1 over the training. The next gene follows from the generator, the gene before
    and the progress alone."""

    def first(self) -> Gene:
        """What the first draw starts from: the largest subnet."""
        ...

    def draw(self, rng: np.random.Generator, previous: Gene, progress: float) -> Gene: ...


class Choices:
    """The choices of every position, from the smallest subnet to the largest."""

    def __init__(self, choices: Sequence[Sequence[int]]):
        if not choices:
            raise InputError("a gene needs at least one position")
        for position, options in enumerate(choices):
            if not len(options) or len(set(options)) != len(options):
                raise InputError(f"position {position}: expected distinct choices, got {list(options)}")
            if any(int(option) != option for option in options):
                raise InputError(f"position {position}: expected integers, got {list(options)}")
        self.choices = tuple(tuple(int(option) for option in options) for options in choices)

    def first(self) -> Gene:
        """The largest subnet."""
        return tuple(options[-1] for options in self.choices)


class PlainSampler(Choices):
    """Every position uniform and independent of the others and of the gene before (the artifact's `plain`)."""

    def draw(self, rng: np.random.Generator, previous: Gene, progress: float) -> Gene:
        return tuple(
            one(options, share) for options, share in zip(self.choices, rng.random(len(self.choices)), strict=True)
        )


def subsets(count: int) -> tuple[int, ...]:
    """Every non-empty subset of `count` gates as a bit mask (gate k is bit k), those of fewer gates first.

    Raises InputError for a count outside 1 to 16: a layer of more has too many subsets to list.
    """
    if not 1 <= count <= 16:
        raise InputError(f"expected 1 to 16 gates in a layer, got {count}")
    return tuple(sorted(range(1, 1 << count), key=lambda mask: (mask.bit_count(), mask)))


def one(options: Sequence[int], share: float) -> int:
    """The option at a share of 0 to below 1 of the list."""
    return options[int(share * len(options))]
