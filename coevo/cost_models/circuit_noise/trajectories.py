"""Quantum trajectories: expectation values of circuits too large for density operators, sampled, with their error.

Each trajectory is a pure state; at every noisy step one Kraus operator is drawn with its probability in that state
(Moelmer, Castin and Dalibard, "Monte Carlo wave-function method in quantum optics", JOSA B 10, 524, 1993). The mean
over trajectories is unbiased and its error falls with their square root: about 10,000 of them for 0.01.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.cost_models.circuit_noise.batch import EncodedBatch, check_inputs, with_own_matrices
from coevo.cost_models.circuit_noise.checks import check_torch_device, floating, whole_number
from coevo.cost_models.circuit_noise.jumps import Step, draws, step_of, walked
from coevo.cost_models.circuit_noise.program import Program
from coevo.errors import InputError
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS
from coevo.kernels.pauli_transfer import row_matrices
from coevo.kernels.pauli_transfer.plan import light_cone

MAX_QUBITS = 22
"""Default limit on the light cone: a state of 22 qubits takes 64 MiB, and a step works on three copies."""
_CHUNK = 2**22  # amplitudes held at once: 64 MiB
_Z95 = 1.96

Array = NDArray[Any]


@dataclass(frozen=True)
class Sampled:
    """Means [samples, n_obs] over trajectories and their standard errors, of the same shape; see `standard_error`.

    `covariance` [samples, n_obs, n_obs] is that of a sample's means, with the squared standard errors on its diagonal:
    readouts of one trajectory are correlated.
    """

    mean: Array
    standard_error: Array
    covariance: Array


def trajectory_expectations(
    program: Program,
    inputs: ArrayLike | None = None,
    *,
    trajectories: int,
    seed: int,
    max_qubits: int = MAX_QUBITS,
    dtype: Any = np.float64,
    engine: Literal["numpy", "torch"] = "numpy",
    device: str = "cpu",
) -> Sampled:
    """Measured <Z> [samples, n_obs], estimated from `trajectories` a sample; readout error included.

    Where the light cones of all readouts together are too large, readouts are simulated in groups whose cones fit, so
    that a shallow circuit may have any number of qubits. The same seed gives the same trajectories on every engine.

    Args:
        trajectories: 2 or more.
        max_qubits: the largest light cone of a group; memory doubles with every one.
        dtype: float64 for states of complex128, float32 for complex64, half the memory. The results are float64.
        engine: "numpy", or "torch" on `device`.

    Raises:
        InputError: as `noisy_expectations`, here where the light cone of a single readout exceeds `max_qubits`.
    """
    if whole_number(trajectories, "the number of trajectories") < 2:
        raise InputError(f"expected 2 trajectories or more (one has no standard error), got {trajectories}")
    if whole_number(seed, "the seed") < 0:
        raise InputError(f"expected a seed of 0 or more, got {seed}")
    kind = np.complex128 if floating(dtype) == np.float64 else np.complex64
    if engine not in ("numpy", "torch"):
        raise InputError(f"expected an engine of numpy, torch, got {engine!r}")
    if engine == "torch":
        check_torch_device(device)
    data = check_inputs([program], inputs)
    rows, matrices = _rows(program)
    groups = _groups(program, rows, max_qubits)
    vectors = EncodedBatch([program], data, np.dtype(np.float64), with_numba=False).vectors(0)
    encoded = dict(zip(program.encoder.qubits, vectors, strict=True))
    mean, error = (np.empty((len(data), len(program.read))) for _ in range(2))
    covariance = np.zeros((*mean.shape, len(program.read)))  # groups are sampled independently
    for number, (columns, cone) in enumerate(groups):
        order = sorted(cone)
        kept, _ = light_cone(rows, [program.read[column] for column in columns])
        steps = _steps(rows[kept, :2], [matrices[index] for index in kept], order)
        reads = [order.index(program.read[column]) for column in columns]
        identity, z = program.readout[columns].T
        for sample in range(len(data)):
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(sample, number)))
            starts = {order.index(qubit): array[:, sample] for qubit, array in encoded.items() if qubit in cone}
            needed = draws(steps, starts)
            uniform = rng.random((needed, trajectories if needed else 1))
            size = max(1, _CHUNK // 2 ** len(order))
            found = np.concatenate(
                [
                    walked(
                        steps,
                        starts,
                        len(order),
                        reads,
                        uniform[:, begin : begin + size],
                        kind,
                        device if engine == "torch" else None,
                    )
                    for begin in range(0, uniform.shape[1], size)
                ]
            )
            values = identity + z * found
            mean[sample, columns] = values.mean(axis=0)
            # Without anything to draw one trajectory is the exact answer.
            error[sample, columns] = standard_error(values, identity - abs(z), identity + abs(z)) if needed else 0.0
            if needed:
                centred = values - mean[sample, columns]
                covariance[sample][np.ix_(columns, columns)] = centred.T @ centred / ((len(values) - 1) * len(values))
    diagonal = np.arange(len(program.read))
    covariance[:, diagonal, diagonal] = error**2
    return Sampled(mean, error, covariance)


def standard_error(values: Array, low: Array, high: Array) -> Array:
    """The standard error [n_obs] of the means of values [n, n_obs] that lie between `low` and `high`.

    An error that none of n trajectories saw leaves no spread, yet may happen up to 4 times in n (Wilson's interval, z =
    1.96, for none of n). So beside s / sqrt(n) stands z r / n, where r is the way from the mean to the farther bound:
    mean +- 1.96 standard errors then holds an event's true share in at least 94 % of all cases, however rare it is (n
    of 100 or more; without it, in next to none), and for common events the term vanishes as 1 / n.
    """
    n = len(values)
    mean = values.mean(axis=0)
    reach = np.maximum(high - mean, mean - low)
    result: Array = np.sqrt(values.var(axis=0, ddof=1) / n + (_Z95 * reach / n) ** 2)
    return result


def _rows(program: Program) -> tuple[NDArray[np.int32], list[Array]]:
    """The rows of the body and their noisy PTMs."""
    table = program.device.channels
    rows, singles, doubles = with_own_matrices(program, program.body.rows, table.singles, table.doubles)
    return rows, row_matrices(rows, program.body.angles, singles, doubles, SINGLE_BASIS, DOUBLE_BASIS)


def _groups(program: Program, rows: NDArray[np.int32], max_qubits: int) -> list[tuple[list[int], set[int]]]:
    """(columns of the readouts, their joint light cone), every cone within the limit: all readouts together if they
    fit, else each in the first group that it fits into."""
    groups: list[tuple[list[int], set[int]]] = []
    for column, qubit in enumerate(program.read):
        _, cone = light_cone(rows, [qubit])
        if len(cone) > max_qubits:
            raise InputError(
                f"the light cone of the readout of qubit {qubit} has {len(cone)} qubits, more than "
                f"max_qubits={max_qubits}: a state would take {2 ** len(cone) * 16 / 2**20:,.0f} MiB"
            )
        for columns, joint in groups:
            if len(joint | cone) <= max_qubits:
                columns.append(column)
                joint |= cone
                break
        else:
            groups.append(([column], cone))
    return groups


def _steps(pairs: NDArray[np.int32], matrices: Sequence[Array], order: list[int]) -> list[Step]:
    """The channels of rows, one-qubit rows merged into the next two-qubit row."""
    pending: dict[int, Array] = {}
    steps = []
    for (first, second), matrix in zip(pairs.tolist(), matrices, strict=True):
        if second < 0:
            pending[first] = matrix @ pending.get(first, np.eye(4))
            continue
        before = np.kron(pending.pop(first, np.eye(4)), pending.pop(second, np.eye(4)))
        steps.append(step_of([order.index(first), order.index(second)], matrix @ before))
    return steps + [step_of([order.index(qubit)], matrix) for qubit, matrix in pending.items()]
