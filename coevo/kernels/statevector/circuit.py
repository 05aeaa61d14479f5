"""A parametrised circuit of any gates of the QuantumNAS spaces: states, unitaries and gradients for many candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import InputError, unknown_name
from coevo.kernels.statevector.fusion import fuse
from coevo.kernels.statevector.reference import Complex, Real, gate_matrix

MAX_QUBITS = 20
"""A state of 20 qubits takes 16 MiB in double precision."""
MAX_UNITARY_QUBITS = 10
"""The unitary of 10 qubits takes 16 MiB in double precision."""

# name -> (code of `adjoint`, qubits, angles)
_GATES: dict[str, tuple[int, int, int]] = {
    "rx": (1, 1, 1),
    "ry": (2, 1, 1),
    "rz": (3, 1, 1),
    "u1": (4, 1, 1),
    "u3": (5, 1, 3),
    "cu3": (5, 2, 3),
    "rzz": (6, 2, 1),
    "rxx": (7, 2, 1),
    "ryy": (8, 2, 1),
    "rzx": (7, 2, 1),
} | dict.fromkeys(("h", "x", "y", "z", "s", "sdg", "t", "tdg", "sx"), (0, 1, 0))
_GATES |= dict.fromkeys(("cx", "cz", "swap", "sqrtswap"), (0, 2, 0))
GATES = tuple(_GATES)
"""Names that a `Circuit` knows."""

CircuitGate = tuple[str, Sequence[int], Sequence[int]]
"""(name, qubits, indices of its angles in the angle vector); a controlled gate names its control first."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the gradient needs of a forward pass."""

    angles: Real
    active: NDArray[np.uint8]
    re: Real  # [candidates, 2^n, width]
    im: Real
    matrices: Real  # [candidates, G, 10]
    by_states: bool  # made by `evolve`


class Circuit:
    """Gates in order on n qubits (1 to 20), for candidates that share the list and differ by angles and masks.

    Angles are real arrays [candidates, A], radians; several gates may share an angle. `active` [candidates, G] leaves
    gates out (a SubCircuit). Precision follows the angles: float64 works in complex128, float32 in complex64.
    """

    def __init__(self, n_qubits: int, gates: Sequence[CircuitGate]):
        if not 1 <= n_qubits <= MAX_QUBITS:
            raise InputError(f"expected 1 to {MAX_QUBITS} qubits, got {n_qubits}")
        self.n_qubits = n_qubits
        self.gates = tuple((name, tuple(qubits), tuple(slots)) for name, qubits, slots in gates)
        rows, slots_of = [], []
        fixed: dict[str, int] = {}
        for name, qubits, slots in self.gates:
            if name not in _GATES:
                raise unknown_name("gate", name, _GATES)
            code, count, angles = _GATES[name]
            if len(qubits) != count or len(set(qubits)) != count or not all(0 <= q < n_qubits for q in qubits):
                raise InputError(
                    f"gate {name!r} on qubits {qubits}: expected {count} distinct qubits of 0 to {n_qubits - 1}"
                )
            if len(slots) != angles or any(slot < 0 for slot in slots):
                raise InputError(f"gate {name!r} takes {angles} angles, got the indices {slots}")
            number = fixed.setdefault(name, len(fixed)) if code == 0 else 0
            rows.append((*_pairs(name, tuple(qubits)), code, number))
            slots_of.append((*slots, *[slots[0] if slots else 0] * (3 - len(slots))))
        self.n_angles = 1 + max((slot for _, _, slots in self.gates for slot in slots), default=-1)
        self._rows = np.array(rows, np.int32).reshape(-1, 8)
        self._slots = np.array(slots_of, np.int32).reshape(-1, 3)
        self.fused = fuse(self._rows)
        self._all = np.ones((1, len(rows)), np.uint8)  # every gate, for as many candidates as came last
        self._fixed = {
            np.dtype(kind): np.array([_pair_matrix(name) for name in fixed], kind).reshape(-1, 8)
            for kind in (np.float64, np.float32)
        }

    def unitary(self, angles: Real, active: Any = None) -> tuple[Complex, Record]:
        """The whole circuit [candidates, 2^n, 2^n] and the record for `gradient`; up to 10 qubits."""
        if self.n_qubits > MAX_UNITARY_QUBITS:
            raise InputError(
                f"expected at most {MAX_UNITARY_QUBITS} qubits for a unitary, got {self.n_qubits}; `evolve` takes up "
                f"to {MAX_QUBITS}"
            )
        dim = 2**self.n_qubits
        eye = np.eye(dim, dtype=angles.dtype)
        count = len(angles)
        start = np.broadcast_to(eye, (count, dim, dim)).copy()
        return self._run(angles, active, start, np.zeros((count, dim, dim), angles.dtype))

    def evolve(self, angles: Real, states: Complex, active: Any = None) -> tuple[Complex, Record]:
        """States [candidates, batch, 2^n] after the circuit, from states [batch, 2^n] or [candidates, batch, 2^n].

        Cheaper than `unitary` where there are fewer states than 2^n.
        """
        dim = 2**self.n_qubits
        if states.shape[-1] != dim or states.ndim not in (2, 3):
            raise InputError(f"expected states [batch, {dim}], got shape {states.shape}")
        columns = np.broadcast_to(states, (len(angles), *states.shape[-2:])).swapaxes(1, 2)
        out, record = self._run(
            angles,
            active,
            np.ascontiguousarray(columns.real, dtype=angles.dtype),
            np.ascontiguousarray(columns.imag, dtype=angles.dtype),
        )
        return out.swapaxes(1, 2), replace(record, by_states=True)

    def gradient(self, record: Record, whole: Complex) -> Real:
        """dL / d angles [candidates, A] from dL / d unitary [candidates, 2^n, 2^n], dL = Re sum(conj(whole) * dU).

        After `evolve`, `whole` is [candidates, batch, 2^n], by the states instead.
        """
        from coevo.kernels.statevector.adjoint import backward_all

        count, dim, width = record.re.shape
        wanted = (count, width, dim) if record.by_states else record.re.shape
        if whole.shape != wanted:
            raise InputError(f"expected a gradient of shape {wanted}, got {whole.shape}")
        if record.by_states:
            whole = whole.swapaxes(1, 2)
        kind = record.re.dtype
        out = np.zeros_like(record.angles)
        re, im = record.re.copy(), record.im.copy()
        l_re, l_im = (np.ascontiguousarray(part, dtype=kind) for part in (whole.real, whole.imag))
        if np.shares_memory(l_re, whole):
            l_re, l_im = l_re.copy(), l_im.copy()
        backward_all(self._rows, self._slots, record.active, record.matrices, re, im, l_re, l_im, out)
        return out

    def checked(self, angles: ArrayLike, active: ArrayLike | None, dtype: Any) -> tuple[Any, Any, Any, Any, Any]:
        """The leading arguments of the compiled kernels: gates, slots, fixed matrices, angles [C, A] (at least one
        column, so that there is something to point into), active uint8 [C, G]."""
        numbers = np.ascontiguousarray(angles, dtype=dtype)
        if numbers.ndim != 2 or numbers.shape[1] != self.n_angles or numbers.dtype not in self._fixed:
            raise InputError(
                f"expected angles [candidates, {self.n_angles}] in float64 or float32, got shape {numbers.shape} in "
                f"{numbers.dtype}"
            )
        if not _finite()(numbers):
            raise InputError("expected finite angles, got NaN or infinity among them")
        count, n_gates = len(numbers), len(self._rows)
        if active is None:
            mask = self._all
            if len(mask) != count:
                mask = self._all = np.ones((count, n_gates), np.uint8)
        else:
            mask = np.ascontiguousarray(active, dtype=np.uint8)
            if mask.shape != (count, n_gates):
                raise InputError(f"expected active [candidates, {n_gates}], got shape {mask.shape}")
        if not self.n_angles:
            numbers = np.zeros((count, 1), numbers.dtype)
        return self._rows, self._slots, self._fixed[numbers.dtype], numbers, mask

    def _run(self, angles: Real, active: Any, re: Real, im: Real) -> tuple[Complex, Record]:
        from coevo.kernels.statevector.adjoint import forward_all

        arguments = self.checked(angles, active, angles.dtype)
        matrices = np.empty((len(re), len(self._rows), 10), re.dtype)
        forward_all(*arguments, re, im, matrices)
        return re + 1j * im, Record(arguments[3][:, : self.n_angles], arguments[4], re, im, matrices, False)


@cache
def _finite() -> Callable[[Real], bool]:
    """`adjoint.all_finite`: numba is an extra, and an import statement takes its time in every step."""
    from coevo.kernels.statevector.adjoint import all_finite

    check: Callable[[Real], bool] = all_finite
    return check


def _pairs(name: str, qubits: tuple[int, ...]) -> tuple[int, int, int, int, int, int]:
    """Which rows a gate mixes: pivot, mask, control, value, variant and stride, see `adjoint`."""
    last = 1 << qubits[-1]
    if len(qubits) == 1:
        return last, last, 0, 0, 0, last
    first = 1 << qubits[0]
    stride = min(first, last)
    if name in ("cu3", "cx", "cz"):
        return last, last, first, first, 0, stride
    if name in ("swap", "sqrtswap"):  # 01 with 10
        return last, first | last, first, first, 0, stride
    if name == "rxx":
        return last, first | last, 0, 0, 0, stride
    if name == "ryy":  # YY is -1 between 00 and 11, and 1 between 01 and 10
        return last, first | last, 0, 0, first, stride
    return last, last, 0, 0, first, stride  # rzz, rzx: the first qubit's Z


def _pair_matrix(name: str) -> list[float]:
    """The [2, 2] matrix of a fixed gate on its pairs: re and im of 00, 01, 10, 11."""
    matrix = gate_matrix(name)
    if name in ("cx", "cz"):
        matrix = matrix[np.ix_([1, 3], [1, 3])]
    elif len(matrix) == 4:
        matrix = matrix[1:3, 1:3]
    return [part for entry in matrix.ravel() for part in (entry.real, entry.imag)]
