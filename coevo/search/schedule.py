"""Who may know what, and when: the bookkeeping that makes a parallel search reproducible.

`ask(i)` sees the outcomes below `horizon(i)`. A batch is a fixed range of indices. A cache shows a batch what was told
before the horizon of its first index, never what happened to be finished. So designs and batches depend on the
configuration alone, not on the number of workers or on who was quicker.

`Unordered` is throughput mode: an ask sees whatever was told by then. The order of the store's rows says what that was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from coevo.errors import ConfigError
from coevo.search.algorithms import Algorithm
from coevo.search.problem import Stage
from coevo.search.trial import Trial


class Schedule:
    """Counts what was asked and told, and holds outcomes back until their moment. `waits` says that batches may only
    be asked once everything `lag` designs before them is told, even where the algorithm would not mind: a cache that
    shows outcomes by index needs that."""

    def __init__(self, algorithm: Algorithm, stages: Sequence[Stage], lag: int, waits: bool):
        self._algorithm = algorithm
        self._waits = waits
        self.lag = lag
        self.batch = _batch(stages[0])
        batches = [_batch(stage) for stage in stages]
        # A later batch is ready when its whole range is decided, so the range and the first batch must fit in the lag.
        needs = self.batch - 1 + max((size - 1 for size in batches[1:]), default=0)
        far = 10_000 * self.batch
        if algorithm.barrier:
            self._refuse_straddling(stages, batches)
        if (waits and lag < needs) if algorithm.barrier else (self.horizon(far + needs) > far):
            raise ConfigError(
                f"batches of evaluators ({_said(stages)}) do not fit in a lag of {lag}: a design would wait for its "
                f"own outcome. Set lag to at least {needs}"
            )
        self.asked = 0
        self.told_prefix = 0  # every trial below it was told
        self._ahead: set[int] = set()
        self._held: dict[int, Trial] = {}  # told, but not yet due to the algorithm
        self._fed = 0

    def _refuse_straddling(self, stages: Sequence[Stage], batches: Sequence[int]) -> None:
        """A batch that begins in one generation and ends in the next would wait for its own outcome, and so would one
        of a later stage whose range ends there. Both are regular, so a whole period is looked at."""
        generation, whole = self._algorithm.period, math.lcm(*batches)
        far = 1_000 * whole * generation
        for stage, size in enumerate(batches):
            for first in range(far, far + math.lcm(whole, generation), size):
                end = first + size
                for before in reversed(batches[:stage]):  # whose batches must be complete up to there
                    end = -(-end // before) * before
                if self._algorithm.horizon(end - 1) > first:
                    raise ConfigError(
                        f"batches of evaluators ({_said(stages)}) do not fit in generations of {generation} of "
                        f"algorithm {self._algorithm.name!r}: a design would wait for its own outcome. Set population "
                        f"to a multiple of {whole}, for example {-(-generation // whole) * whole}"
                    )

    def horizon(self, index: int) -> int:
        """What must be told before `index` may be asked."""
        known = self._algorithm.horizon(index)
        return max(known, index - self.lag) if self._waits else known

    @property
    def why(self) -> str:
        """What an ask that came too early is told to do."""
        if self._algorithm.barrier and self._algorithm.horizon(self.asked) > self.told_prefix:
            return f"a generation of {self._algorithm.period}): tell it first"
        return f"lag {self.lag}): tell it first, or make the study with a larger lag"

    def shown(self, first: int) -> int:
        """The outcomes below this index are shown by caches to the batch that begins at `first`."""
        return self.horizon(first)

    def may_ask(self, end: int) -> bool:
        """May all designs below `end` be asked now?"""
        return self.horizon(end - 1) <= self.told_prefix

    def batch_end(self, trials: int | None) -> int:
        """Where the batch that begins at the next index ends."""
        end = (self.asked // self.batch + 1) * self.batch
        return end if trials is None else min(end, max(trials, self.asked + 1))

    def told(self, trial: Trial) -> None:
        """Takes note of a told trial."""
        if self._algorithm.learns:
            self._held[trial.index] = trial
        if trial.index != self.told_prefix:
            self._ahead.add(trial.index)
            return
        self.told_prefix += 1
        while self.told_prefix in self._ahead:
            self._ahead.remove(self.told_prefix)
            self.told_prefix += 1

    def due(self, index: int) -> list[Trial]:
        """The trials that `ask(index)` sees and that were not handed to the algorithm before, in order."""
        horizon = self._algorithm.horizon(index)
        found = []
        while self._fed < horizon and self._fed in self._held:
            found.append(self._held.pop(self._fed))
            self._fed += 1
        return found

    def warnings(self, workers: int) -> list[str]:
        """What the user should know about lag, batch and workers."""
        if self._algorithm.barrier and workers * self.batch > self._algorithm.period:
            generation = self._algorithm.period
            return [
                f"{workers} workers x batches of {self.batch} exceed a generation of {generation} of algorithm "
                f"{self._algorithm.name!r}: at most {max(generation // self.batch, 1)} of the workers have work at any "
                f"time. Set population to at least {workers * self.batch} for all of them"
            ]
        bound = self._waits or (self._algorithm.learns and not self._algorithm.barrier)
        if not bound or workers * self.batch <= self.lag + 1:
            return []
        busy = max((self.lag + 1) // self.batch, 1)
        return [
            f"{workers} workers x batches of {self.batch} exceed lag + 1 = {self.lag + 1}: at most {busy} of the "
            f"workers have work at any time. Set lag to at least {workers * self.batch - 1}, better twice that, for "
            "all of them"
        ]


class Unordered(Schedule):
    """Throughput mode: nobody waits for an outcome, and an ask sees all that was told before it, in that order."""

    def __init__(self, algorithm: Algorithm, stages: Sequence[Stage], lag: int):
        if algorithm.barrier:
            raise ConfigError(
                f"algorithm {algorithm.name!r} learns a generation at a time, so throughput mode would change nothing "
                "but the reproducibility: leave deterministic = true, or take nsga2"
            )
        super().__init__(algorithm, stages, lag, waits=False)
        self._arrived: list[Trial] = []

    def horizon(self, index: int) -> int:
        return 0

    def shown(self, first: int) -> int:
        return self.asked

    def told(self, trial: Trial) -> None:
        if self._algorithm.learns:
            self._arrived.append(trial)

    def due(self, index: int) -> list[Trial]:
        arrived, self._arrived = self._arrived, []
        return arrived

    def warnings(self, workers: int) -> list[str]:
        return []


def _said(stages: Sequence[Stage]) -> str:
    return " and ".join(f"{stage.evaluator.label} of {stage.evaluator.batch}" for stage in stages)


def _batch(stage: Stage) -> int:
    batch = stage.evaluator.batch
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ConfigError(f"evaluator {stage.evaluator.label}: batch must be at least 1, got {batch!r}")
    return batch
