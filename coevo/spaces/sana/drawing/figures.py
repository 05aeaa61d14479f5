"""Matplotlib's figures, imported late and written whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from coevo.errors import missing_extra

BLUE, ORANGE, GREEN, GREY = "#2f6fd0", "#e07b2a", "#3f9d5a", "#6b7280"
COLOURS = (BLUE, ORANGE, GREEN, "#9350b5", "#c0392b", GREY)


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches that no window shows. MissingExtra without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "sana") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_numbers(axis: Any) -> None:
    """Numbers of a logarithmic axis as 1.5 and 20, not as powers of ten."""
    for formatter in (axis.set_major_formatter, axis.set_minor_formatter):
        formatter("{x:g}")
    axis.set_tick_params(which="minor", labelsize=8)


def write_figure(figure: Any, path: Path) -> None:
    """As a PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(part, format="png", dpi=130)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
