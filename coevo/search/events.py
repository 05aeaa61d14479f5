"""What a study tells the world while it runs. The study prints nothing: views and reports listen to these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coevo.search.design import Design
from coevo.search.trial import Trial


@dataclass(frozen=True, slots=True)
class Started:
    """The study opened: `trials` are the ones already told (more than 0 when resumed)."""

    trials: int
    budget: dict[str, float] = field(default_factory=dict)
    workers: int = 1
    runner: str = "local"


@dataclass(frozen=True, slots=True)
class Progress:
    """`prepare` or `export` is at `done` of `total`. Not stored."""

    phase: str
    done: float
    total: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """`prepare` ended: {artefact: {"path": relative path, "sha256": digest}} and what it took."""

    artifacts: dict[str, dict[str, str]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """Design `index` was asked."""

    index: int
    design: Design


@dataclass(frozen=True, slots=True)
class Staged:
    """An outcome of a stage that is not the last is durable; whether the design goes on is not said yet."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class Told:
    """A trial is durable: its design goes no further."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know: `level` is "info" or "warning"."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The study stopped: `reason` is "trials", "seconds", "cost", "exhausted" or "interrupted"."""

    reason: str
    trials: int
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)


Event = Started | Progress | Prepared | Asked | Staged | Told | Note | Finished
