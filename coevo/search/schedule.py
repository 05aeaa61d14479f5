"""Who may know what, and when: the bookkeeping that makes a parallel search reproducible.

`ask(i)` sees the outcomes below `horizon(i)`. A batch is a fixed range of indices. The cache shows a batch what was
told before the horizon of its first index, never what happened to be finished. So designs and batches depend on the
configuration alone, not on the number of workers or on who was quicker.
"""

from __future__ import annotations

from collections.abc import Iterator

from coevo.errors import ConfigError
from coevo.search.algorithms import Algorithm
from coevo.search.evaluator import Candidate, Evaluator
from coevo.search.trial import Trial


class Schedule:
    """Counts what was asked and told, and holds outcomes back until their moment."""

    def __init__(self, algorithm: Algorithm, evaluator: Evaluator, lag: int):
        self._algorithm = algorithm
        self._evaluator = evaluator
        self.lag = lag
        self.batch = evaluator.batch
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 1:
            raise ConfigError(f"evaluator {evaluator.label}: batch must be at least 1, got {self.batch!r}")
        self._caches = type(evaluator).cache_key is not Evaluator.cache_key
        far = 10_000 * self.batch
        if self._horizon(far + self.batch - 1) > far:
            raise ConfigError(
                f"evaluator {evaluator.label} takes batches of {self.batch}, but with a lag of {lag} a design may be "
                f"asked before at most {lag} outcomes are missing: set lag to at least {self.batch - 1}"
            )
        self.asked = 0
        self.told_prefix = 0  # every trial below it was told
        self._ahead: set[int] = set()
        self._held: dict[int, Trial] = {}  # told, but not yet due to the algorithm
        self._fed = 0
        self._cache: dict[str, Trial] = {}
        self._cache_held: dict[int, tuple[str, Trial]] = {}
        self._cache_fed = 0
        self._keys: dict[int, str | None] = {}

    def _horizon(self, index: int) -> int:
        """What must be told before `index` may be asked."""
        known = self._algorithm.horizon(index)
        return max(known, index - self.lag) if self._caches else known

    def may_ask(self, end: int) -> bool:
        """May all designs below `end` be asked now?"""
        return self._horizon(end - 1) <= self.told_prefix

    def batch_end(self, trials: int | None) -> int:
        """Where the batch that begins at the next index ends."""
        end = (self.asked // self.batch + 1) * self.batch
        return end if trials is None else min(end, max(trials, self.asked + 1))

    def completed(self, trial: Trial, cache_key: str | None) -> None:
        """Takes note of a told trial."""
        index = trial.index
        if self._algorithm.learns:
            self._held[index] = trial
        if cache_key is not None and trial.cached_from is None and not trial.how:
            self._cache_held[index] = (cache_key, trial)
        self._keys.pop(index, None)
        self._ahead.add(index)
        while self.told_prefix in self._ahead:
            self._ahead.remove(self.told_prefix)
            self.told_prefix += 1

    def due(self, index: int) -> Iterator[Trial]:
        """The trials that `ask(index)` sees and that were not handed to the algorithm before, in order."""
        horizon = self._algorithm.horizon(index)
        while self._fed < horizon and self._fed in self._held:
            yield self._held.pop(self._fed)
            self._fed += 1

    def cache_key(self, candidate: Candidate) -> str | None:
        """The evaluator's cache key of a candidate, or None where every design stands for itself."""
        if not self._caches:
            return None
        if candidate.index not in self._keys:
            self._keys[candidate.index] = self._evaluator.cache_key(candidate.value)
        return self._keys[candidate.index]

    def cached(self, key: str, first: int) -> Trial | None:
        """The trial whose outcome a batch that begins at `first` may take over."""
        horizon = self._horizon(first)
        while self._cache_fed < horizon:
            held = self._cache_held.pop(self._cache_fed, None)
            if held is not None:
                self._cache.setdefault(*held)
            self._cache_fed += 1
        return self._cache.get(key)

    def warnings(self, workers: int) -> list[str]:
        """What the user should know about lag, batch and workers."""
        if not self._algorithm.learns or workers * self.batch <= self.lag + 1:
            return []
        busy = max((self.lag + 1) // self.batch, 1)
        return [
            f"{workers} workers x batches of {self.batch} exceed lag + 1 = {self.lag + 1}: at most {busy} of the "
            f"workers have work at any time. Set lag to at least {workers * self.batch - 1}, better twice that, for "
            "all of them"
        ]
