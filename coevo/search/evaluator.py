"""What judges a design: `Evaluator`, what it is handed and what it gives back."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError, EvaluatorError
from coevo.search.memo import Compute, ComputeMany, MemoTable


@dataclass(frozen=True, slots=True)
class Resources:
    """What one worker needs. `timeout_s` is for one candidate; a batch gets it once a member. The local runner gives
    its workers `cpus` threads, holds each to `memory_gb` of data, and does not share out `gpus`: it has the machine's.
    `custom` are resources that nodes of a cluster are started with (`ray start --resources='{"tpu": 4}'`), by name; to
    the local runner they mean nothing.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory_gb: float | None = None
    timeout_s: float | None = None
    custom: Mapping[str, float] = field(default_factory=dict)


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
    """What an evaluator knows of its surroundings: the device, its deadline, its budget, the prepared artefacts, and
    the results of inner computations. `label` is the evaluator's; `table` holds the inner results of its process."""

    def __init__(
        self,
        device: str = "cpu",
        artifacts: Mapping[str, Path] | None = None,
        seed: int = 0,
        budget: float | None = None,
        label: str = "",
        table: MemoTable | None = None,
    ):
        self.device = device
        self.seed = seed
        self.budget = budget  # the stage's, in the evaluator's own unit (epochs, shots), or None
        self.deadline: float | None = None  # of time.monotonic(), or None
        self._artifacts = dict(artifacts or {})
        # The stages of successive halving share an evaluator: what it finds within one budget is not for another.
        self._label = label if budget is None else f"{label} at budget {budget}"
        self._table = table if table is not None else MemoTable()

    def artifact(self, name: str) -> Path:
        """The file that `prepare` made under this name; EvaluatorError names what there is."""
        if name not in self._artifacts:
            have = ", ".join(sorted(self._artifacts)) or "none"
            raise EvaluatorError(f"no prepared artefact is called {name!r}; prepared: {have}")
        return self._artifacts[name]

    def memo(self, key: Any, compute: Compute) -> Any:
        """The result of an inner computation, such as the best mapping of one layer on one slice of an accelerator:
        computed once a study by `compute(seed)`, whoever asks first, and handed to every worker.

        The seed follows from the study's seed, this evaluator's id, version and budget, and the key. The result must
        follow from the key and that seed alone: whatever else it depends on (sizes, options) belongs into the key.
        Key and result are JSON; arrays come back as lists, tuples too. EvaluatorError for what JSON cannot hold (NaN,
        infinities, sets, objects), for a result of more than 2**20 characters, and for a computation that asks for
        its own key. What `compute` raises passes, and nothing is kept of it.
        """
        return self.memo_many([key], lambda positions, seeds: [compute(seeds[0])])[0]

    def memo_many(self, keys: Sequence[Any], compute: ComputeMany) -> list[Any]:
        """The results of several inner computations, in the order of the keys; see `memo`.

        `compute(positions, seeds)` is called once for those that are missing, so that they can be searched side by
        side; it returns one result for each, and none of them may depend on which others are missing.
        """
        return self._table.ask(self._label, self.seed, keys, compute)

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, or None where there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()


class Evaluator:
    """Judges candidates in batches. Subclass it, or hand the study a plain function of one value.

    `id` and `version` name it in every trial; raise the version whenever the same design would get other numbers.
    `metrics` maps each metric's name to its unit. `setup` runs once a worker and stage; `evaluate` returns one
    `Outcome` a candidate, in their order. `cache_key` may return a text that is equal for designs that must get equal
    outcomes; None stands for the design's own key. `measures_device` is True where metrics are measured on the device
    (times, energy): outcomes of another device are then never taken over from another run.
    """

    id: str = ""
    version: str = "1"
    metrics: Mapping[str, str] = {}
    batch: int = 1
    resources: Resources = Resources()
    measures_device: bool = False

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
        return [as_outcome(self.function(candidate.value)) for candidate in candidates]


def as_evaluator(judge: Any, metrics: Mapping[str, str], where: str = "evaluate") -> Evaluator:
    """An evaluator from what a user may give: one, its class, a function of no arguments that makes one, or a plain
    function of one value, which then has these metrics. ConfigError for anything else."""
    if isinstance(judge, type) and issubclass(judge, Evaluator):
        judge = judge()
    elif not isinstance(judge, (type, Evaluator)) and callable(judge):
        judge = FunctionEvaluator(judge, metrics) if _takes_a_value(judge) else judge()
    if not isinstance(judge, Evaluator):
        raise ConfigError(f"{where}: expected an Evaluator or a function of one value, got {type(judge).__name__}")
    return judge


def _takes_a_value(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(parameter.kind in kinds and parameter.default is inspect.Parameter.empty for parameter in parameters)


def as_outcome(result: Any) -> Outcome:
    """What an evaluation returned, as an Outcome; anything but one or a mapping of metrics has failed."""
    if isinstance(result, Outcome):
        return result
    if isinstance(result, Mapping):
        return Outcome(metrics=dict(result))
    return Outcome.failed(f"expected a mapping of metrics or an Outcome, got {type(result).__name__}")
