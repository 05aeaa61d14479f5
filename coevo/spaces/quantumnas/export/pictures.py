"""The pictures of an export: written, and compared by what stands in them.

Where lines lie is the business of the drawing code, ours and Qiskit's, of the version that drew them; so words and
numbers are compared, not strokes.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from qiskit import QuantumCircuit

from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.export.documents import one_line
from coevo.spaces.quantumnas.export.drawing import draw
from coevo.spaces.quantumnas.setting import Setting

SVG, TEXT = "drawing.svg", "circuit.txt"
TEXT_WIDTH = 160  # characters of a line of circuit.txt


def text_drawing(circuit: QuantumCircuit) -> str:
    """Qiskit's drawing of a circuit with characters."""
    return f"{circuit.draw('text', fold=TEXT_WIDTH)}\n"


def picture_differences(folder: Path, setting: Setting, placed: CoDesign, logical: QuantumCircuit) -> list[str]:
    """What is wrong with the pictures of a design with its layout, whose circuit is `logical`."""
    wrong = []
    for name, words, drawn in ((SVG, _svg_words, draw(setting, placed)), (TEXT, _words, text_drawing(logical))):
        try:
            found = words((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, ElementTree.ParseError) as error:
            wrong.append(f"{name} cannot be read: {one_line(error)}")
            continue
        if found != words(drawn):
            odd = min((found - words(drawn)) or (words(drawn) - found))
            wrong.append(f"{name} is no picture of this design: it differs in {odd!r}")
    return wrong


def _svg_words(text: str) -> Counter[str]:
    if "<!" in text:
        raise ValueError("expected plain SVG without declarations")
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    if root.tag != f"{space}svg":
        raise ValueError(f"expected an svg element, got {root.tag[:40]!r}")
    return Counter([root.get("aria-label", ""), *(str(element.text) for element in root.iter(f"{space}text"))])


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[\w\[\].+-]+", re.sub("[\u2500-\u25ff]", " ", text)))
