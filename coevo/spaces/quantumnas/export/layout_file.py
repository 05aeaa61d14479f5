"""layout.json: where the qubits of an exported design lie, and for which device it was mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coevo.errors import InputError
from coevo.spaces.quantumnas.ansatz.design import Layers
from coevo.spaces.quantumnas.export.documents import FORMAT, entry, read_json, whole_numbers

FILE = "layout.json"


@dataclass(frozen=True)
class LayoutFile:
    """`initial[i]` and `final[i]` are the physical qubit of logical qubit i before and after the body; `device` is the
    fingerprint of the calibration, `option` what `[options] device` was; `example` is the one that OpenQASM 2 is bound
    to, None for a ground state. `document` is the file as it stands."""

    initial: tuple[int, ...]
    final: tuple[int, ...]
    layers: Layers
    device: dict[str, Any]
    option: str
    example: int | None
    document: dict[str, Any]


def layout_document(
    initial: Sequence[int],
    final: Sequence[int],
    layers: Layers,
    device: dict[str, Any],
    option: str,
    example: int | None,
) -> dict[str, Any]:
    """The file's content."""
    return {
        "format": FORMAT,
        "device": device,
        "device_option": option,
        "initial": list(initial),
        "final": list(final),
        "meaning": "entry i is the physical qubit of logical qubit i, before and after the body; "
        "classical bit i of isa.* is logical qubit i",
        "qasm2_example": example,
        "qasm2": "OpenQASM 2 has no parameters: circuit.qasm2 and isa.qasm2 hold the weights and, of a classifier, "
        "the inputs of examples[qasm2_example] of examples.json",
        "layers": [list(places) for places in layers],
    }


def read_layout(folder: Path) -> LayoutFile:
    """InputError that names the file and what is wrong in it."""
    told = read_json(folder / FILE)
    if told.get("format") != FORMAT:
        raise InputError(f"{FILE} has format {told.get('format')!r}; this version of coevo reads format {FORMAT}")
    initial, final = (whole_numbers(entry(told, key, FILE), f"{FILE}: {key}") for key in ("initial", "final"))
    for key, qubits in (("initial", initial), ("final", final)):
        if len(set(qubits)) != len(qubits) or len(qubits) != len(initial):
            raise InputError(f"{FILE}: {key} is {list(qubits)}; expected {len(initial)} distinct qubits")
    layers = entry(told, "layers", FILE)
    if not isinstance(layers, list):
        raise InputError(f"{FILE}: expected `layers` as a list, got {type(layers).__name__}")
    device, option = entry(told, "device", FILE), entry(told, "device_option", FILE)
    entry(device, "calibration_sha256", f"{FILE}: device")
    if not isinstance(option, str):
        raise InputError(f"{FILE}: device_option is {option!r}; expected the device's name or path")
    example = entry(told, "qasm2_example", FILE)
    if example is not None and (type(example) is not int or example < 0):
        raise InputError(f"{FILE}: qasm2_example is {example!r}; expected the number of an example")
    places = tuple(whole_numbers(layer, f"{FILE}: layers[{n}]") for n, layer in enumerate(layers))
    return LayoutFile(initial, final, places, device, option, example, told)
