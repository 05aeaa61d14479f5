"""A calibration: the numbers of a quantum device, free of Qiskit. `snapshot` keeps it in a JSON file.

Seconds and probabilities; `error` is the average infidelity of a gate (1 - average gate fidelity). A number that was
never measured is None: whatever would need that number is refused by name.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from coevo.errors import InputError

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
FIELDS = ("error", "duration_s", "prob_meas1_prep0", "prob_meas0_prep1")


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
                rows.append([name, list(qubits), [getattr(each, key) for key in FIELDS]])
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
        if seed < 0:
            raise InputError(f"expected a seed of 0 or more, got {seed}")
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
                        for key in FIELDS
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
