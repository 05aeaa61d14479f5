"""Which subnet a training step of a supernet uses.

A subnet is a gene: one integer a position, each from that position's ascending choices. A sampler draws the next gene
from the one before it and keeps nothing itself, so a training that stores its last gene resumes exactly. The three
are QuantumNAS's `plain`, `limit_diff` and `ldiff_blkexpand` (HPCA 2022, section 4, and its artifact).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from coevo.errors import InputError

Gene = tuple[int, ...]


class Sampler(Protocol):
    """`progress` runs from 0 to below 1 over the training."""

    def first(self) -> Gene:
        """What the first draw starts from: the largest subnet."""
        ...

    def draw(self, rng: np.random.Generator, previous: Gene, progress: float) -> Gene: ...


class _Choices:
    def __init__(self, choices: Sequence[Sequence[int]]):
        if not choices:
            raise InputError("a gene needs at least one position")
        for position, options in enumerate(choices):
            if not options or list(options) != sorted(set(options)):
                raise InputError(f"position {position}: expected ascending distinct choices, got {list(options)}")
        self.choices = tuple(tuple(int(option) for option in options) for options in choices)

    def first(self) -> Gene:
        return tuple(options[-1] for options in self.choices)


class PlainSampler(_Choices):
    """Every position uniform and independent of the others and of the gene before."""

    def draw(self, rng: np.random.Generator, previous: Gene, progress: float) -> Gene:
        return tuple(
            _one(options, share) for options, share in zip(self.choices, rng.random(len(self.choices)), strict=True)
        )


class RestrictedSampler(_Choices):
    """The gene before with `changes` random positions drawn anew, so that neighbouring steps train alike subnets."""

    def __init__(self, choices: Sequence[Sequence[int]], changes: int = 7):
        super().__init__(choices)
        if changes < 1:
            raise InputError(f"changes: expected at least 1, got {changes}")
        self.changes = min(changes, len(self.choices))

    def draw(self, rng: np.random.Generator, previous: Gene, progress: float) -> Gene:
        gene = list(previous)
        shares = rng.random(self.changes)
        for position, share in zip(rng.permutation(len(gene))[: self.changes], shares, strict=True):
            gene[position] = _one(self.offered(int(position), progress), share)
        return tuple(gene)

    def offered(self, position: int, progress: float) -> tuple[int, ...]:
        """The choices of a position at this point of the training."""
        return self.choices[position]


@dataclass(frozen=True)
class Stages:
    """How a position opens: its smaller choices join in `chunks` steps, all of them by `chunks / stages`."""

    chunks: int = 4
    stages: int = 4

    def lowest(self, choices: int, progress: float) -> int:
        """Index of the lowest choice that is open."""
        chunk = min(int(progress * self.stages), self.chunks - 1)
        return round((choices - 1) * (1 - (chunk + 1) / self.chunks))


class ShrinkingSampler(RestrictedSampler):
    """Restricted, and the depth opens from the deepest subnets to the shallow ones (progressive shrinking)."""

    def __init__(self, choices: Sequence[Sequence[int]], depth: int, changes: int = 7, stages: Stages | None = None):
        super().__init__(choices, changes)
        if not -len(self.choices) <= depth < len(self.choices):
            raise InputError(f"depth: expected a position of the gene (0 to {len(self.choices) - 1}), got {depth}")
        self.depth = depth % len(self.choices)
        self.stages = stages or Stages()

    def offered(self, position: int, progress: float) -> tuple[int, ...]:
        options = self.choices[position]
        return options[self.stages.lowest(len(options), progress) :] if position == self.depth else options


def _one(options: Sequence[int], share: float) -> int:
    return options[int(share * len(options))]
