"""A design as an SVG: its wires with their physical qubits, the encoder, every gate, the readout."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification

COLUMN, WIRE, BOX = 38, 46, 28  # pixels: column and wire pitch, side of a gate
LEFT, TOP = 104, 50
COLUMNS_A_ROW = 36
_LABELS = {"cu3": "U3", "cx": "X", "cz": "Z", "sqrtswap": "√SW", "swap": "SW"}
_FIRST = {"RZX": ("RZx", "RzX")}  # the capital letter is what acts on this qubit
_CONTROLLED = ("U3", "X", "Z")  # drawn with a dot on the control
# Attributes and no <style>: an inlined drawing must not restyle the page around it.
_LOOK = {
    "wire": 'stroke="#8a93a3" stroke-width="1.2"',
    "barrier": 'stroke="#b8bfca" stroke-width="1.2" stroke-dasharray="4 4"',
    "encoder": 'fill="#eef1f5" stroke="#8a93a3"',
    "single": 'fill="#dbe9ff" stroke="#2f6fd0"',
    "pair": 'fill="#ffe6cf" stroke="#d07a1f"',
    "link": 'stroke="#d07a1f" stroke-width="1.6"',
    "control": 'fill="#d07a1f"',
    "measure": 'fill="#ffffff" stroke="#4b5563"',
    "block": 'fill="#f1f4f9"',
    "gate text": 'text-anchor="middle" dominant-baseline="central" fill="#1f2937"',
    "long text": 'text-anchor="middle" dominant-baseline="central" font-size="10.5" fill="#1f2937"',
    "small text": 'text-anchor="middle" dominant-baseline="central" font-size="10.5" fill="#6b7280"',
    "qubit": 'text-anchor="end" dominant-baseline="central" fill="#1f2937"',
    "physical": 'text-anchor="end" dominant-baseline="central" font-size="10.5" fill="#6b7280"',
}


def draw(setting: Setting, design: CoDesign) -> str:
    """An `<svg ...>` text, the same for the same design. Long circuits go on below, on wires of the same names."""
    n_qubits = setting.n_qubits
    rows: list[list[Column]] = [[]]
    for _, together in groupby(_columns(setting, design), key=lambda column: (column[0] == "measure", column[1])):
        group = list(together)
        if rows[-1] and len(rows[-1]) + len(group) > COLUMNS_A_ROW and group[0][0] != "measure":
            rows.append([])
        rows[-1] += group
    width = LEFT + COLUMN * max(len(row) for row in rows) + 16
    row_height = TOP + WIRE * (n_qubits - 1) + 36
    parts = []
    for number, row in enumerate(rows):
        parts.append(f'<g transform="translate(0 {number * row_height})">')
        parts += _row(n_qubits, design, row)
        parts.append("</g>")
    template = setting.template
    layout = "chosen by Qiskit" if design.layout is None else ", ".join(map(str, design.layout))
    label = escape(
        f"{_blocks(setting, design)} blocks, {len(template.gates_of(design.layers))} gates, "
        f"{template.parameters(design.layers)} parameters, layout {layout}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {row_height * len(rows)}" '
        f'width="{width}" height="{row_height * len(rows)}" role="img" aria-label="{label}" '
        f'font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


Column = tuple[str, int, list[tuple[str, tuple[int, ...]]]]
"""(what, block or -1, its gates as (label, qubits))."""


def _blocks(setting: Setting, design: CoDesign) -> int:
    used = [entry.block for entry, places in zip(setting.template.block_layers, design.layers, strict=False) if places]
    return 1 + max(used, default=-1)


def _columns(setting: Setting, design: CoDesign) -> Iterator[Column]:
    task, template = setting.task, setting.template
    if isinstance(task, Classification):
        pending: list[tuple[str, tuple[int, ...]]] = []
        for gate, qubit, _ in task.encoder:
            if any(qubit in qubits for _, qubits in pending):
                yield "encoder", -1, pending
                pending = []
            pending.append((gate.upper(), (qubit,)))
        yield "encoder", -1, pending
        yield "barrier", -1, []
    if template.flipped:
        yield "single", -1, [("X", (qubit,)) for qubit in template.flipped]
    for layer in template.gate_set.prologue:
        yield "single", -1, [(layer.gate.upper(), place) for place in layer.places(setting.n_qubits)]
    for entry, places in zip(template.block_layers, design.layers, strict=False):
        label = _LABELS.get(entry.layer.gate, entry.layer.gate.upper())
        chosen = [entry.places[place] for place in places]
        if entry.layer.where == "each":
            if chosen:
                yield "single", entry.block, [(label, qubits) for qubits in chosen]
        else:
            for qubits in chosen:
                yield "pair", entry.block, [(label, qubits)]
    yield "measure", -1, [("Z", (qubit,)) for qubit in range(setting.n_qubits)]


def _row(n_qubits: int, design: CoDesign, columns: list[Column]) -> Iterator[str]:
    bottom = _y(n_qubits - 1)
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
    for qubit in range(n_qubits):
        yield _text("qubit", LEFT - 74, _y(qubit), f"q{qubit}")
        yield _text("physical", LEFT - 8, _y(qubit), "" if design.layout is None else f"qubit {design.layout[qubit]}")
        yield _line("wire", LEFT - 2, _y(qubit), end + 6, _y(qubit))
    for place, (what, _, gates) in enumerate(columns):
        x = LEFT + COLUMN * place + COLUMN // 2
        if what == "barrier":
            yield _line("barrier", x, TOP - 22, x, bottom + 22)
        for label, qubits in gates:
            first, last = _FIRST.get(label, (label, label))
            if what == "pair":
                yield _line("link", x, _y(qubits[0]), x, _y(qubits[1]))
                if label in _CONTROLLED:
                    yield f'<circle cx="{x}" cy="{_y(qubits[0])}" r="4.5" {_LOOK["control"]}/>'
                else:
                    yield from _box(what, x, _y(qubits[0]), first)
            yield from _box(what, x, _y(qubits[-1]), last)


def _box(look: str, x: float, y: int, label: str) -> Iterator[str]:
    yield f'<rect x="{x - BOX // 2}" y="{y - BOX // 2}" width="{BOX}" height="{BOX}" rx="4" {_LOOK[look]}/>'
    yield _text("gate text" if len(label) < 3 else "long text", x, y, label)


def _line(look: str, x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {_LOOK[look]}/>'


def _text(look: str, x: float, y: int, text: str) -> str:
    return f'<text x="{x:g}" y="{y}" {_LOOK[look]}>{escape(text)}</text>'


def _y(qubit: int) -> int:
    return TOP + WIRE * qubit
