"""A device's qubits and couplings, without importing Qiskit: constructing the space must stay quick.

qiskit-ibm-runtime keeps each fake backend as a folder with its source and a JSON file; both are read as text. Where
that is not so (a backend of another make), the device itself is asked, which imports Qiskit.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coevo.errors import InputError, missing_extra, unknown_name

if TYPE_CHECKING:
    from coevo.hardware.quantum import QuantumDevice

SNAPSHOT = ".json"
_FAR = 10**6


@dataclass(frozen=True)
class Coupling:
    """`edges` are pairs (a, b), a < b, of qubits that share a two-qubit gate."""

    num_qubits: int
    edges: tuple[tuple[int, int], ...]

    def distances(self) -> list[list[int]]:
        """[qubit][qubit]: couplings on the shortest way; a very large number where there is none."""
        near: list[list[int]] = [[] for _ in range(self.num_qubits)]
        for a, b in self.edges:
            near[a].append(b)
            near[b].append(a)
        table = []
        for start in range(self.num_qubits):
            row = [_FAR] * self.num_qubits
            row[start], border = 0, [start]
            while border:
                border = [there for here in border for there in near[here] if _reach(row, there, row[here] + 1)]
            table.append(row)
        return table

    def neighbours(self, qubits: Sequence[int]) -> dict[int, list[int]]:
        """Those of the qubits that each is coupled with."""
        near: dict[int, list[int]] = {qubit: [] for qubit in qubits}
        for a, b in self.edges:
            if a in near and b in near:
                near[a].append(b)
                near[b].append(a)
        return near

    def parts(self, qubits: Sequence[int]) -> list[list[int]]:
        """The qubits by connected part, couplings among themselves alone counted; parts and members in given order."""
        near, found = self.neighbours(qubits), []
        left = dict.fromkeys(qubits)
        while left:
            border = [next(iter(left))]
            part = set()
            while border:
                here = border.pop()
                if here not in part:
                    part.add(here)
                    border += near[here]
            found.append([qubit for qubit in left if qubit in part])
            for qubit in part:
                del left[qubit]
        return found


def open_device(device: str) -> QuantumDevice:
    """A fake backend by its class name, or a calibration snapshot by its path (a name that ends in .json).

    Raises UnknownName, MissingExtra, and InputError for a file that is no snapshot.
    """
    from coevo.hardware.quantum import QuantumDevice

    return QuantumDevice.from_snapshot(device) if device.endswith(SNAPSHOT) else QuantumDevice.from_name(device)


def coupling_of(device: str, least_qubits: int = 1) -> Coupling:
    """The coupling of a device, named as for `open_device`.

    Raises UnknownName with the nearest name, InputError where it has fewer than `least_qubits`, MissingExtra.
    """
    coupling = _read_coupling(device)
    if coupling.num_qubits < least_qubits:
        raise InputError(
            f"device {device!r} has {coupling.num_qubits} qubit{'s' * (coupling.num_qubits != 1)} and the task needs "
            f"{least_qubits}; choose a larger device, such as FakeQuitoV2"
        )
    return coupling


def _read_coupling(device: str) -> Coupling:
    if device.endswith(SNAPSHOT):
        built = open_device(device)
        return Coupling(built.num_qubits, built.edges)
    spec = importlib.util.find_spec("qiskit_ibm_runtime")
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("qiskit-ibm-runtime", "quantum")
    folder = Path(next(iter(spec.submodule_search_locations))) / "fake_provider" / "backends"
    offered: dict[str, Path] = {}
    for source in sorted(folder.glob("*/fake_*.py")):
        for name in re.findall(r"^class (Fake\w+)\(", source.read_text(encoding="utf-8"), re.MULTILINE):
            offered[name] = source.parent
    home = offered.get(device)
    if offered and home is None:
        raise unknown_name("quantum device", device, offered, "option 'device'")
    if home is not None:
        try:
            described = json.loads((home / f"conf_{home.name}.json").read_text(encoding="utf-8"))
            # Of the gates: `coupling_map` names couplings of FakeCairoV2 for which it has no gate.
            places = [tuple(place) for gate in described["gates"] for place in gate.get("coupling_map", ())]
            pairs = {(min(place), max(place)) for place in places if len(place) == 2}
            if pairs or described["n_qubits"] == 1:
                return Coupling(int(described["n_qubits"]), tuple(sorted(pairs)))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # described otherwise: ask the device itself
    built = open_device(device)
    return Coupling(built.num_qubits, built.edges)


def _reach(row: list[int], qubit: int, distance: int) -> bool:
    if row[qubit] <= distance:
        return False
    row[qubit] = distance
    return True
