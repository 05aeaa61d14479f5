"""Quantum trajectories of pure states: channels as Kraus operators, one drawn a trajectory and step.

The arrays are NumPy's, or torch's where a device is given; all draws come from uniform numbers that the caller made, so
that both walk the same trajectories. A state is [trajectories] + [2] * n, its qubits in the order of the light cone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.hardware.quantum.pauli import pauli_strings

_NEGLIGIBLE = 1e-14
_PURE = 1 - 1e-12

Array = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """A channel on one or two axes of the state: Kraus operators [K, d, d] and their products K^dagger K."""

    axes: tuple[int, ...]
    kraus: Array
    squares: Array


def step_of(axes: Sequence[int], matrix: Array) -> Step:
    """A channel by its PTM, the first axis the most significant."""
    kraus = kraus_operators(matrix)
    return Step(tuple(axes), kraus, kraus.conj().transpose(0, 2, 1) @ kraus)


def kraus_operators(matrix: Array) -> Array:
    """Kraus operators [K, d, d] of a channel's PTM [d^2, d^2], from the eigenvectors of its Choi matrix; the first
    qubit is the most significant, as in the PTM."""
    dim = round(np.sqrt(len(matrix)))
    paulis = pauli_strings(dim.bit_length() - 1)
    # E(|k><l|) = 1/d sum_ij R_ij (P_j)_lk P_i
    image = np.einsum("ij,jlk,iab->akbl", matrix, paulis, paulis, optimize=True) / dim
    values, vectors = np.linalg.eigh(image.reshape(dim**2, dim**2))
    kept = values > _NEGLIGIBLE
    kraus: Array = (np.sqrt(values[kept]) * vectors[:, kept]).T.reshape(-1, dim, dim)
    return kraus


def draws(steps: Sequence[Step], vectors: dict[int, Array]) -> int:
    """How many uniform numbers a trajectory needs. `vectors` [4] are the Pauli vectors of the qubits not in |0>."""
    return sum(len(step.kraus) > 1 for step in steps) + sum(_length(vector) < _PURE for vector in vectors.values())


def walked(
    steps: Sequence[Step],
    vectors: dict[int, Array],
    n: int,
    reads: Sequence[int],
    uniform: Array,
    kind: Any,
    device: str | None,
) -> Array:
    """<Z> [trajectories, n_obs] at the end, by uniform numbers [draws, trajectories].

    `kind` is complex128 or complex64; `device` is torch's, None for NumPy.
    """
    numbers = iter(uniform)
    state: Any = _initial(uniform.shape[1], n, vectors, numbers).astype(kind)
    xp: Any = np
    if device is not None:
        import torch as xp

        state = xp.as_tensor(state, device=device)
    for step in steps:
        state = _jump(state, step, numbers, xp)
    chance = abs(state.reshape(len(state), -1)) ** 2
    columns = []
    for axis in reads:
        sums = chance.reshape(len(chance), 2**axis, 2, -1).sum(axis=(1, 3))
        columns.append(sums[:, 0] - sums[:, 1])
    result = xp.stack(columns, axis=1)
    found: Array = np.asarray(result if device is None else result.cpu(), dtype=np.float64)
    return found


def _initial(count: int, n: int, vectors: dict[int, Array], numbers: Any) -> Array:
    """[count] + [2] * n: a mixed qubit is one of the two ends of its Bloch axis, drawn by weight."""
    state = np.ones((count, 1), complex)
    for axis in range(n):
        qubit = np.zeros((count, 2), complex)
        qubit[:, 0] = 1
        if axis in vectors:
            ends, length = _ends(vectors[axis]), _length(vectors[axis])
            qubit[:] = ends[0]
            if length < _PURE:
                qubit = ends[(next(numbers) >= (1 + length) / 2).astype(int)]
        state = (state[:, :, None] * qubit[:, None, :]).reshape(count, -1)
    return state.reshape([count] + [2] * n)


def _length(vector: Array) -> float:
    return min(1.0, float(np.linalg.norm(vector[1:])))


def _ends(vector: Array) -> Array:
    """The two pure states [2, 2] along and against a Pauli vector's Bloch vector."""
    x, y, z = vector[1:].tolist()
    theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    cosine, sine, phase = np.cos(theta / 2), np.sin(theta / 2), np.exp(1j * phi)
    return np.array([[cosine, phase * sine], [-sine, phase * cosine]])


def _jump(state: Any, step: Step, numbers: Any, xp: Any) -> Any:
    """Every trajectory after one Kraus operator, drawn by its probability, normalised."""

    def put(array: Array) -> Any:
        return array if xp is np else xp.as_tensor(array, device=state.device)

    axes, front = [axis + 1 for axis in step.axes], list(range(1, 1 + len(step.axes)))
    moved = xp.moveaxis(state, axes, front)
    shape = moved.shape
    flat = moved.reshape(len(state), step.kraus.shape[1], -1)
    kraus = put(step.kraus.astype(np.complex64 if "64" in str(state.dtype) else np.complex128))
    if len(step.kraus) == 1:
        after = kraus[0] @ flat
    else:
        reduced: Any = flat @ xp.moveaxis(flat.conj(), 1, 2)
        reduced = np.asarray(reduced if xp is np else reduced.cpu(), dtype=complex)
        chances = np.einsum("kij,tji->tk", step.squares, reduced).real.clip(min=0)
        total = np.cumsum(chances, axis=1)
        drawn = (next(numbers)[:, None] * total[:, -1:] >= total).sum(axis=1).clip(max=len(step.kraus) - 1)
        scale = 1 / np.sqrt(np.take_along_axis(chances, drawn[:, None], 1))[:, :, None]
        after = (kraus[put(drawn)] * put(scale.astype(np.float32 if "64" in str(kraus.dtype) else float))) @ flat
    return xp.moveaxis(after.reshape(shape), front, axes)
