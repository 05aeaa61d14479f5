"""Batches of augmented, voxelised scans; which scans a step has, and what befalls them, follows from (seed, step)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from coevo.errors import InputError
from coevo.spaces.spvnas.data.augment import augment
from coevo.spaces.spvnas.data.scan import Scan, ScanSource
from coevo.spaces.spvnas.data.voxels import VoxelSample, collate, voxelize_scan
from coevo.spaces.spvnas.training.recipe import Recipe


class Batches:
    """The batches of one process.

    Args:
        source: the scans; every one must have labels.
        recipe: batch, seed, voxels and augmentations.
        numbers: which of the source's scans train; all where it is None.
        rank, world: this process among those that train together; they share the scans of an epoch.
        threads: that make batches ahead of the device; 0 makes each when it is asked for.

    Raises:
        InputError: there is no scan.
    """

    def __init__(
        self, source: ScanSource, recipe: Recipe, numbers: Sequence[int] | None = None, *, rank: int = 0,
        world: int = 1, threads: int = 0,
    ) -> None:  # fmt: skip
        self.source, self.recipe, self.rank, self.world, self.threads = source, recipe, rank, world, threads
        self.numbers = list(range(len(source)) if numbers is None else numbers)
        if not self.numbers:
            raise InputError("training needs at least one scan, the source has none")
        self._orders: dict[int, list[int]] = {}

    @property
    def scans(self) -> int:
        """Of an update, of all processes."""
        return self.recipe.batch * self.world

    def chosen(self, step: int) -> list[int]:
        """The numbers of this process's scans in a step: every epoch has each scan once, in an order of its own."""
        first = step * self.scans + self.rank * self.recipe.batch
        return [self._at(place) for place in range(first, first + self.recipe.batch)]

    def at(self, step: int) -> VoxelSample:
        """This process's batch of a step."""
        samples = []
        for slot, number in enumerate(self.chosen(step)):
            rng = np.random.Generator(np.random.Philox([self.recipe.seed, step * self.scans + self._slot(slot)]))
            other: Scan | None = None
            if self.recipe.augmentation.polar_mix > 0:
                other = self._scan(self.numbers[int(rng.integers(len(self.numbers)))])
            scan = augment(self._scan(number), self.recipe.augmentation, rng, other)
            kept = int(rng.integers(2**63))
            samples.append(voxelize_scan(scan, self.recipe.voxel_m, self.recipe.most_voxels, kept))
        return collate(samples)

    def stream(self, begin: int, end: int) -> Iterator[VoxelSample]:
        """The batches of steps begin .. end - 1, made ahead by threads."""
        if not self.threads:
            yield from map(self.at, range(begin, end))
            return
        with ThreadPoolExecutor(self.threads) as pool:
            ahead: deque[Future[VoxelSample]] = deque()
            try:
                for step in range(begin, end):
                    while len(ahead) < 2 * self.threads and step + len(ahead) < end:
                        ahead.append(pool.submit(self.at, step + len(ahead)))
                    yield ahead.popleft().result()
            finally:
                for each in ahead:
                    each.cancel()

    def _at(self, place: int) -> int:
        epoch, position = divmod(place, len(self.numbers))
        if epoch not in self._orders:
            rng = np.random.Generator(np.random.Philox([self.recipe.seed, 1 << 62 | epoch]))
            self._orders = {
                **{key: value for key, value in self._orders.items() if key >= epoch - 8},
                epoch: [self.numbers[each] for each in rng.permutation(len(self.numbers))],
            }
        return self._orders[epoch][position]

    def _slot(self, slot: int) -> int:
        return self.rank * self.recipe.batch + slot

    def _scan(self, number: int) -> Scan:
        scan = self.source[number]
        if scan.labels is None:
            raise InputError(f"scan {scan.name} has no labels: it cannot train")
        return scan


_MAKING = threading.Lock()
"""Held while a scan is made: a generator is no place for two threads."""


class Kept:
    """A source whose scans are kept in memory once they were read or made (3.5 MB each for an HDL-64E's)."""

    def __init__(self, source: ScanSource) -> None:
        self._source = source
        self._scans: dict[int, Scan] = {}

    @property
    def source(self) -> str:
        return self._source.source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, number: int) -> Scan:
        with _MAKING:
            if number not in self._scans:
                self._scans[number] = self._source[number]
            return self._scans[number]
