"""Many programs as one batch of tensors; what `noisy_expectations` and `noisy_pauli_sums` run with engine="torch" and
engine="triton"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.circuit_noise.checks import check_torch_device
from coevo.cost_models.circuit_noise.pauli_sums import PauliSums
from coevo.cost_models.circuit_noise.program import Program
from coevo.hardware.quantum.pauli import ZERO_STATE
from coevo.hardware.quantum.table import DOUBLE_BASIS, SINGLE_BASIS

_MOST_BYTES = 2**31
"""Operators that are swept at once; a batch that needs more is swept in parts."""


def torch_expectations(
    programs: Sequence[Program], inputs: NDArray[Any], kind: Any, engine: str, device: str, max_qubits: int
) -> NDArray[Any]:
    """Measured <Z> [programs, samples, n_obs]."""
    readout = np.array([program.readout for program in programs])
    return _judged(programs, [program.read for program in programs], readout, inputs, kind, engine, device, max_qubits)


def torch_pauli_sums(
    programs: Sequence[Program],
    sums: PauliSums,
    inputs: NDArray[Any],
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
    return _judged(programs, read, (operators, matrices), inputs, kind, engine, device, max_qubits)


def _judged(
    programs: Sequence[Program],
    read: Sequence[Sequence[int]],
    measured: Any,
    inputs: NDArray[Any],
    kind: Any,
    engine: str,
    device: str,
    max_qubits: int,
) -> NDArray[Any]:
    import torch

    from coevo.cost_models.circuit_noise.batch import too_large
    from coevo.kernels.pauli_transfer.plan import plan
    from coevo.kernels.pauli_transfer.torch_sweep import meet_batch

    check_torch_device(device)
    pull_back_batch, least_width = _sweep_of(engine, device)
    rows = [program.body.rows for program in programs]
    made = plan(rows, read, [program.encoder.qubits for program in programs], least_width)
    for program, size in zip(programs, made.sizes, strict=True):
        if size > max_qubits:
            raise too_large(program, size, max_qubits)
    n_obs = len(measured[0]) if isinstance(measured, tuple) else measured.shape[1]
    if len(programs) > 1 and len(programs) * n_obs * 4**made.width * kind.itemsize > _MOST_BYTES:
        parts = []
        for part in (slice(len(programs) // 2), slice(len(programs) // 2, None)):
            own = (measured[0], measured[1][part]) if isinstance(measured, tuple) else measured[part]
            parts.append(_judged(programs[part], read[part], own, inputs, kind, engine, device, max_qubits))
        return np.concatenate(parts)
    # A program with fewer encoded qubits than another has some of its |0> digits counted as encoded.
    most = max(map(len, made.encoded))
    dtype = torch.float64 if kind == np.float64 else torch.float32
    coefficients = pull_back_batch(
        made,
        *_common(programs),
        (SINGLE_BASIS, DOUBLE_BASIS),
        measured,
        most,
        device,
        dtype,
    )
    vectors = _vectors(programs, made.encoded, most, inputs, device, dtype)
    result: NDArray[Any] = meet_batch(coefficients, vectors).cpu().numpy()
    return result


def _vectors(
    programs: Sequence[Program], encoded: list[list[int]], most: int, inputs: NDArray[Any], device: str, dtype: Any
) -> Any:
    """The encoded samples as a tensor [programs, most, 4, samples]. Equal encoders of a qubit are prepared once; number
    0 is a qubit in |0>."""
    import torch

    from coevo.cost_models.circuit_noise.batch import merged_steps
    from coevo.kernels.pauli_transfer.torch_encode import encode_batch

    if not most:
        return torch.empty(len(programs), 0, 4, len(inputs), dtype=dtype, device=device)
    numbers: dict[tuple[int, bytes], int] = {}
    prepared: list[tuple[NDArray[Any], ...]] = []
    chosen = np.zeros((len(programs), most), np.int64)
    for index, (program, qubits) in enumerate(zip(programs, encoded, strict=True)):
        encoder = program.encoder
        for place, qubit in enumerate(qubits):
            part = encoder.qubits.index(qubit)
            key = (id(program.device), encoder.keys[part])
            if key not in numbers:
                numbers[key] = 1 + len(prepared)
                prepared.append((*merged_steps(encoder, encoder.parts[part]), encoder.parts[part].slopes))
            chosen[index, place] = numbers[key]
    rotations = max([0, *(len(steps) for _, steps, _, _, _ in prepared)])
    first = np.tile(ZERO_STATE, (1 + len(prepared), 1))
    every = np.zeros((len(first), rotations, 3, 4, 4))
    every[:, :, 0] = np.eye(4)
    constants = np.zeros((len(first), rotations))
    weights = np.zeros((len(first), rotations, inputs.shape[1]))
    for number, (vector, steps, offsets, terms, slopes) in enumerate(prepared, 1):
        first[number], every[number, : len(steps)], constants[number, : len(steps)] = vector, steps, offsets
        np.add.at(weights[number], (terms[:, 0], terms[:, 1]), slopes)
    tensors = [torch.from_numpy(array).to(device) for array in (first, every, constants, weights, inputs)]
    return encode_batch(*tensors).to(dtype)[torch.from_numpy(chosen).to(device)]


def _sweep_of(engine: str, device: str) -> tuple[Any, int]:
    """The batch's sweep, and the least width that its plan must have."""
    if engine == "torch":
        from coevo.kernels.pauli_transfer.torch_sweep import pull_back_batch

        return pull_back_batch, 2
    from coevo.kernels.pauli_transfer import triton_sweep

    triton_sweep.check_device(device)
    return triton_sweep.pull_back_batch, triton_sweep.MIN_WIDTH


def _common(programs: Sequence[Program]) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(rows, angles, singles, doubles) of all programs, their matrices numbered in one pair of stacks for all devices
    of the batch."""
    from coevo.cost_models.circuit_noise.batch import with_own_matrices

    numbered: dict[int, tuple[int, int]] = {}
    stacks: tuple[list[Any], list[Any]] = ([np.empty((0, 4, 4))], [np.empty((0, 16, 16))])
    counts = [0, 0]
    made, offsets = [], []
    for program in programs:
        rows = program.body.rows
        key = id(program) if program.matrices else id(program.device)
        if key not in numbered:
            table = program.device.channels
            rows, singles, doubles = with_own_matrices(program, rows, table.singles, table.doubles)
            numbered[key] = (counts[0], counts[1])
            for place, stack in enumerate((singles, doubles)):
                stacks[place].append(stack)
                counts[place] += len(stack)
        made.append(rows)
        offsets.append(numbered[key])
    whole = np.concatenate(made)
    shift = np.repeat(np.array(offsets, np.int32), [len(rows) for rows in made], axis=0)
    whole[:, 3] += np.where(whole[:, 3] >= 0, np.where(whole[:, 1] < 0, shift[:, 0], shift[:, 1]), 0)
    angles = np.concatenate([program.body.angles for program in programs])
    return whole, angles, np.concatenate(stacks[0]), np.concatenate(stacks[1])
