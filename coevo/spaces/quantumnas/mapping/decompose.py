"""The gates of the QuantumNAS spaces in rz, sx, x and cx, with symbolic angles.

Qiskit's transpiler takes seconds for circuits of unbound `u` and `cu` gates, because it multiplies symbolic matrices;
circuits that are written in the device's gates beforehand take milliseconds. Every angle of the result is affine in
the given ones (u3 after Cross, Bishop, Smolin and Gambetta, arXiv:1707.03429; sqrtswap after Vatan and Williams,
"Optimal quantum circuits for general two-qubit gates", quant-ph/0308006, figure 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np

try:
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector
except ImportError as error:
    from coevo.errors import missing_extra

    raise missing_extra("qiskit", "quantum") from error

from coevo.errors import InputError, unknown_name
from coevo.kernels.statevector.circuit import CircuitGate

PI = np.pi
Angle = Any
"""A number in radians, or a Qiskit Parameter or expression."""


def decompose(n_qubits: int, gates: Sequence[CircuitGate], angles: Sequence[Angle] | None = None) -> QuantumCircuit:
    """The gates in order as rz, sx, x and cx, equal to them up to a global phase.

    At most two sx a u3 and five rotations; two cx a cu3, rzz, rxx, ryy or rzx; three a sqrtswap or swap. Neighbouring
    rz are one, also across the control of a cx.

    Args:
        n_qubits: of the circuit.
        gates: (name, qubits, indices of its angles), as `coevo.kernels.statevector.Circuit` takes them.
        angles: what the indices name, numbers or Qiskit parameters; None makes a ParameterVector `theta`.

    Raises:
        UnknownName: a gate that has no decomposition.
        InputError: wrong numbers of qubits or angles, an index out of range, an angle that is NaN or infinite.
    """
    if angles is None:
        angles = ParameterVector("theta", max((slot + 1 for _, _, slots in gates for slot in slots), default=0))
    angles = [float(angle) if isinstance(angle, Real) else angle for angle in angles]
    for index, angle in enumerate(angles):
        if isinstance(angle, float) and not np.isfinite(angle):
            raise InputError(f"angle {index} is {angle}; expected a finite number of radians")
    writer = _Writer(n_qubits)
    for position, (name, qubits, slots) in enumerate(gates):
        if name not in _RULES:
            raise unknown_name("gate", name, _RULES, f"gate {position}")
        count, parameters, rule = _RULES[name]
        if len(qubits) != count or len(set(qubits)) != count or not all(0 <= q < n_qubits for q in qubits):
            raise InputError(
                f"gate {position}, {name!r} on qubits {tuple(qubits)}: expected {count} distinct qubits of 0 to "
                f"{n_qubits - 1}"
            )
        if len(slots) != parameters or not all(0 <= slot < len(angles) for slot in slots):
            raise InputError(
                f"gate {position}, {name!r} with angles {tuple(slots)}: expected {parameters} of the {len(angles)} "
                "angles"
            )
        rule(writer, *qubits, *(angles[slot] for slot in slots))
    return writer.finish()


class _Writer:
    """Writes a circuit; every qubit's rz wait until something that does not commute with them."""

    def __init__(self, n_qubits: int):
        self.circuit = QuantumCircuit(n_qubits)
        self._waiting: list[Angle] = [0.0] * n_qubits

    def rz(self, qubit: int, angle: Angle) -> None:
        self._waiting[qubit] = self._waiting[qubit] + angle

    def sx(self, qubit: int) -> None:
        self._flush(qubit)
        self.circuit.sx(qubit)

    def x(self, qubit: int) -> None:
        self._flush(qubit)
        self.circuit.x(qubit)

    def cx(self, control: int, target: int) -> None:
        self._flush(target)  # rz commutes with the control
        self.circuit.cx(control, target)

    def finish(self) -> QuantumCircuit:
        for qubit in range(len(self._waiting)):
            self._flush(qubit)
        return self.circuit

    def _flush(self, qubit: int) -> None:
        angle, self._waiting[qubit] = self._waiting[qubit], 0.0
        if isinstance(angle, float):
            angle = float(np.remainder(angle + PI, 2 * PI) - PI)
            if abs(angle) < 1e-12:
                return
        self.circuit.rz(angle, qubit)


def _u3(to: _Writer, qubit: int, theta: Angle, phi: Angle, lam: Angle) -> None:
    to.rz(qubit, lam)
    to.sx(qubit)
    to.rz(qubit, theta + PI)
    to.sx(qubit)
    to.rz(qubit, phi + PI)


def _h(to: _Writer, *qubits: int) -> None:
    for qubit in qubits:
        to.rz(qubit, PI / 2)
        to.sx(qubit)
        to.rz(qubit, PI / 2)


def _y(to: _Writer, qubit: int) -> None:
    to.rz(qubit, PI)
    to.x(qubit)


def _cz(to: _Writer, control: int, target: int) -> None:
    _h(to, target)
    to.cx(control, target)
    _h(to, target)


def _swap(to: _Writer, first: int, second: int) -> None:
    to.cx(first, second)
    to.cx(second, first)
    to.cx(first, second)


def _rzz(to: _Writer, first: int, second: int, theta: Angle) -> None:
    to.cx(first, second)
    to.rz(second, theta)
    to.cx(first, second)


def _rxx(to: _Writer, first: int, second: int, theta: Angle) -> None:
    _h(to, first, second)
    _rzz(to, first, second, theta)
    _h(to, first, second)


def _ryy(to: _Writer, first: int, second: int, theta: Angle) -> None:
    for qubit in (first, second):
        to.sx(qubit)
    _rzz(to, first, second, theta)
    for qubit in (first, second):  # the inverse of sx
        to.rz(qubit, PI)
        to.sx(qubit)
        to.rz(qubit, PI)


def _rzx(to: _Writer, first: int, second: int, theta: Angle) -> None:
    _h(to, second)
    _rzz(to, first, second, theta)
    _h(to, second)


def _cu3(to: _Writer, control: int, target: int, theta: Angle, phi: Angle, lam: Angle) -> None:
    to.rz(control, (lam + phi) / 2)
    to.rz(target, (lam - phi) / 2)
    to.cx(control, target)
    _u3(to, target, -theta / 2, 0.0, -(phi + lam) / 2)
    to.cx(control, target)
    _u3(to, target, theta / 2, phi, 0.0)


def _sqrtswap(to: _Writer, first: int, second: int) -> None:
    """exp(i a (XX + YY + ZZ)) with a = -pi / 8: t1 = pi / 2 - 2 a = 3 pi / 4, t2 = 2 a - pi / 2, t3 = t1."""
    to.rz(second, -PI / 2)
    to.cx(second, first)
    to.rz(first, 3 * PI / 4)
    _u3(to, second, -3 * PI / 4, 0.0, 0.0)
    to.cx(first, second)
    _u3(to, second, 3 * PI / 4, 0.0, 0.0)
    to.cx(second, first)
    to.rz(first, PI / 2)


def _turn(angle: float) -> Callable[[_Writer, int], None]:
    return lambda to, qubit: to.rz(qubit, angle)


_RULES: dict[str, tuple[int, int, Callable[..., None]]] = {  # name -> (qubits, angles, how it is written)
    "rx": (1, 1, lambda to, qubit, theta: _u3(to, qubit, theta, -PI / 2, PI / 2)),
    "ry": (1, 1, lambda to, qubit, theta: _u3(to, qubit, theta, 0.0, 0.0)),
    "rz": (1, 1, _Writer.rz),
    "u1": (1, 1, _Writer.rz),
    "u3": (1, 3, _u3),
    "cu3": (2, 3, _cu3),
    "rzz": (2, 1, _rzz),
    "rxx": (2, 1, _rxx),
    "ryy": (2, 1, _ryy),
    "rzx": (2, 1, _rzx),
    "h": (1, 0, _h),
    "x": (1, 0, _Writer.x),
    "y": (1, 0, _y),
    "z": (1, 0, _turn(PI)),
    "s": (1, 0, _turn(PI / 2)),
    "sdg": (1, 0, _turn(-PI / 2)),
    "t": (1, 0, _turn(PI / 4)),
    "tdg": (1, 0, _turn(-PI / 4)),
    "sx": (1, 0, _Writer.sx),
    "cx": (2, 0, _Writer.cx),
    "cz": (2, 0, _cz),
    "swap": (2, 0, _swap),
    "sqrtswap": (2, 0, _sqrtswap),
}
