"""Subnets of a size that changes over the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError, unknown_name
from coevo.supernets.sampling.sampler import Choices, Gene
from coevo.supernets.sampling.stages import Stages

Direction = Literal["top_down", "bottom_up"]
Reach = Literal["expand", "same"]
Edges = Literal["interval", "population"]
Genes = NDArray[np.int64]
Sizes = Callable[[Genes], NDArray[np.integer[Any]]]
"""Numbers of gates [genes] of genes [genes, positions]."""

_BATCH = 16  # genes drawn at once: with four equally frequent chunks one of them nearly always fits


class GateCountSampler(Choices):
    """Plain draws, of which only those whose size lies in the stage's chunk are taken (the artifact's `progressive`).

    Sizes from the smallest subnet's to the largest's are cut into chunks, which the stages walk through, again and
    again where there are more stages than chunks. At most `attempts` genes are drawn a step; where none of them fits,
    the one nearest to the chunk is taken (the first of equals), so a chunk that is rare or empty costs time and
    exactness, never an endless loop.

    Args:
        choices: from the smallest subnet to the largest.
        sizes: the numbers of gates [genes] of genes [genes, positions]; the largest gene's may not be below the
            smallest one's.
        stages: how many chunks there are, and how many stages they fill.
        direction: "top_down" starts with the largest chunk, "bottom_up" with the smallest.
        reach: "same" takes one chunk at a time, both edges included; "expand" also all that came before it.
        edges: "interval" cuts chunks of equal length. Sizes far from the mean are then rare among the draws, and many
            steps take the nearest. "population" cuts at quantiles of `edge_draws` genes, so that chunks are equally
            frequent, up to ties.
        attempts: most draws of a step.
        edge_draws: genes drawn to estimate the quantiles, by a generator of their own with the seed `edge_seed`; the
            edges follow from the arguments alone.

    Raises InputError for counts below 1, and UnknownName for a direction, reach or edges that nobody offers.
    """

    def __init__(
        self,
        choices: Sequence[Sequence[int]],
        sizes: Sizes,
        stages: Stages | None = None,
        *,
        direction: Direction = "top_down",
        reach: Reach = "same",
        edges: Edges = "population",
        attempts: int = 200,
        edge_draws: int = 2000,
        edge_seed: int = 0,
    ):
        super().__init__(choices)
        for name, given, offered in (
            ("direction", direction, Direction),
            ("reach", reach, Reach),
            ("edges", edges, Edges),
        ):
            if given not in get_args(offered):
                raise unknown_name(name, given, get_args(offered), "the gate count sampler")
        for name, count in (("attempts", attempts), ("edge_draws", edge_draws)):
            if count < 1:
                raise InputError(f"{name}: expected at least 1, got {count}")
        self.sizes = sizes
        self._counts = np.array([len(options) for options in self.choices])
        self._table = np.zeros((len(self.choices), int(self._counts.max())), dtype=np.int64)
        for position, options in enumerate(self.choices):
            self._table[position, : len(options)] = options
        self.stages = stages or Stages()
        self.direction, self.reach, self.attempts = direction, reach, attempts
        self.edges = self._edges(edges, edge_draws, edge_seed)

    def chunk(self, progress: float) -> tuple[int, int]:
        """Smallest and largest size that are taken at this point of the training."""
        place = self.stages.in_turn(progress)
        if self.direction == "bottom_up":
            lowest, highest = self.edges[place], self.edges[place + 1]
            return (self.edges[0] if self.reach == "expand" else lowest), highest
        lowest, highest = self.edges[-place - 2], self.edges[-place - 1]
        return lowest, (self.edges[-1] if self.reach == "expand" else highest)

    def draw(self, rng: np.random.Generator, previous: Gene, progress: float) -> Gene:
        lowest, highest = self.chunk(progress)
        nearest, least = previous, None
        for first in range(0, self.attempts, _BATCH):
            genes = self._plain(rng, min(_BATCH, self.attempts - first))
            sizes = self.sizes(genes)
            away = np.maximum(np.maximum(lowest - sizes, sizes - highest), 0)
            place = int(away.argmin())  # the first of equals
            if least is None or away[place] < least:
                nearest, least = tuple(genes[place].tolist()), int(away[place])
            if not least:
                break
        return nearest

    def _plain(self, rng: np.random.Generator, count: int) -> Genes:
        """Genes [count, positions], every position uniform."""
        places = (rng.random((count, len(self.choices))) * self._counts).astype(np.int64)
        genes: Genes = self._table[np.arange(len(self.choices)), places]
        return genes

    def _edges(self, edges: Edges, draws: int, seed: int) -> tuple[int, ...]:
        smallest, largest = self.sizes(np.array([[options[0] for options in self.choices], self.first()])).tolist()
        if smallest > largest:
            raise InputError(
                f"the gene of all first choices has {smallest} gates and that of all last ones {largest}; "
                "expected choices from the smallest subnet to the largest"
            )
        count = self.stages.chunks + 1
        if edges == "interval":
            return tuple(np.linspace(smallest, largest, count).astype(int).tolist())
        sizes = np.sort(self.sizes(self._plain(np.random.default_rng(seed), draws)))
        inner = sizes[np.linspace(0, draws - 1, count).astype(int)[1:-1]].tolist()
        return (smallest, *inner, largest)
