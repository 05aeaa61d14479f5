"""Samplers that change a few positions of the gene before, so that neighbouring steps train alike subnets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coevo.errors import InputError
from coevo.supernets.sampling.sampler import Choices, Gene, one
from coevo.supernets.sampling.stages import Stages


class RestrictedSampler(Choices):
    """The gene before with `changes` random positions drawn anew (the artifact's `limit_diff`)."""

    def __init__(self, choices: Sequence[Sequence[int]], changes: int = 7):
        super().__init__(choices)
        if changes < 1:
            raise InputError(f"changes: expected at least 1, got {changes}")
        self.changes = min(changes, len(self.choices))

    def draw(self, rng: np.random.Generator, previous: Gene, progress: float) -> Gene:
        gene = list(previous)
        shares = rng.random(self.changes)
        for position, share in zip(rng.permutation(len(gene))[: self.changes], shares, strict=True):
            gene[position] = one(self.offered(int(position), progress), share)
        return tuple(gene)

    def offered(self, position: int, progress: float) -> tuple[int, ...]:
        """The choices of a position at this point of the training."""
        return self.choices[position]


class ShrinkingSampler(RestrictedSampler):
    """Restricted, and the depth opens from the deepest subnets to the shallow ones: progressive shrinking (the
    artifact's `ldiff_blkexpand`). Depths that are open stay open."""

    def __init__(self, choices: Sequence[Sequence[int]], depth: int, changes: int = 7, stages: Stages | None = None):
        super().__init__(choices, changes)
        if not -len(self.choices) <= depth < len(self.choices):
            raise InputError(f"depth: expected a position of the gene (0 to {len(self.choices) - 1}), got {depth}")
        self.depth = depth % len(self.choices)
        self.stages = stages or Stages()

    def offered(self, position: int, progress: float) -> tuple[int, ...]:
        options = self.choices[position]
        if position != self.depth:
            return options
        return options[self.stages.lowest(len(options), self.stages.reached(progress)) :]


class ExpandingSampler(RestrictedSampler):
    """Restricted, and every position opens from its largest choice to the small ones, again and again where there are
    more stages than chunks (the artifact's `limit_diff_expanding`). A position keeps what it has until it is drawn."""

    def __init__(self, choices: Sequence[Sequence[int]], changes: int = 7, stages: Stages | None = None):
        super().__init__(choices, changes)
        self.stages = stages or Stages()

    def offered(self, position: int, progress: float) -> tuple[int, ...]:
        options = self.choices[position]
        return options[self.stages.lowest(len(options), self.stages.in_turn(progress)) :]
