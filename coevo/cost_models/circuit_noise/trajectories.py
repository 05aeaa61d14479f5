"""Quantum trajectories: expectation values of circuits too large for density operators, sampled, with their error.

Each trajectory is a pure state; at every noisy step one Kraus operator is drawn with its probability in that state
(Moelmer, Castin and Dalibard, "Monte Carlo wave-function method in quantum optics", JOSA B 10, 524, 1993). The mean
over trajectories is unbiased and its error falls with their square root: about 10,000 of them for 0.01.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.cost_models.circuit_noise.batch import EncodedBatch, check_inputs, with_own_matrices
from coevo.cost_models.circuit_noise.program import Program
from coevo.errors import InputError
from coevo.hardware.quantum.pauli import pauli_strings
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS

MAX_QUBITS = 22
"""Default limit on the light cone: a state of 22 qubits takes 64 MiB."""
_CHUNK = 2**22  # amplitudes held at once: 64 MiB
_NEGLIGIBLE = 1e-14

Array = NDArray[Any]


@dataclass(frozen=True)
class Sampled:
    """Means [samples, n_obs] over trajectories and their standard errors, of the same shape."""

    mean: Array
    standard_error: Array


@dataclass(frozen=True)
class _Step:
    """A channel on one or two axes of the state: Kraus operators [K, d, d] and their products K^dagger K."""

    axes: tuple[int, ...]
    kraus: Array
    squares: Array


def trajectory_expectations(
    program: Program, inputs: ArrayLike | None = None, *, trajectories: int, seed: int, max_qubits: int = MAX_QUBITS
) -> Sampled:
    """Measured <Z> [samples, n_obs], estimated from `trajectories` (2 or more) a sample; readout error included.

    The same seed gives the same numbers. InputError as `noisy_expectations`, here beyond `max_qubits`.
    """
    if trajectories < 2:
        raise InputError(f"expected 2 trajectories or more (one has no standard error), got {trajectories}")
    data = check_inputs([program], inputs)
    steps, cone = _steps(program)
    if len(cone) > max_qubits:
        raise InputError(
            f"the light cone of the readout has {len(cone)} qubits, more than max_qubits={max_qubits}: a state would "
            f"take {2 ** len(cone) * 16 / 2**20:,.0f} MiB"
        )
    vectors = EncodedBatch([program], data, np.dtype(np.float64), with_numba=False).vectors(0)
    starts = {cone.index(q): v for q, v in zip(program.encoder.qubits, vectors, strict=True) if q in cone}
    reads = [cone.index(qubit) for qubit in program.read]
    mean, error = (np.empty((len(data), len(reads))) for _ in range(2))
    for sample in range(len(data)):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(sample,)))
        found = []
        left = trajectories
        while left:
            count = min(left, max(1, _CHUNK // 2 ** len(cone)))
            state = _initial(count, len(cone), {axis: vector[:, sample] for axis, vector in starts.items()}, rng)
            for step in steps:
                state = _jump(state, step, rng)
            found.append(_measured_z(state, reads))
            left -= count
        values = program.readout[:, 0] + program.readout[:, 1] * np.concatenate(found)
        mean[sample] = values.mean(axis=0)
        error[sample] = values.std(axis=0, ddof=1) / np.sqrt(trajectories)
    return Sampled(mean, error)


def _steps(program: Program) -> tuple[list[_Step], list[int]]:
    """The channels inside the light cone, one-qubit rows in a run merged, and the cone's qubits."""
    from coevo.kernels.pauli_transfer import row_matrices

    table = program.device.channels
    rows, singles, doubles = with_own_matrices(program, program.body.rows, table.singles, table.doubles)
    matrices = row_matrices(rows, program.body.angles, singles, doubles, SINGLE_BASIS, DOUBLE_BASIS)
    cone, kept = set(program.read), []
    for position in range(len(rows) - 1, -1, -1):
        places = [qubit for qubit in rows[position, :2].tolist() if qubit >= 0]
        if not cone.isdisjoint(places):
            cone.update(places)
            kept.append((places, matrices[position]))
    order = sorted(cone)
    pending: dict[int, Array] = {}
    steps = []
    for places, matrix in reversed(kept):
        if len(places) == 1:
            pending[places[0]] = matrix @ pending.get(places[0], np.eye(4))
            continue
        steps += [_step([qubit], pending.pop(qubit), order) for qubit in places if qubit in pending]
        steps.append(_step(places, matrix, order))
    steps += [_step([qubit], matrix, order) for qubit, matrix in pending.items()]
    return steps, order


def _step(qubits: list[int], matrix: Array, order: list[int]) -> _Step:
    kraus = kraus_operators(matrix)
    return _Step(tuple(order.index(qubit) for qubit in qubits), kraus, kraus.conj().transpose(0, 2, 1) @ kraus)


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


def _initial(count: int, n: int, vectors: dict[int, Array], rng: np.random.Generator) -> Array:
    """[count] + [2] * n: a mixed qubit is one of the two ends of its Bloch axis, drawn by weight."""
    state = np.ones((count, 1), complex)
    for axis in range(n):
        qubit = np.zeros((count, 2), complex)
        qubit[:, 0] = 1
        if axis in vectors:
            x, y, z = vectors[axis][1:]
            ends = _ends(float(x), float(y), float(z))
            length = min(1.0, float(np.sqrt(x * x + y * y + z * z)))
            qubit = ends[(rng.random(count) >= (1 + length) / 2).astype(int)]
        state = (state[:, :, None] * qubit[:, None, :]).reshape(count, -1)
    return state.reshape([count] + [2] * n)


def _ends(x: float, y: float, z: float) -> Array:
    """The two pure states [2, 2] along and against a Bloch vector."""
    theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    cosine, sine, phase = np.cos(theta / 2), np.sin(theta / 2), np.exp(1j * phi)
    return np.array([[cosine, phase * sine], [-sine, phase * cosine]])


def _jump(state: Array, step: _Step, rng: np.random.Generator) -> Array:
    """Every trajectory after one Kraus operator, drawn by its probability, normalised."""
    axes = [axis + 1 for axis in step.axes]
    moved = np.moveaxis(state, axes, range(1, 1 + len(axes)))
    shape = moved.shape
    flat = moved.reshape(len(state), step.kraus.shape[1], -1)
    if len(step.kraus) == 1:
        after = step.kraus[0] @ flat
    else:
        reduced = flat @ flat.conj().transpose(0, 2, 1)
        chances = np.einsum("kij,tji->tk", step.squares, reduced).real.clip(min=0)
        total = np.cumsum(chances, axis=1)
        drawn = (rng.random(len(state))[:, None] * total[:, -1:] >= total).sum(axis=1).clip(max=len(step.kraus) - 1)
        after = step.kraus[drawn] @ flat
        after /= np.sqrt(np.take_along_axis(chances, drawn[:, None], 1))[:, :, None]
    return np.moveaxis(after.reshape(shape), range(1, 1 + len(axes)), axes)


def _measured_z(state: Array, reads: list[int]) -> Array:
    """<Z> [trajectories, n_obs]."""
    chance = np.abs(state) ** 2
    columns = []
    for axis in reads:
        sums = chance.sum(axis=tuple(other for other in range(1, state.ndim) if other != axis + 1))
        columns.append(sums[:, 0] - sums[:, 1])
    return np.stack(columns, axis=1)
