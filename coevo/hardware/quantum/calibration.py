"""A calibration snapshot: the numbers of a quantum device, free of Qiskit, and the JSON file that holds them.

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

import functools
import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from coevo.errors import InputError

FORMAT = "coevo-quantum-snapshot"
VERSION = 1
NOT_GATES = frozenset({"measure", "measure_2", "reset", "reset_2", "delay"})

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Properties:
    """What was measured of one instruction on one place; None where nothing was."""

    error: float | None = None
    duration_s: float | None = None
    prob_meas1_prep0: float | None = None
    prob_meas0_prep1: float | None = None


_NOTHING = Properties()
_FIELDS = ("error", "duration_s", "prob_meas1_prep0", "prob_meas0_prep1")


@dataclass(frozen=True)
class Calibration:
    """A device's numbers.

    Attributes:
        name, backend_version, date: what the snapshot is of; `date` in ISO format, None where it is not known.
        num_qubits: physical qubits, numbered from 0.
        dt_s: the device's unit of time in seconds, for delays counted in it.
        t1_s, t2_s: relaxation times a qubit, seconds.
        instructions: name -> place -> `Properties`; the first qubit of a place is the gate's first.
        parameters: name -> how many angles it takes.
        unplaced: names that are offered without a place, so without calibration.
    """

    name: str
    num_qubits: int
    t1_s: tuple[float | None, ...]
    t2_s: tuple[float | None, ...]
    instructions: Mapping[str, Mapping[Place, Properties]]
    parameters: Mapping[str, int]
    unplaced: frozenset[str] = field(default=frozenset())
    dt_s: float | None = None
    backend_version: str = "unknown"
    date: str | None = None

    @classmethod
    def from_target(
        cls,
        target: Any,
        name: str,
        dt_s: float | None = None,
        backend_version: str = "unknown",
        date: str | None = None,
    ) -> Calibration:
        """The numbers of a `qiskit.transpiler.Target`."""
        instructions: dict[str, dict[Place, Properties]] = {}
        parameters: dict[str, int] = {}
        unplaced = set()
        for operation in target.operation_names:
            places = target[operation]
            if operation == "delay":
                continue  # a delay has no calibration: its noise is relaxation
            if not places or None in places:
                unplaced.add(operation)
                continue
            parameters[operation] = len(getattr(target.operation_from_name(operation), "params", ()))
            instructions[operation] = {tuple(map(int, place)): _properties(each) for place, each in places.items()}
        count = int(target.num_qubits or 0)
        table = list(target.qubit_properties or ())
        table += [None] * (count - len(table))
        return cls(
            name=name,
            num_qubits=count,
            t1_s=tuple(_number(getattr(each, "t1", None)) for each in table),
            t2_s=tuple(_number(getattr(each, "t2", None)) for each in table),
            instructions=instructions,
            parameters=parameters,
            unplaced=frozenset(unplaced),
            dt_s=_number(dt_s if dt_s is not None else target.dt),
            backend_version=backend_version,
            date=date,
        )

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over every calibrated number, and nothing else."""
        rows: list[Any] = []
        for name in sorted({*self.instructions, *self.unplaced}):
            for qubits, each in self.instructions.get(name, {}).items():
                rows.append([name, list(qubits), [getattr(each, key) for key in _FIELDS]])
        for qubit, pair in enumerate(zip(self.t1_s, self.t2_s, strict=True)):
            rows.append(["qubit", [qubit], list(pair)])
        text = json.dumps(sorted(rows, key=lambda row: (row[0], row[1])))
        return hashlib.sha256(text.encode()).hexdigest()

    def missing(self, qubits: Any = None) -> list[str]:
        """What was never calibrated on these physical qubits (all of them by default), one phrase each."""
        inside = set(range(self.num_qubits) if qubits is None else qubits)
        found = []
        for qubit in sorted(inside):
            absent = [name for name, value in (("T1", self.t1_s[qubit]), ("T2", self.t2_s[qubit])) if value is None]
            if absent:
                found.append(f"{' and '.join(absent)} of qubit {qubit}")
            readout = self.instructions.get("measure", {}).get((qubit,), _NOTHING)
            if readout_probabilities(readout) is None:
                found.append(f"readout error of qubit {qubit}")
        for name, places in self.instructions.items():
            if name in NOT_GATES:
                continue
            for place, each in places.items():
                if not inside.issuperset(place):
                    continue
                if each.error is None:
                    found.append(f"error of {name!r} on qubits {place}")
                elif each.duration_s is None and each.error > 0:
                    found.append(f"duration of {name!r} on qubits {place}")
        return found

    def scaled(self, factor: float) -> Calibration:
        """The same device with `factor` times the noise: gate and readout errors times it, T1 and T2 over it.

        Readout errors stop at 1/2 and gate errors at 1. Factor 0 is a noise-free device.
        """
        if not (math.isfinite(factor) and factor >= 0):
            raise InputError(f"expected a noise scale of 0 or more, got {factor}")

        def stretched(value: float | None) -> float | None:
            return None if value is None else value / factor if factor else sys.float_info.max

        return self._changed(
            lambda kind, value: min(value * factor, 0.5 if kind == "readout" else 1.0),
            stretched,
            f" x {factor:g} noise",
        )

    def perturbed(self, spread: float, seed: int) -> Calibration:
        """Every error, T1 and T2 times its own exp(`spread` * N(0, 1)): drift that a seed makes repeatable."""
        if not (math.isfinite(spread) and spread >= 0):
            raise InputError(f"expected a spread of 0 or more, got {spread}")
        rng = np.random.default_rng(seed)

        def error(kind: str, value: float) -> float:
            return min(value * math.exp(spread * rng.normal()), 0.5 if kind == "readout" else 1.0)

        def time(value: float | None) -> float | None:
            return None if value is None else value * math.exp(spread * rng.normal())

        return self._changed(error, time, f" perturbed by {spread:g}, seed {seed}")

    def _changed(self, error: Any, time: Any, suffix: str) -> Calibration:
        instructions = {}
        for name, places in self.instructions.items():
            kind = "readout" if name in NOT_GATES else "gate"
            instructions[name] = {
                place: replace(
                    each,
                    **{
                        key: error(kind, getattr(each, key))
                        for key in _FIELDS
                        if key != "duration_s" and getattr(each, key) is not None
                    },
                )
                for place, each in places.items()
            }
        t1_s, t2_s = (tuple(time(value) for value in values) for values in (self.t1_s, self.t2_s))
        return replace(self, name=self.name + suffix, instructions=instructions, t1_s=t1_s, t2_s=t2_s)


def readout_probabilities(properties: Properties) -> tuple[float, float] | None:
    """(P(1 measured | 0 prepared), P(0 | 1)); one `error` stands for both where only that is known."""
    pair = (properties.prob_meas1_prep0, properties.prob_meas0_prep1)
    if pair[0] is not None and pair[1] is not None:
        return pair[0], pair[1]
    return None if properties.error is None else (properties.error, properties.error)


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
    Path(path).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


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
        parameters[name] = int(read.get(described, "parameters", f"instruction {name!r}"))
        instructions[name] = {}
        for each in read.get(described, "places", f"instruction {name!r}"):
            place = tuple(read.get(each, "qubits", f"a place of {name!r}"))
            if not place or any(not isinstance(q, int) or not 0 <= q < count for q in place):
                raise InputError(f"{where}: {name!r} on qubits {list(place)}, but the qubits are 0 to {count - 1}")
            what = f"{name!r} on qubits {place}"
            instructions[name][place] = Properties(
                **{key: read.number(each, key, what, 0, math.inf if key == "duration_s" else 1) for key in _kept(name)}
            )
    calibration = Calibration(
        name=str(read.get(document, "name", "the snapshot")),
        num_qubits=count,
        instructions=instructions,
        parameters=parameters,
        unplaced=frozenset(document.get("unplaced", ())),
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
    return _FIELDS if name.startswith("measure") else _FIELDS[:2]


def _properties(each: Any) -> Properties:
    if each is None:
        return _NOTHING
    return Properties(
        error=_number(getattr(each, "error", None)),
        duration_s=_number(getattr(each, "duration", None)),
        prob_meas1_prep0=_number(getattr(each, "prob_meas1_prep0", None)),
        prob_meas0_prep1=_number(getattr(each, "prob_meas0_prep1", None)),
    )


def _number(value: Any) -> float | None:
    """A calibration value as JSON can hold it; inf and NaN mean that there is none."""
    return float(value) if value is not None and math.isfinite(value) else None
