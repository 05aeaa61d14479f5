"""The workers of a study: what they are set up with, and the batches that they are handed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from coevo.search.evaluator import Candidate
from coevo.search.memo_book import MemoBook
from coevo.search.problem import Stage
from coevo.search.runners.base import Done, EvaluatorSource, Runner, StageSetup, Task, WorkerSetup


class Crew:
    """A runner, started when the first batch comes. Every worker serves every stage, so it gets what the neediest of
    them needs. `memo` is the study's book of inner results, or None where they are computed anew."""

    def __init__(
        self, runner: Runner, stages: Sequence[Stage], sources: Sequence[EvaluatorSource], seed: int, memo: bool
    ):
        self.runner = runner
        self._stages, self._sources, self._seed, self._memo = stages, sources, seed, memo
        self._started = False
        self._tasks = 0

    @property
    def spec(self) -> str:
        """The text that the runner is made from, as run.toml records it."""
        return str(getattr(self.runner, "spec", self.runner.name))

    @property
    def note(self) -> str:
        """What the runner wants said before the search begins."""
        return str(getattr(self.runner, "note", "") or "")

    def connect(self) -> None:
        """Has a runner that needs a cluster look for it, before `prepare` costs anything."""
        connect = getattr(self.runner, "connect", None)
        if connect is not None:
            connect(*self._shares())

    def submit(
        self,
        stage: int,
        batch: Sequence[Candidate],
        artifacts: Mapping[str, Path],
        logs: Path | None,
        book: MemoBook,
    ) -> None:
        """Hands a batch over; the first one starts the workers, with what `prepare` made."""
        if not self._started:
            self.runner.start(self._setup(artifacts, logs), book if self._memo else None)
            self._started = True
        self._tasks += 1
        self.runner.submit(Task(self._tasks, tuple(batch), stage))

    def wait(self) -> Sequence[tuple[Task, Sequence[Done]]]:
        return self.runner.wait()

    def room(self) -> int:
        return self.runner.room()

    def close(self, kill: bool = False) -> None:
        """Ends the workers; a later batch starts new ones."""
        self.runner.close(kill=kill)
        self._started = False

    def _setup(self, artifacts: Mapping[str, Path], logs: Path | None) -> WorkerSetup:
        memory_gb = [stage.evaluator.resources.memory_gb for stage in self._stages]
        cpus, gpus, custom = self._shares()
        return WorkerSetup(
            stages=tuple(
                StageSetup(source, stage.evaluator.resources.timeout_s, stage.budget)
                for source, stage in zip(self._sources, self._stages, strict=True)
            ),
            artifacts=artifacts,
            seed=self._seed,
            logs=logs,
            cpus=cpus,
            memory_gb=None if None in memory_gb else max(filter(None, memory_gb), default=None),
            gpus=gpus,
            custom=custom,
            memo=self._memo,
        )

    def _shares(self) -> tuple[int, float, dict[str, float]]:
        """CPUs, GPUs and custom resources of one worker."""
        needs = [stage.evaluator.resources for stage in self._stages]
        custom: dict[str, float] = {}
        for need in needs:
            custom |= {name: max(amount, custom.get(name, 0.0)) for name, amount in need.custom.items()}
        return max(need.cpus for need in needs), max(need.gpus for need in needs), custom
