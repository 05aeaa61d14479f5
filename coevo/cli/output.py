"""Where the command writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def out() -> Console:
    """The console for results. Made anew each time, since tests and pipes exchange the stream."""
    return Console(file=sys.stdout, highlight=False, width=_width(sys.stdout))


def err() -> Console:
    """The console for progress and complaints."""
    return Console(file=sys.stderr, highlight=False, width=_width(sys.stderr))


def _width(stream: Any) -> int | None:
    """A file or a pipe has no width of its own; the usual guess of 80 would break tables."""
    return None if stream.isatty() or "COLUMNS" in os.environ else 200


def emit(as_json: bool, data: Any, show: Callable[[Console], None]) -> None:
    """One JSON object, or what `show` prints for people."""
    if as_json:
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False, default=_plain) + "\n")
        sys.stdout.flush()
    else:
        show(out())


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def table(*columns: str, numbers: int = 0) -> Table:
    """A plain table; the last `numbers` columns are right-aligned."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for place, name in enumerate(columns):
        right = place >= len(columns) - numbers
        made.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    return made


def facts(*pairs: tuple[str, Any]) -> Table:
    """Names and values, side by side; absent values are left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            made.add_row(name, value if isinstance(value, (Text, Table)) else Text(str(value)))
    return made
