"""A chip as an SVG: its memories from the outermost in, the array with its parallel loops, and below it the energy of
each level and the loop nest of one layer, where they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from coevo.hardware.accelerators import TENSORS, Accelerator, Memory
from coevo.spaces.naas.drawing.units import bytes_text, energy_text

WIDTH = 760
CELL, MOST_CELLS = 13, 16  # pixels of a child, children drawn along an axis
# Attributes and no <style>: an inlined drawing must not restyle the page around it.
_LOOK = {
    "memory": 'fill="#eef1f5" stroke="#8a93a3"',
    "cell": 'fill="#dbe9ff" stroke="#2f6fd0" stroke-width="0.8"',
    "bar": 'fill="#d07a1f"',
    "text": 'fill="#1f2937"',
    "small": 'fill="#6b7280" font-size="10.5"',
    "wire": 'stroke="#8a93a3" stroke-width="1.2"',
}
_TOGETHER = {"C": "sums pass between neighbours", "K": "inputs are broadcast", "Y": "weights are broadcast",
             "X": "weights are broadcast", "R": "sums pass between neighbours", "S": "sums pass between neighbours",
             "G": "nothing is shared", "N": "weights are broadcast"}  # fmt: skip


def draw_chip(
    chip: Accelerator, parts: Mapping[str, float] | None = None, nest: Sequence[str] = (), nest_title: str = ""
) -> str:
    """An `<svg ...>` text, the same for the same chip. `parts`: pJ by level; `nest`: lines of a loop nest."""
    body: list[str] = []
    y = _chip(body, chip, 24)
    if parts:
        y = _bars(body, parts, y + 18)
    if nest:
        y = _nest(body, nest, nest_title, y + 18)
    axes = [axis for memory in chip.memories for axis in memory.network.axes]
    arrays = " x ".join(f"{axis.size} along {'/'.join(axis.dimensions)}" for axis in axes)
    label = escape(f"{chip.name}: {chip.mac_units} MAC units, {arrays}, {bytes_text(chip.on_chip_bytes)} on the chip")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 16}" width="{WIDTH}" height="{y + 16}" '
        f'role="img" aria-label="{label}" font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(body)}</svg>\n'
    )


def _text(x: float, y: float, words: str, look: str = "text", more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" {_LOOK[look]} {more}>{escape(words)}</text>'


def _rate(memory: Memory) -> str:
    rates = [rate for rate in (memory.network.bytes_per_cycle, memory.read_bytes_per_cycle) if rate is not None]
    return f"; {min(rates):.4g} B a cycle" if rates else ""


def _size(memory: Memory) -> str:
    if memory.partition_bytes:
        return ", ".join(
            f"{tensor} {bytes_text(size)}"
            for tensor, size in zip(TENSORS, memory.partition_bytes, strict=True)
            if size is not None
        )
    return "no limit" if memory.size_bytes is None else bytes_text(memory.size_bytes)


def _chip(body: list[str], chip: Accelerator, y: int) -> int:
    """Memories as boxes, one below the other, each network with axes as a grid of its children."""
    for level, memory in enumerate(chip.memories):
        count = chip.instances(level)
        title = memory.name + (f" x {count}" if count > 1 else "")
        body.append(f'<rect x="16" y="{y}" width="420" height="36" rx="4" {_LOOK["memory"]}/>')
        body.append(_text(26, y + 15, f"{title}: {_size(memory)}{_rate(memory)}"))
        kept = "all tensors" if len(memory.keeps) == len(TENSORS) else ", ".join(memory.keeps) or "nothing"
        body.append(
            _text(26, y + 29, f"keeps {kept}" + ("; double buffered" if memory.double_buffered else ""), "small")
        )
        y += 36
        body.append(f'<line x1="40" y1="{y}" x2="40" y2="{y + 14}" {_LOOK["wire"]}/>')
        axes = memory.network.axes
        if not axes:
            y += 14
            continue
        shown = [min(axis.size, MOST_CELLS) for axis in axes]
        across, down = (shown[-1], shown[0]) if len(axes) > 1 else (shown[0], 1)
        top = y + 14
        for row in range(down):
            for column in range(across):
                body.append(
                    f'<rect x="{16 + CELL * column}" y="{top + CELL * row}" width="{CELL - 2}" height="{CELL - 2}" '
                    f"{_LOOK['cell']}/>"
                )
        left = 16 + CELL * across + 14
        for number, axis in enumerate(axes):
            loops = "/".join(axis.dimensions)
            cut = f", {MOST_CELLS} drawn" if axis.size > MOST_CELLS else ""
            several = set(axis.dimensions) - {"G"}  # groups go along with K
            what = _TOGETHER[axis.dimensions[0]] if len(several) == 1 else "several loops may share it"
            body.append(_text(left, top + 10 + 28 * number, f"{axis.name}: {axis.size} along {loops}{cut}"))
            body.append(_text(left, top + 23 + 28 * number, what, "small"))
        y = top + max(CELL * down, 28 * len(axes)) + 8
        body.append(f'<line x1="40" y1="{y - 8}" x2="40" y2="{y}" {_LOOK["wire"]}/>')
    body.append(_text(26, y + 14, f"{chip.mac_units} MAC units at {chip.clock_mhz:g} MHz"))
    return y + 20


def _bars(body: list[str], parts: Mapping[str, float], y: int) -> int:
    whole = sum(parts.values()) or 1.0
    longest = max(parts.values()) or 1.0
    body.append(_text(16, y, f"Energy by level: {energy_text(whole)}", more='font-weight="600"'))
    for name, energy in parts.items():
        y += 18
        width = 380 * energy / longest
        body.append(_text(16, y, name))
        body.append(f'<rect x="160" y="{y - 10}" width="{width:.1f}" height="12" {_LOOK["bar"]}/>')
        body.append(_text(168 + width, y, f"{energy_text(energy)}, {energy / whole:.1%}", "small"))
    return y + 8


def _nest(body: list[str], nest: Sequence[str], title: str, y: int) -> int:
    body.append(_text(16, y, title, more='font-weight="600"'))
    for line in nest:
        y += 16
        inner = line.lstrip(" ")
        body.append(_text(16 + 6 * (len(line) - len(inner)), y, inner, more='font-family="ui-monospace, monospace"'))
    return y + 8
