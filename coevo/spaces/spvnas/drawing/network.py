"""A network as an SVG: every number of channels as a bar, MinkUNet's beside it as an outline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from coevo.kernels.sparse.shape import STAGES, UNetShape
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.network.macs import MEAN_FRAME, MapSizes, parameters_of, total_macs

WIDTH, LEFT, RIGHT = 880, 24, 480
BAR, STEP, HEADING = 9, 14, 22  # pixels: a bar's height, from one to the next, the line above them
NAMED, LONGEST = 92, 210  # pixels: names of bars, and the longest one
# Attributes and no <style>: an inlined drawing must not restyle the page around it.
_LOOK = {
    "transition": 'fill="#8fb8f0"',
    "middle": 'fill="#f0b27a"',
    "out": 'fill="#2f6fd0"',
    "beside": 'fill="none" stroke="#6b7280" stroke-width="1" stroke-dasharray="3 2"',
    "skip": 'stroke="#8a93a3" stroke-width="1.2" stroke-dasharray="5 4"',
    "points": 'fill="#3f9d5a"',
    "text": 'fill="#1f2937"',
    "small": 'fill="#6b7280" font-size="10.5"',
}
_WITH_POINTS = ("stem", "down4", "up2", "up4")
"""Where features pass through the points."""


class _Line(NamedTuple):
    name: str
    look: str
    channels: int | None
    beside: int | None


def draw_network(
    design: UNetShape, beside: UNetShape | None = None, sizes: MapSizes = MEAN_FRAME, num_classes: int = 19,
    frame: str = "a mean frame of SemanticKITTI's sequence 08",
) -> str:  # fmt: skip
    """An `<svg ...>` text, the same for the same design.

    Args:
        design: a Backbone, or the shape of any network.
        beside: what the outlines show, MinkUNet of width 1 where it is None.
        sizes: of the kernel maps by which MACs are counted.
        num_classes: of the classifier.
        frame: what `sizes` are of, in words.
    """
    other = Backbone.uniform(1.0, "none") if beside is None else beside
    scale = LONGEST / max(*_channels(design), *_channels(other))
    body = [_text(LEFT, 24, _summary("this network", design, sizes, num_classes), "text", 'font-weight="600"')]
    named = "MinkUNet" if beside is None else "the other network"
    counted = f"{_summary(f'outlines: {named}', other, sizes, num_classes)}; MACs of {frame}"
    body += [_text(LEFT, 42, counted, "small"), *_legend(62)]
    y = 92
    for level in range(STAGES + 1):
        lines = _stem(design, other) if level == 0 else _stage(design, other, level - 1)
        name = "stem" if level == 0 else f"down{level}"
        below = _draw_stage(body, design, name, level, lines, LEFT, y, scale)
        if level < STAGES:
            stage = 2 * STAGES - 1 - level
            lines = _stage(design, other, stage)
            name = f"up{stage - STAGES + 1}"
            below = max(below, _draw_stage(body, design, name, level, lines, RIGHT, y, scale))
            skip = f"{design.skip(stage)} channels join"
            body.append(f'<line x1="{LEFT + 340}" y1="{y - 4}" x2="{RIGHT - 12}" y2="{y - 4}" {_LOOK["skip"]}/>')
            body.append(_text(LEFT + 342, y - 8, skip, "small"))
        y = below + 16
    label = escape(_summary("a sparse U-Net", design, sizes, num_classes))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img" '
        f'aria-label="{label}" font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(body)}</svg>\n'
    )


def _channels(design: UNetShape) -> list[int]:
    return [*design.widths, *design.transitions, *(each for stage in design.middles for each in stage)]


def _summary(name: str, design: UNetShape, sizes: MapSizes, num_classes: int) -> str:
    gmacs, millions = total_macs(design, sizes, num_classes) / 1e9, parameters_of(design, num_classes) / 1e6
    points = {"voxels": ", points of voxels", "raw": ", every point"}.get(getattr(design, "points", "none"), "")
    return f"{name}: {gmacs:.1f} GMACs, {millions:.2f} M parameters{points}"


def _stem(design: UNetShape, other: UNetShape) -> list[_Line]:
    return [_Line(f"conv {number}", "out", design.widths[0], other.widths[0]) for number in (1, 2)]


def _stage(design: UNetShape, other: UNetShape, stage: int) -> list[_Line]:
    """Its bars, with those that only the other network has."""
    lines = [_Line("transition", "transition", design.transitions[stage], other.transitions[stage])]
    for block in range(max(design.depths[stage], other.depths[stage])):
        mine, theirs = block < design.depths[stage], block < other.depths[stage]
        lines.append(
            _Line(
                f"block {block + 1} middle",
                "middle",
                design.middles[stage][block] if mine else None,
                other.middles[stage][block] if theirs else None,
            )
        )
        out = (design.widths[stage + 1] if mine else None, other.widths[stage + 1] if theirs else None)
        lines.append(_Line(f"block {block + 1} out", "out", *out))
    return lines


def _draw_stage(
    body: list[str], design: UNetShape, name: str, level: int, lines: Sequence[_Line], x: int, y: int, scale: float
) -> int:
    """Adds a stage; returns where the next one may begin."""
    body.append(_text(x, y, f"{name}, stride {1 << level}", "text", 'font-weight="600"'))
    if name in _WITH_POINTS and getattr(design, "points", "none") != "none":
        body.append(f'<circle cx="{x + 132}" cy="{y - 4}" r="4" {_LOOK["points"]}/>')
        body.append(_text(x + 140, y, "through the points", "small"))
    for number, line in enumerate(lines):
        top = y + HEADING - 12 + number * STEP
        body.append(_text(x, top + BAR - 1, line.name, "small"))
        if line.channels is not None:
            body.append(_bar(x + NAMED, top, line.channels * scale, line.look))
        if line.beside is not None:
            body.append(_bar(x + NAMED, top, line.beside * scale, "beside"))
        told = "none" if line.channels is None else str(line.channels)
        theirs = "none" if line.beside is None else str(line.beside)
        end = x + NAMED + max(line.channels or 0, line.beside or 0) * scale + 6
        body.append(_text(end, top + BAR - 1, f"{told} ({theirs})", "small"))
    return y + HEADING + len(lines) * STEP


def _legend(y: int) -> list[str]:
    found, x = [], LEFT
    for look, words in (
        ("transition", "2x2x2, stride 2"), ("middle", "between a block's convolutions"), ("out", "after a block"),
        ("beside", "the other network"),
    ):  # fmt: skip
        found += [_bar(x, y - BAR, 22, look), _text(x + 28, y, words, "small")]
        x += 60 + 6 * len(words)
    return found


def _bar(x: float, y: float, width: float, look: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.4g}" height="{BAR}" {_LOOK[look]}/>'


def _text(x: float, y: float, words: str, look: str, more: str = "") -> str:
    return f'<text x="{x:.5g}" y="{y:g}" {_LOOK[look]} {more}>{escape(words)}</text>'
