"""A design as an SVG: its wires with their physical qubits, the encoder, every gate, the readout."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from coevo.spaces.quantumnas.data import ENCODER, N_QUBITS
from coevo.spaces.quantumnas.space import CoDesign

COLUMN, WIRE, BOX = 38, 46, 28  # pixels: column and wire pitch, side of a gate
LEFT, TOP = 92, 50
COLUMNS_A_ROW = 36
# Attributes and no <style>: an inlined drawing must not restyle the page around it.
_LOOK = {
    "wire": 'stroke="#8a93a3" stroke-width="1.2"',
    "barrier": 'stroke="#b8bfca" stroke-width="1.2" stroke-dasharray="4 4"',
    "encoder": 'fill="#eef1f5" stroke="#8a93a3"',
    "u3": 'fill="#dbe9ff" stroke="#2f6fd0"',
    "cu3": 'fill="#ffe6cf" stroke="#d07a1f"',
    "link": 'stroke="#d07a1f" stroke-width="1.6"',
    "control": 'fill="#d07a1f"',
    "measure": 'fill="#ffffff" stroke="#4b5563"',
    "block": 'fill="#f1f4f9"',
    "gate text": 'text-anchor="middle" dominant-baseline="central" fill="#1f2937"',
    "small text": 'text-anchor="middle" dominant-baseline="central" font-size="10.5" fill="#6b7280"',
    "qubit": 'text-anchor="end" dominant-baseline="central" fill="#1f2937"',
    "physical": 'text-anchor="end" dominant-baseline="central" font-size="10.5" fill="#6b7280"',
}


def draw(design: CoDesign) -> str:
    """An `<svg ...>` text, the same for the same design. Long circuits go on below, on wires of the same names."""
    rows: list[list[Column]] = [[]]
    for _, together in groupby(_columns(design), key=lambda column: (column[0] == "measure", column[1])):
        group = list(together)
        if rows[-1] and len(rows[-1]) + len(group) > COLUMNS_A_ROW and group[0][0] != "measure":
            rows.append([])
        rows[-1] += group
    width = LEFT + COLUMN * max(len(row) for row in rows) + 16
    row_height = TOP + WIRE * (N_QUBITS - 1) + 36
    parts = []
    for number, row in enumerate(rows):
        parts.append(f'<g transform="translate(0 {number * row_height})">')
        parts += _row(design, row)
        parts.append("</g>")
    label = escape(
        f"{design.blocks} blocks, {len(design.gates)} gates, {design.parameters} parameters, "
        f"layout {', '.join(map(str, design.layout))}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {row_height * len(rows)}" '
        f'width="{width}" height="{row_height * len(rows)}" role="img" aria-label="{label}" '
        f'font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


Column = tuple[str, int, list[tuple[str, tuple[int, ...]]]]
"""(what, block or -1, its gates as (label, qubits))."""


def _columns(design: CoDesign) -> Iterator[Column]:
    for begin in range(0, len(ENCODER), N_QUBITS):
        yield "encoder", -1, [(gate.upper(), (qubit,)) for gate, qubit, _ in ENCODER[begin : begin + N_QUBITS]]
    yield "barrier", -1, []
    for block, (singles, _) in enumerate(design.widths):
        if singles:
            yield "u3", block, [("U3", (qubit,)) for qubit in range(singles)]
        for name, qubits, (home, _, _) in design.gates:
            if name == "cu3" and home == block:
                yield "cu3", block, [("U3", qubits)]
    yield "measure", -1, [("Z", (qubit,)) for qubit in range(N_QUBITS)]


def _row(design: CoDesign, columns: list[Column]) -> Iterator[str]:
    bottom = _y(N_QUBITS - 1)
    end = LEFT + COLUMN * len(columns)
    spans: dict[int, list[int]] = {}
    for place, (_, block, _) in enumerate(columns):
        if block >= 0:
            spans.setdefault(block, []).append(place)
    for block, places in spans.items():
        x, wide = LEFT + COLUMN * places[0] + 2, COLUMN * len(places) - 4
        if block % 2 == 0:
            yield f'<rect x="{x}" y="{TOP - 24}" width="{wide}" height="{bottom - TOP + 48}" rx="5" {_LOOK["block"]}/>'
        yield _text("small text", x + wide / 2, TOP - 34, f"block {block + 1}" if len(places) > 1 else str(block + 1))
    encoder = sum(what == "encoder" for what, _, _ in columns)
    if encoder:
        yield _text("small text", LEFT + COLUMN * encoder / 2, TOP - 34, "encoder")
    for qubit in range(N_QUBITS):
        yield _text("qubit", LEFT - 60, _y(qubit), f"q{qubit}")
        yield _text("physical", LEFT - 8, _y(qubit), f"qubit {design.layout[qubit]}")
        yield _line("wire", LEFT - 2, _y(qubit), end + 6, _y(qubit))
    for place, (what, _, gates) in enumerate(columns):
        x = LEFT + COLUMN * place + COLUMN // 2
        if what == "barrier":
            yield _line("barrier", x, TOP - 22, x, bottom + 22)
        for label, qubits in gates:
            if what == "cu3":
                yield _line("link", x, _y(qubits[0]), x, _y(qubits[1]))
                yield f'<circle cx="{x}" cy="{_y(qubits[0])}" r="4.5" {_LOOK["control"]}/>'
            y = _y(qubits[-1])
            yield f'<rect x="{x - BOX // 2}" y="{y - BOX // 2}" width="{BOX}" height="{BOX}" rx="4" {_LOOK[what]}/>'
            yield _text("gate text", x, y, label)


def _line(look: str, x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {_LOOK[look]}/>'


def _text(look: str, x: float, y: int, text: str) -> str:
    return f'<text x="{x:g}" y="{y}" {_LOOK[look]}>{escape(text)}</text>'


def _y(qubit: int) -> int:
    return TOP + WIRE * qubit
