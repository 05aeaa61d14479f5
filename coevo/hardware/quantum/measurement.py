"""Measuring X and Y on a device that measures Z: the basis change before the readout, in the device's own gates.

X is measured after H, Y after S-dagger and H. What is diagonal right before a measurement does nothing to its outcome
and is left out, so both are at most a Z rotation and a quarter turn: on IBM's bases rz(pi/2) sx for X and sx for Y,
which is also what Qiskit's transpiler makes of them up to error-free rz gates. The first of these that the device has
on the qubit, calibrated, is taken:

    gates of the device     X                    Y
    sx, rz                  rz(pi/2) sx          sx
    rx, rz                  rz(pi/2) rx(pi/2)    rx(pi/2)
    u2                      u2(0, pi)            u2(0, pi/2)
    u3 or u                 u3(pi/2, 0, pi)      u3(pi/2, 0, pi/2)
    r (the angle, the axis) r(-pi/2, pi/2)       r(pi/2, 0)
    ry, rx                  ry(-pi/2)            rx(pi/2)
    h, and sdg or s         h                    sdg h, or s s s h

with p or u1 in the place of rz where that is missing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from coevo.errors import InputError
from coevo.hardware.quantum.pauli import Matrix

if TYPE_CHECKING:
    from coevo.hardware.quantum.device import QuantumDevice

BasisChange = tuple[tuple[str, tuple[float, ...]], ...]
"""Gates of one qubit in the order in which they act: (name, angles in radians)."""

_QUARTER = math.pi / 2


def _choices() -> dict[str, tuple[BasisChange, ...]]:
    along_x: list[BasisChange] = []
    along_y: list[BasisChange] = []
    for turn in ((("sx", ()),), (("rx", (_QUARTER,)),)):
        along_x += [((phase, (_QUARTER,)), *turn) for phase in ("rz", "p", "u1")]
        along_y.append(turn)
    along_x.append((("u2", (0.0, math.pi)),))
    along_y.append((("u2", (0.0, _QUARTER)),))
    for name in ("u3", "u"):
        along_x.append(((name, (_QUARTER, 0.0, math.pi)),))
        along_y.append(((name, (_QUARTER, 0.0, _QUARTER)),))
    along_x += [(("r", (-_QUARTER, _QUARTER)),), (("ry", (-_QUARTER,)),), (("h", ()),)]
    along_y += [(("r", (_QUARTER, 0.0)),), (("sdg", ()), ("h", ())), (("s", ()),) * 3 + (("h", ()),)]
    return {"X": tuple(along_x), "Y": tuple(along_y)}


CHOICES = _choices()
"""For "X" and "Y" the basis changes in the order of preference."""


def basis_change(device: QuantumDevice, qubit: int, pauli: str) -> BasisChange:
    """The gates before a measurement of Z on `qubit` that make it one of `pauli` ("X", "Y" or "Z").

    Raises InputError for a qubit out of range, and where the device's gates on that qubit give no basis change.
    """
    if pauli == "Z":
        return ()
    if pauli not in CHOICES:
        raise InputError(f"expected a Pauli X, Y or Z to measure, got {pauli!r}")
    if not 0 <= qubit < device.num_qubits:
        raise InputError(f"{device.name}: a measurement of qubit {qubit}; its qubits are 0 to {device.num_qubits - 1}")
    for gates in CHOICES[pauli]:
        if all(_calibrated(device, name, qubit, len(angles)) for name, angles in gates):
            return gates
    found = [name for name in device.basis if (qubit,) in device.calibration.instructions[name]]
    raise InputError(
        f"{device.name}: no calibrated gates to measure {pauli} on qubit {qubit}; it has {', '.join(found) or 'none'} "
        "there. Expected sx or rx with rz, or u2, u3, u, r, or h with sdg or s"
    )


def _calibrated(device: QuantumDevice, name: str, qubit: int, count: int) -> bool:
    """Whether the gate exists on the qubit, takes that many angles and has an error and a duration."""
    properties = device.calibration.instructions.get(name, {}).get((qubit,))
    if properties is None or device.calibration.parameters[name] != count or properties.error is None:
        return False
    return properties.duration_s is not None or properties.error == 0


def measured_pauli(device: QuantumDevice, qubit: int, pauli: str, noise: bool = True) -> Matrix:
    """Pauli coefficients [4] of Z behind the basis change for `pauli`, before readout error; "I" is not measured.

    With `noise` the basis change's errors count, else the Pauli is ideal. Raises InputError as `basis_change` does.
    """
    vector = np.zeros(4)
    if pauli == "I" or not noise:
        vector["IXYZ".index(pauli)] = 1
        return vector
    vector[3] = 1
    for name, angles in reversed(basis_change(device, qubit, pauli)):
        vector = vector @ device.transfer_matrix(name, (qubit,), angles)
    return vector
