"""What becomes of a batch when something goes wrong: the retry policy, with no process in it.

A `Batch` is a task under way; a `Job` is what one worker is sent: the whole batch, or one candidate of it. Each way
for a job to end either settles its candidates or gives back the jobs to try instead:

    answered               settled
    raised                 alone: failed              in a batch: each on its own
    timed out              alone: failed              in a batch: each on its own
    lost its worker        the second time: failed    the first time: each on its own
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coevo.search.evaluator import Candidate, Outcome
from coevo.search.runners.base import Done, Task


class Batch:
    """A submitted task and what is known of its candidates so far."""

    __slots__ = ("_results", "_unsettled", "task")

    def __init__(self, task: Task):
        self.task = task
        self._results: list[Done | None] = [None] * len(task.candidates)
        self._unsettled = len(task.candidates)

    @property
    def complete(self) -> bool:
        return self._unsettled == 0

    def results(self) -> list[Done]:
        """One `Done` a candidate, in their order, of a complete batch."""
        return [done for done in self._results if done is not None]

    def settle(self, position: int, done: Done) -> None:
        self._results[position] = done
        self._unsettled -= 1


@dataclass(slots=True, eq=False)
class Job:
    """What one worker is sent at a time: the candidates at these positions of a batch."""

    batch: Batch
    positions: Sequence[int]
    losses: int = 0
    retried: bool = False

    @classmethod
    def whole(cls, task: Task) -> Job:
        return cls(Batch(task), range(len(task.candidates)))

    @property
    def candidates(self) -> Sequence[Candidate]:
        candidates = self.batch.task.candidates
        return candidates if len(candidates) == len(self.positions) else [candidates[p] for p in self.positions]

    def answered(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        self._settle(outcomes, seconds, "retried" if self.retried else "")

    def raised(self, reason: str, seconds: float) -> list[Job]:
        if len(self.positions) > 1:
            return self._each_alone()
        self.answered([Outcome.failed(reason)], seconds)
        return []

    def timed_out(self, limit_s: float, seconds: float) -> list[Job]:
        if len(self.positions) > 1:
            return self._each_alone()
        self._settle([Outcome.failed(f"timeout: no answer within {limit_s:g} s")], seconds, "timeout")
        return []

    def lost(self, how_it_ended: str, seconds: float) -> list[Job]:
        if self.losses == 0:
            return self._each_alone(losses=1)
        self._settle([Outcome.failed(f"lost its worker twice ({how_it_ended})")], seconds, "lost")
        return []

    def _each_alone(self, losses: int = 0) -> list[Job]:
        return [Job(self.batch, (p,), self.losses + losses, retried=True) for p in self.positions]

    def _settle(self, outcomes: Sequence[Outcome], seconds: float, how: str) -> None:
        candidates, share = self.batch.task.candidates, seconds / len(self.positions)
        for position, outcome in zip(self.positions, outcomes, strict=True):
            self.batch.settle(position, Done(candidates[position].index, outcome, share, how))
