"""Curves of losses (growth, recovery) and of quality over depth (pruning), and fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from coevo.errors import InputError
from coevo.spaces.sana.drawing.figures import COLOURS, new_figure, plain_numbers, write_figure

Points = Sequence[tuple[float, float]]


def draw_curves(
    curves: Mapping[str, Sequence[Points]], path: Path, *, across: str, up: str, title: str = "", log: bool = False
) -> None:  # fmt: skip
    """Writes a PNG with a line for each name, the mean over its seeds, and a band from the least to the largest seed.

    Args:
        curves: by name, one list of (x, y) a seed; seeds of a name have the same x.
        across, up: what the axes are, with units.
        log: the axis up is logarithmic.

    Raises:
        InputError: no curve, or seeds of one name at different x.
        MissingExtra: matplotlib is not installed.
    """
    if not curves:
        raise InputError("a picture of curves needs one at least, got none")
    figure = new_figure(6.4, 3.9)
    axis = figure.subplots()
    for number, (name, seeds) in enumerate(curves.items()):
        x, y = _stacked(name, seeds)
        colour = COLOURS[number % len(COLOURS)]
        dashes = "-" if number < len(COLOURS) else "--"
        axis.plot(x, y.mean(axis=0), color=colour, linestyle=dashes, marker="o", markersize=3, label=name)
        if len(y) > 1:
            axis.fill_between(x, y.min(axis=0), y.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    if log:
        axis.set_yscale("log")
        plain_numbers(axis.yaxis)
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, frameon=False)
    write_figure(figure, path)


def draw_front(
    designs: Mapping[str, Points], path: Path, *, across: str = "latency, ms", up: str = "quality", title: str = ""
) -> None:  # fmt: skip
    """Writes a PNG of designs by name of how they were found, as (cost, quality): all as points, a step line through
    those of each name that no other of it beats.

    Raises:
        InputError: no design.
        MissingExtra: matplotlib is not installed.
    """
    if not any(designs.values()):
        raise InputError("a picture of a front needs a design at least, got none")
    figure = new_figure(6.4, 4.2)
    axis = figure.subplots()
    for number, (name, points) in enumerate(designs.items()):
        if not points:
            continue
        colour = COLOURS[number % len(COLOURS)]
        axis.scatter(*zip(*points, strict=True), s=10, color=colour, alpha=0.35, linewidths=0)
        best = front_of(points)
        axis.step(*zip(*best, strict=True), where="post", color=colour, marker="o", markersize=4, label=name)
    axis.set_xscale("log")
    plain_numbers(axis.xaxis)
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.25, which="both")
    axis.legend(fontsize=8, frameon=False)
    write_figure(figure, path)


def front_of(points: Points) -> list[tuple[float, float]]:
    """Of (cost, quality): those that cost less than every other of at least their quality, by cost."""
    best: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda each: (each[0], -each[1])):
        if not best or quality > best[-1][1]:
            best.append((cost, quality))
    return best


def _stacked(name: str, seeds: Sequence[Points]) -> tuple[np.ndarray, np.ndarray]:
    columns = [tuple(x for x, _ in each) for each in seeds]
    if not columns or not columns[0] or len(set(columns)) != 1:
        raise InputError(f"the curve {name!r} needs points of every seed at the same places, got {columns}")
    return np.array(columns[0]), np.array([[y for _, y in each] for each in seeds])
