"""Many programs as one batch of tensors; what `noisy_expectations` and `noisy_pauli_sums` run with engine="torch" and
engine="triton"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.circuit_noise.checks import check_torch_device
from coevo.cost_models.circuit_noise.pauli_sums import PauliSums
from coevo.cost_models.circuit_noise.program import Program
from coevo.hardware.quantum.pauli import ZERO_STATE
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS

if TYPE_CHECKING:
    from coevo.cost_models.circuit_noise.batch import EncodedBatch


def torch_expectations(
    programs: Sequence[Program], states: EncodedBatch, kind: Any, engine: str, device: str, max_qubits: int
) -> NDArray[Any]:
    """Measured <Z> [programs, samples, n_obs]."""
    readout = np.array([program.readout for program in programs])
    return _judged(programs, [program.read for program in programs], readout, states, kind, engine, device, max_qubits)


def torch_pauli_sums(
    programs: Sequence[Program],
    sums: PauliSums,
    states: EncodedBatch,
    kind: Any,
    engine: str,
    device: str,
    max_qubits: int,
) -> NDArray[Any]:
    """Measured Pauli sums [programs, samples, n_obs]; one place at least is touched."""
    places = sums.touched
    operators = np.array([sums.operator(observable, places).ravel() for observable in range(len(sums.supports))])
    matrices = np.array([sums.measured(program, places) for program in programs])
    read = [[program.read[place] for place in places] for program in programs]
    return _judged(programs, read, (operators, matrices), states, kind, engine, device, max_qubits)


def _judged(
    programs: Sequence[Program],
    read: Sequence[Sequence[int]],
    measured: Any,
    states: EncodedBatch,
    kind: Any,
    engine: str,
    device: str,
    max_qubits: int,
) -> NDArray[Any]:
    import torch

    from coevo.cost_models.circuit_noise.batch import too_large
    from coevo.kernels.pauli_transfer.plan import light_cone, plan
    from coevo.kernels.pauli_transfer.torch_sweep import meet_batch

    check_torch_device(device)
    pull_back_batch, least_width = _sweep_of(engine, device)
    rows, singles, doubles = _common(programs)
    encoded = []
    for own, qubits, program in zip(rows, read, programs, strict=True):
        cone = light_cone(own, qubits)[1]
        encoded.append([qubit for qubit in program.encoder.qubits if qubit in cone])
    # A program with fewer encoded qubits than another has some of its |0> digits counted as encoded.
    most = max(map(len, encoded))
    made, sizes = plan(rows, read, encoded, least_width)
    for program, size in zip(programs, sizes, strict=True):
        if size > max_qubits:
            raise too_large(program, size, max_qubits)
    dtype = torch.float64 if kind == np.float64 else torch.float32
    coefficients = pull_back_batch(
        made,
        np.concatenate(rows),
        np.concatenate([program.body.angles for program in programs]),
        singles,
        doubles,
        (SINGLE_BASIS, DOUBLE_BASIS),
        measured,
        most,
        device,
        dtype,
    )
    vectors = np.empty((len(programs), most, 4, states.samples), kind)
    vectors[:] = ZERO_STATE[:, None]
    for index, (program, qubits) in enumerate(zip(programs, encoded, strict=True)):
        own_vectors = dict(zip(program.encoder.qubits, states.vectors(index), strict=True))
        for place, qubit in enumerate(qubits):
            vectors[index, place] = own_vectors[qubit]
    result: NDArray[Any] = meet_batch(coefficients, torch.as_tensor(vectors, device=device)).cpu().numpy()
    return result


def _sweep_of(engine: str, device: str) -> tuple[Any, int]:
    """The batch's sweep, and the least width that its plan must have."""
    if engine == "torch":
        from coevo.kernels.pauli_transfer.torch_sweep import pull_back_batch

        return pull_back_batch, 2
    from coevo.kernels.pauli_transfer import triton_sweep

    triton_sweep.check_device(device)
    return triton_sweep.pull_back_batch, triton_sweep.MIN_WIDTH


def _common(programs: Sequence[Program]) -> tuple[list[NDArray[np.int32]], NDArray[Any], NDArray[Any]]:
    """Rows whose matrices are numbered in one pair of stacks for all devices of the batch."""
    from coevo.cost_models.circuit_noise.batch import with_own_matrices

    offsets: dict[int, tuple[int, int]] = {}
    stacks: tuple[list[Any], list[Any]] = ([np.empty((0, 4, 4))], [np.empty((0, 16, 16))])
    counts = [0, 0]
    made = []
    for program in programs:
        table = program.device.channels
        rows, singles, doubles = with_own_matrices(program, program.body.rows, table.singles, table.doubles)
        key = id(program) if program.matrices else id(program.device)
        if key not in offsets:
            offsets[key] = (counts[0], counts[1])
            for place, stack in enumerate((singles, doubles)):
                stacks[place].append(stack)
                counts[place] += len(stack)
        shift = np.where(rows[:, 1] < 0, *offsets[key]) * (rows[:, 3] >= 0)
        rows = rows.copy()
        rows[:, 3] += shift.astype(np.int32)
        made.append(rows)
    return made, np.concatenate(stacks[0]), np.concatenate(stacks[1])
