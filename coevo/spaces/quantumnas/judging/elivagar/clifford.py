"""Clifford noise resilience: how little noise changes what Clifford replicas of a mapped circuit give.

A replica keeps the two-qubit gates of the mapped circuit, and so its routing and its places, and has a random one of H,
S, Z, X and Y for every one-qubit gate; the resilience is 1 - the mean total variation distance of its noisy from its
noise-free outcomes. Two things differ from the paper. Distributions are exact and not of 1,024 shots, whose sampling
alone keeps the distance above 0; `shots` draws them for who wants that. And a one-qubit gate is what stands between two
two-qubit gates of a qubit: the transpiler writes one such gate as up to five (rz, sx, rz, sx, rz), and replacing each
of these would give a replica more pulses than the circuit has. The encoder's rotations of a qubit are one such gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice

if TYPE_CHECKING:
    from coevo.cost_models.circuit_noise import Program
    from coevo.spaces.quantumnas.mapping.circuits import Mapped

CLIFFORDS = ("h", "s", "z", "x", "y")
REPLICAS = 32
# In the device's gates, up to a global phase: (name, angle or None).
_WORDS: dict[str, tuple[tuple[str, float | None], ...]] = {
    "h": (("rz", pi / 2), ("sx", None), ("rz", pi / 2)),
    "s": (("rz", pi / 2),),
    "z": (("rz", pi),),
    "x": (("x", None),),
    "y": (("rz", pi), ("x", None)),
}
Slot = tuple[str | None, tuple[int, ...]]
"""(name of a two-qubit gate, its qubits), or (None, one qubit) where a one-qubit gate stands."""


def skeleton(mapped: Mapped, device: QuantumDevice) -> list[Slot]:
    """The gates of a mapped circuit, encoder first, runs of one-qubit gates of a qubit as one slot.

    InputError for a delay, which is no gate and has no Clifford in its place.
    """
    from coevo.cost_models.circuit_noise.gates import read_gates

    slots: list[Slot] = []
    for circuit in (mapped.encoder, mapped.body):
        running: set[int] = set()  # qubits whose latest slot of this circuit is a one-qubit gate
        for gate in read_gates(circuit, device)[0]:
            if len(gate.qubits) == 2:
                running.difference_update(gate.qubits)
                slots.append((gate.name, gate.qubits))
            elif gate.name == "delay":
                raise InputError(
                    f"the circuit has a delay on qubit {gate.qubits[0]}; Clifford replicas are made before scheduling"
                )
            elif gate.qubits[0] not in running:
                running.add(gate.qubits[0])
                slots.append((None, gate.qubits))
    return slots


def draw_replicas(slots: Sequence[Slot], replicas: int, rng: np.random.Generator) -> list[list[str]]:
    """For each replica the names of its one-qubit gates, in the order of the empty slots."""
    empty = sum(name is None for name, _ in slots)
    drawn = rng.integers(0, len(CLIFFORDS), (replicas, empty))
    return [[CLIFFORDS[index] for index in row] for row in drawn.tolist()]


@dataclass(frozen=True)
class _Written:
    """Numbers of rows of a device's channel table, and their angles."""

    rows: tuple[int, ...]
    angles: tuple[float, ...]


class CliffordResilience:
    """Clifford noise resiliences of mapped circuits on one device.

    Args:
        device: whose noise counts.
        replicas: of a circuit.
        shots: of each distribution; None takes the exact ones.
        seed: of the replicas (and shots), for every circuit anew: equal circuits have equal resiliences.
    """

    def __init__(self, device: QuantumDevice, replicas: int = REPLICAS, shots: int | None = None, seed: int = 0):
        if replicas < 1 or (shots is not None and shots < 1):
            raise InputError(f"expected 1 replica or more and 1 shot or more, got {replicas} and {shots}")
        self._device = device
        self._ideal = device.scaled(0.0)
        self._replicas, self._shots, self._seed = replicas, shots, seed
        self._known: dict[tuple[int, str, tuple[int, ...]], _Written] = {}

    def __call__(self, mapped: Mapped) -> float:
        """Of a circuit that reads up to 8 qubits: 1 where noise changes nothing, 0 at worst.

        InputError beyond 8 qubits, for a light cone of more than 10, and where the device lacks rz, sx or x on a qubit
        or has a two-qubit gate with an angle, which is no Clifford.
        """
        noisy, ideal = self.distributions(mapped)
        return float(1 - np.abs(noisy - ideal).sum(axis=1).mean() / 2)

    def distributions(self, mapped: Mapped) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Outcomes [replicas, 2^n] with noise and without."""
        from coevo.cost_models.circuit_noise import outcome_probabilities

        rng = np.random.default_rng(self._seed)
        slots = skeleton(mapped, self._device)
        drawn = draw_replicas(slots, self._replicas, rng)
        programs = [
            self.program(slots, names, mapped.final, device)
            for device in (self._device, self._ideal)
            for names in drawn
        ]
        table = outcome_probabilities(programs)[:, 0]
        if self._shots is not None:
            table /= table.sum(axis=1, keepdims=True)
            table = rng.multinomial(self._shots, table) / self._shots
        return table[: self._replicas], table[self._replicas :]

    def program(
        self, slots: Sequence[Slot], names: Sequence[str], read: Sequence[int], device: QuantumDevice
    ) -> Program:
        """One replica as the noise engine reads it, from |0...0>."""
        from coevo.cost_models.circuit_noise.program import Encoder, Program, Rows, check_readout, readout_coefficients

        rows: list[int] = []
        angles: list[float] = []
        left = iter(names)
        for name, qubits in slots:
            written = self._written(device, name or next(left), qubits)
            rows += written.rows
            angles += written.angles
        places = tuple(check_readout(read, device))
        readout = np.array([readout_coefficients(device, qubit) for qubit in places])
        body = Rows(device.channels.rows_of(rows), np.array(angles), np.empty((0, 2), np.int32), np.empty(0))
        return Program(device, Encoder((), (), (), (), 0, device), body, places, readout, (), 0)

    def _written(self, device: QuantumDevice, name: str, qubits: tuple[int, ...]) -> _Written:
        key = (id(device), name, qubits)
        if key not in self._known:
            rows: list[int] = []
            angles: list[float] = []
            for gate, angle in _WORDS.get(name, ((name, None),)) if len(qubits) == 1 else ((name, None),):
                found = device.channels.instruction(gate, qubits)
                if found.num_parameters != (angle is not None):
                    raise InputError(
                        f"{device.name}: gate {gate!r} takes {found.num_parameters} angles; a Clifford replica needs "
                        "rz, sx, x and two-qubit gates without angles"
                    )
                rows += found.rows
                angles += [
                    fixed if which is None else angle or 0.0
                    for which, fixed in zip(found.parameter, found.angles, strict=True)
                ]
            self._known[key] = _Written(tuple(rows), tuple(angles))
        return self._known[key]
