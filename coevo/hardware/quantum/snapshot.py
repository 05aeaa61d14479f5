"""A calibration snapshot as a JSON file.

The file, version 1 (`write_snapshot`, `read_snapshot`):

    {"format": "coevo-quantum-snapshot", "version": 1,
     "name": "fake_quito", "backend_version": "0", "date": "2021-03-15T..." or null, "num_qubits": 5, "dt_s": 2.2e-10,
     "qubits": [{"t1_s": 1e-4, "t2_s": 9e-5}, ...],            one entry a qubit, from qubit 0
     "instructions": {                                          gates, measure, reset
       "cx": {"parameters": 0, "places": [{"qubits": [0, 1], "error": 0.01, "duration_s": 3e-7}, ...]},
       "measure": {"parameters": 0, "places": [{"qubits": [0], "error": 0.02, "duration_s": 5e-6,
                                                "prob_meas1_prep0": 0.01, "prob_meas0_prep1": 0.03}, ...]}},
     "unplaced": ["if_else", ...],                              offered without saying where, hence uncalibrated
     "sha256": "..."}                                           digest of the calibration, optional when written by hand

Seconds and probabilities; `error` is the average infidelity of a gate (1 - average gate fidelity). A number that was
never measured is null: the snapshot loads, and whatever would need that number is refused by name. A key that is
absent, a number out of range and a digest that differs are refused when the file is read.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from coevo.errors import InputError
from coevo.hardware.quantum.calibration import FIELDS, NOT_GATES, Calibration, Place, Properties
from coevo.hardware.quantum.pauli import gate_size

FORMAT = "coevo-quantum-snapshot"
VERSION = 1


def write_snapshot(calibration: Calibration, path: str | Path) -> None:
    """The calibration as a JSON snapshot; reading it back gives an equal calibration."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": calibration.name,
        "backend_version": calibration.backend_version,
        "date": calibration.date,
        "num_qubits": calibration.num_qubits,
        "dt_s": calibration.dt_s,
        "qubits": [{"t1_s": t1, "t2_s": t2} for t1, t2 in zip(calibration.t1_s, calibration.t2_s, strict=True)],
        "instructions": {
            name: {
                "parameters": calibration.parameters[name],
                "places": [
                    {"qubits": list(place), **{key: getattr(each, key) for key in _kept(name)}}
                    for place, each in places.items()
                ],
            }
            for name, places in calibration.instructions.items()
        },
        "unplaced": sorted(calibration.unplaced),
        "sha256": calibration.digest,
    }
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the snapshot to {path}: {error.strerror or error}") from error


def read_snapshot(path: str | Path) -> Calibration:
    """A JSON snapshot; the format stands at the head of this module.

    Raises InputError naming the file and what is wrong in it: not JSON, another format or version, a key that is
    absent, a number out of range, a qubit that does not exist, a digest that differs.
    """
    where = Path(path)
    try:
        document = json.loads(where.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"no snapshot at {where}; write one with QuantumDevice.write_snapshot") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{where} is no JSON snapshot of a quantum device: {error}") from error
    read = _Reader(where)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{where}: expected a JSON object with format {FORMAT!r}")
    if document.get("version") != VERSION:
        raise InputError(f"{where}: snapshot version {document.get('version')!r}; this coevo reads version {VERSION}")
    count = read.get(document, "num_qubits", "the snapshot")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(f"{where}: expected num_qubits of 1 or more, got {count!r}")
    qubits = read.get(document, "qubits", "the snapshot")
    if not isinstance(qubits, list) or len(qubits) != count:
        raise InputError(f"{where}: num_qubits is {count}, so `qubits` must list {count} entries")
    times = {
        key: tuple(read.number(each, key, f"qubit {q}", 0, math.inf, positive=True) for q, each in enumerate(qubits))
        for key in ("t1_s", "t2_s")
    }
    instructions: dict[str, dict[Place, Properties]] = {}
    parameters: dict[str, int] = {}
    offered = read.get(document, "instructions", "the snapshot")
    if not isinstance(offered, dict):
        raise InputError(f"{where}: expected `instructions` as an object, got {type(offered).__name__}")
    for name, described in offered.items():
        parameters[name], instructions[name] = read.instruction(name, described, count)
    unplaced = document.get("unplaced", [])
    if not isinstance(unplaced, list) or not all(isinstance(name, str) for name in unplaced):
        raise InputError(f"{where}: expected `unplaced` as a list of names of instructions, got {unplaced!r}")
    calibration = Calibration(
        name=str(read.get(document, "name", "the snapshot")),
        num_qubits=count,
        instructions=instructions,
        parameters=parameters,
        unplaced=frozenset(unplaced),
        dt_s=read.number(document, "dt_s", "the snapshot", 0, math.inf, positive=True),
        backend_version=str(document.get("backend_version", "unknown")),
        date=document.get("date"),
        **times,
    )
    told = document.get("sha256")
    if told is not None and told != calibration.digest:
        raise InputError(
            f"{where}: its sha256 is {told!r} and its numbers give {calibration.digest!r}; the file was changed after "
            "it was written. Remove the key to accept the numbers as they are"
        )
    return calibration


class _Reader:
    def __init__(self, where: Path):
        self.where = where

    def get(self, document: Any, key: str, what: str) -> Any:
        if not isinstance(document, dict) or key not in document:
            raise InputError(f"{self.where}: {what} has no {key!r}; write null where it was never calibrated")
        return document[key]

    def instruction(self, name: str, described: Any, count: int) -> tuple[int, dict[Place, Properties]]:
        """(how many angles it takes, its places) of an instruction on a device of `count` qubits."""
        angles = self.get(described, "parameters", f"instruction {name!r}")
        if not isinstance(angles, int) or isinstance(angles, bool) or angles < 0:
            raise InputError(f"{self.where}: `parameters` of {name!r} is {angles!r}; expected the number of its angles")
        listed = self.get(described, "places", f"instruction {name!r}")
        if not isinstance(listed, list):
            raise InputError(f"{self.where}: expected `places` of {name!r} as a list, got {type(listed).__name__}")
        known = (1, angles) if name in NOT_GATES else gate_size(name)
        if known is not None and known[1] != angles:
            raise InputError(f"{self.where}: {name!r} has {angles} parameters; the gate takes {known[1]}")
        places: dict[Place, Properties] = {}
        for each in listed:
            given = self.get(each, "qubits", f"a place of {name!r}")
            fits = isinstance(given, list) and all(type(q) is int and 0 <= q < count for q in given)
            if not given or not fits:
                raise InputError(f"{self.where}: {name!r} on qubits {given!r}, but the qubits are 0 to {count - 1}")
            place, what = tuple(given), f"{name!r} on qubits {tuple(given)}"
            if len(set(place)) < len(place) or place in places:
                raise InputError(f"{self.where}: {what} repeats a {'place' if place in places else 'qubit'}")
            if known is not None and known[0] != len(place):
                raise InputError(f"{self.where}: {what}; expected {known[0]} {'qubit' if known[0] == 1 else 'qubits'}")
            places[place] = Properties(
                **{key: self.number(each, key, what, 0, math.inf if key == "duration_s" else 1) for key in _kept(name)}
            )
        return angles, places

    def number(
        self, document: Any, key: str, what: str, low: float, high: float, positive: bool = False
    ) -> float | None:
        value = self.get(document, key, what)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InputError(f"{self.where}: {key} of {what} is {value!r}; expected a number from {low:g} to {high:g}")
        if positive and value == 0:
            raise InputError(f"{self.where}: {key} of {what} is 0; expected a positive number of seconds")
        return float(value)


def _kept(name: str) -> tuple[str, ...]:
    return FIELDS if name.startswith("measure") else FIELDS[:2]
