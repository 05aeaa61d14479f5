"""Outcomes that a later design may take over, shown by index and not by who was quicker."""

from __future__ import annotations

from coevo.search.evaluator import Candidate, Evaluator
from coevo.search.trial import Trial


class OutcomeCache:
    """The cache of one stage's evaluator. Where the evaluator has no `cache_key`, every design stands for itself."""

    def __init__(self, evaluator: Evaluator):
        self._evaluator = evaluator
        self.in_use = type(evaluator).cache_key is not Evaluator.cache_key
        self._shown: dict[str, Trial] = {}
        self._held: dict[int, tuple[str, Trial]] = {}
        self._fed = 0
        self._keys: dict[int, str | None] = {}

    def key(self, candidate: Candidate) -> str | None:
        """The evaluator's cache key of a candidate, or None."""
        if not self.in_use:
            return None
        if candidate.index not in self._keys:
            self._keys[candidate.index] = self._evaluator.cache_key(candidate.value)
        return self._keys[candidate.index]

    def hold(self, trial: Trial, key: str | None) -> None:
        """Takes an outcome in. Retried values, losses, timeouts and what came from here are never passed on."""
        self._keys.pop(trial.index, None)
        if key is not None and trial.cached_from is None and not trial.how:
            self._held[trial.index] = (key, trial)

    def get(self, key: str, horizon: int) -> Trial | None:
        """The first trial of this key below the horizon. Horizons never fall."""
        for index in sorted(index for index in self._held if index < horizon):
            self._shown.setdefault(*self._held.pop(index))
        return self._shown.get(key)
