"""Curves of the weights that a search inherits: how they were trained and grown, and what pruning them costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coevo.spaces.sana.drawing.curves import Points, draw_curves


def draw_growth(curves: Mapping[str, Any], depth: int, path: Path, source_depth: int | None = None) -> None:
    """Writes a PNG of held-out flow losses over updates, the source's before those of what grew from it.

    Args:
        curves: {"source": None or a `Curve` in JSON, "whole": another}, as `Trained.to_json`.
        depth: of the whole.
        source_depth: of the source.

    Raises:
        InputError: no look at a held-out loss.
        MissingExtra: matplotlib is not installed.
    """
    lines: dict[str, list[Points]] = {}
    begin = 0
    if curves["source"] is not None:
        lines[f"source of {source_depth} blocks"] = [curves["source"]["validations"]]
        begin = int(curves["source"]["steps"])
    name = f"grown to {depth} blocks" if begin else f"all of {depth} blocks"
    lines[name] = [[(begin + step, loss) for step, loss in curves["whole"]["validations"]]]
    draw_curves(lines, path, across="updates", up="held-out flow loss", title="Training of the supernet", log=True)


def draw_pruning(curves: Mapping[str, Points], path: Path) -> None:
    """Writes a PNG of (kept blocks, held-out flow loss) by what chose the blocks. MissingExtra without matplotlib."""
    lines = {name: [points] for name, points in curves.items()}
    title = "Blocks left out of the supernet, before any recovery"
    draw_curves(lines, path, across="blocks that stay", up="held-out flow loss", title=title, log=True)
