"""What a space package offers: a `Problem` with its stages, and the hooks for preparing, exporting and drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coevo.errors import InputError
from coevo.search.design import Design
from coevo.search.evaluator import Evaluator
from coevo.search.space import Space


@dataclass(frozen=True, slots=True)
class Stage:
    """One rung of the ladder: who judges, and which share of its designs goes on to the next rung (0 < share <= 1).
    `budget` reaches the evaluator as `context.budget`: one evaluator may serve several rungs (`successive_halving`)."""

    name: str
    evaluator: Evaluator
    share: float = 1.0
    budget: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise InputError(f"stage {self.name!r}: share must lie in (0, 1], got {self.share!r}")


class WorkContext:
    """What `Problem.prepare` and `Problem.export` are handed.

    `folder` is where their files go and exists. `artifact(name)` is a file that `prepare` made. `measured` holds the
    metrics that the search recorded for the design being exported. `progress(done, total, text)` feeds the live view.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        artifacts: Mapping[str, Path] | None = None,
        measured: Mapping[str, float] | None = None,
        progress: Callable[[float, float, str], None] | None = None,
    ):
        self.folder = folder
        self.seed = seed
        self.measured = dict(measured or {})
        self._artifacts = dict(artifacts or {})
        self._progress = progress

    def artifact(self, name: str) -> Path:
        if name not in self._artifacts:
            have = ", ".join(sorted(self._artifacts)) or "none"
            raise InputError(f"no prepared artefact is called {name!r}; prepared: {have}")
        return self._artifacts[name]

    def progress(self, done: float, total: float, text: str) -> None:
        if self._progress is not None:
            self._progress(done, total, text)


@dataclass(frozen=True)
class Problem:
    """A space with its stages and hooks, as a space package offers it by `problem(**options)`.

    prepare(context) -> {name: path}   makes what every worker needs (train the supernet) inside `context.folder`;
                                       once a run, before the first stage. It is called again after an interruption,
                                       so it checkpoints inside that folder. Digests of the files are recorded.
    export(design, context) -> {measurement: number}   writes everything a user takes home into `context.folder`.
    verify(folder) -> [what is wrong]  reads an exported folder back; an empty list is good.
    draw(value) -> str                 an `<svg ...>` or plain text for the report and the terminal.
    measure(target, progress) -> {name: value}   measures this device for the problem's cost model (`coevo measure`)
                                       into the file `target`, or where None into the problem's own place for this
                                       device, where its evaluators look; the values say what was measured, the file
                                       under "table".

    `loaded_as` is the registered name (or "module:attribute") under which workers find the problem again; the registry
    fills it in, and a problem made by hand has none and travels in memory.
    """

    name: str
    space: Space
    stages: Sequence[Stage]
    objectives: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[WorkContext], Mapping[str, Path]] | None = None
    export: Callable[[Design, WorkContext], Mapping[str, float]] | None = None
    verify: Callable[[Path], list[str]] | None = None
    draw: Callable[[Any], str] | None = None
    measure: Callable[[Path | None, Callable[[float, float, str], None]], Mapping[str, Any]] | None = None
    description: str = ""
    loaded_as: str | None = None
