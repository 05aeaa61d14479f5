"""What a report is made of, before it is a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coevo.report.clock import Log
from coevo.report.control import Control
from coevo.report.data import Table
from coevo.report.importance import Importances
from coevo.report.lineage import Step
from coevo.report.stages import StageCost
from coevo.search.agreement import Agreement


@dataclass(frozen=True)
class Drawing:
    """A picture of one design: `body` is an SVG or plain text; `problem` says why there is none."""

    row: int
    caption: str
    body: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG file that a problem made. `problem` says why there is nothing to show."""

    name: str
    png: bytes = b""
    problem: str = ""


@dataclass(frozen=True)
class Exported:
    """A design that was taken home: where to, what its export measured, and the pictures in its folder."""

    folder: str
    key: str
    measured: Mapping[str, Any]
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class Line:
    """The ancestors of one design, itself first."""

    caption: str
    steps: Sequence[Step]


@dataclass(frozen=True)
class Page:
    """Everything that the page shows. `toml` is the experiment file, `control_commands` what makes a control,
    `loaded` whether the problem could be loaded by its name."""

    title: str
    table: Table
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    log: Log
    toml: str
    control_commands: str
    folder: str
    written: str
    version: str
    importances: Importances
    history: Sequence[Mapping[str, Any]] = ()
    control: Control | None = None
    description: str = ""
    drawings: Sequence[Drawing] = ()
    exports: Sequence[Exported] = ()
    drawing_note: str = ""
    prepared: Sequence[Picture] = ()
    lines: Sequence[Line] = ()
    costs: Sequence[StageCost] = ()
    agreements: Sequence[Agreement] = ()
    loaded: bool = True
