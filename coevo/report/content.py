"""What a report is made of, before it is a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coevo.report.data import Table


@dataclass(frozen=True)
class Drawing:
    """A picture of one design: `body` is an SVG or plain text; `problem` says why there is none."""

    row: int
    caption: str
    body: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Exported:
    """A design that was taken home: where to, and what its export measured."""

    folder: str
    key: str
    measured: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """Everything that the page shows."""

    title: str
    table: Table
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    status: Mapping[str, Any]
    toml: str
    folder: str
    written: str
    version: str
    description: str = ""
    notes: Sequence[Mapping[str, Any]] = ()
    drawings: Sequence[Drawing] = ()
    exports: Sequence[Exported] = ()
    drawing_note: str = ""
