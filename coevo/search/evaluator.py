"""What judges a design: `Evaluator`, what it is handed and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coevo.errors import EvaluatorError


@dataclass(frozen=True, slots=True)
class Resources:
    """What one evaluation needs. `timeout_s` is for one candidate; a batch gets it once a member."""

    cpus: int = 1
    gpus: float = 0.0
    memory_gb: float | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One design on its way through an evaluator.

    `seed` is a function of (study seed, design key) alone; `designs_folder` holds a folder for each design;
    `artifacts` are the files of its earlier stages.
    """

    index: int
    key: str
    value: Any
    seed: int
    designs_folder: Path
    artifacts: Mapping[str, Path] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        """The candidate's own folder, made when first asked for; artefacts of an `Outcome` belong here."""
        folder = self.designs_folder / self.key
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@dataclass(frozen=True, slots=True)
class Outcome:
    """Metrics, or why it failed. `artifacts` are files the evaluation produced, by name."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    artifacts: Mapping[str, Path] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.failure is None

    @classmethod
    def failed(cls, reason: str) -> Outcome:
        return cls(failure=reason)


class Context:
    """What an evaluator knows of its surroundings: the device, its deadline, the prepared artefacts."""

    def __init__(self, device: str = "cpu", artifacts: Mapping[str, Path] | None = None, seed: int = 0):
        self.device = device
        self.seed = seed
        self.deadline: float | None = None  # of time.monotonic(), or None
        self._artifacts = dict(artifacts or {})

    def artifact(self, name: str) -> Path:
        """The file that `prepare` made under this name; EvaluatorError names what there is."""
        if name not in self._artifacts:
            have = ", ".join(sorted(self._artifacts)) or "none"
            raise EvaluatorError(f"no prepared artefact is called {name!r}; prepared: {have}")
        return self._artifacts[name]

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, or None where there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()


class Evaluator:
    """Judges candidates in batches. Subclass it, or hand the study a plain function of one value.

    `id` and `version` name it in every trial; raise the version whenever the same design would get other numbers.
    `metrics` maps each metric's name to its unit. `setup` runs once a worker; `evaluate` returns one `Outcome` a
    candidate, in their order. `cache_key` may return a text that is equal for designs that must get equal outcomes;
    None stands for the design's own key.
    """

    id: str = ""
    version: str = "1"
    metrics: Mapping[str, str] = {}
    batch: int = 1
    resources: Resources = Resources()

    def setup(self, context: Context) -> None:
        """Load what every evaluation needs, once a worker."""

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        raise NotImplementedError

    def cache_key(self, value: Any) -> str | None:
        return None

    @property
    def label(self) -> str:
        """`id@version`, as trials record it."""
        return f"{self.id}@{self.version}"


class FunctionEvaluator(Evaluator):
    """A plain function of one value that returns a mapping of metrics (or an Outcome)."""

    def __init__(self, function: Callable[[Any], Any], metrics: Mapping[str, str]):
        module, name = getattr(function, "__module__", "?"), getattr(function, "__qualname__", type(function).__name__)
        self.id = f"{module}:{name}"
        self.function = function
        self.metrics = dict(metrics)

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [_as_outcome(self.function(candidate.value)) for candidate in candidates]


def _as_outcome(result: Any) -> Outcome:
    if isinstance(result, Outcome):
        return result
    if isinstance(result, Mapping):
        return Outcome(metrics=dict(result))
    return Outcome.failed(f"expected a mapping of metrics or an Outcome, got {type(result).__name__}")
