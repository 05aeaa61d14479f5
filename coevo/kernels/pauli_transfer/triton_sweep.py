"""The backward sweep on a CUDA device, in a handful of launches for a whole batch.

What the plan decides is uploaded in two transfers. One launch merges the one-qubit rows, one the blocks; then each
stage (`coevo.kernels.pauli_transfer.stages`) is one launch that reads and writes every operator once, in place, for all
of its blocks: an operator of up to six digits lives on the chip for its whole circuit. `torch_sweep` is the plain
tensor code that this one is held against. Conventions: `coevo.kernels.pauli_transfer`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.kernels.pauli_transfer import triton_kernels as kernels
from coevo.kernels.pauli_transfer.plan import Plan
from coevo.kernels.pauli_transfer.stages import Stages, stages
from coevo.kernels.pauli_transfer.torch_sweep import Operators, Tensor

WHOLE = 6
"""Operators of so many digits or fewer are one tile: 4,096 coefficients, 32 KiB in double precision."""
TILE = 5
"""Digits of a tile of larger operators. One more saves a pass over the operators of 10 qubits, and is slower on an H200
all the same: the tile's way through shared memory counts."""
MIN_WIDTH = 4
"""The least width that a plan must have here: the matrix units take 16 columns."""
_ALIGN = 16  # elements: every packed array begins at a multiple of 64 bytes


def check_device(device: str) -> None:
    """InputError unless the device is one that Triton compiles for (or its interpreter runs)."""
    if torch.device(device).type != "cuda" and not kernels.INTERPRETED:
        raise InputError(
            f"the engine 'triton' compiles for CUDA devices, got the device {device!r}; expected 'cuda', or the engine "
            "'torch' or 'compiled'"
        )


def stages_of(made: Plan, reached: list[list[int]]) -> Stages:
    """The stages of a plan as this sweep takes them; `reached` as `stages` has it."""
    return stages(made, reached, made.width if made.width <= WHOLE else TILE)


def pull_back_batch(
    made: Plan,
    rows: NDArray[np.int32],
    angles: Any,
    singles: Any,
    doubles: Any,
    bases: tuple[Any, Any],
    measured: Any | Operators,
    num_encoded: int,
    device: str,
    dtype: Any,
) -> Tensor:
    """As `torch_sweep.pull_back_batch`, for a plan of `MIN_WIDTH` digits or more."""
    programs, count = made.starts.shape[:2]
    width = made.width
    whole = isinstance(measured, tuple)
    n_obs = len(measured[0]) if whole else count
    digits = made.starts[:, :, 0]
    masks = (1 << digits).tolist()
    reached = [[sum(mask)] * n_obs for mask in masks] if whole else masks
    parts = stages_of(made, reached)
    small, small_ranges = _sorted(made.singles[:, 1], made.segments)
    large, large_ranges = _sorted(made.doubles[:, 1], int(made.doubles[:, 1].max(initial=0)) + 1)
    double = made.doubles[large]
    bit = 2 * (width - 1 - digits)
    start_shifts = np.repeat(bit[:, ::-1], n_obs, axis=0) if whole else bit.reshape(-1, 1)
    ends = np.concatenate([made.order[:, num_encoded:], made.order[:, :num_encoded][:, ::-1]], axis=1)
    integers = _upload(
        np.int32,
        device,
        small_ranges,
        rows[made.singles[small, 0], 2:] + 1,
        large_ranges,
        np.column_stack([rows[double[:, 0], 2:] + 1, double[:, 3:]]),
        parts.steps,
        parts.ranges,
        parts.shifts,
        parts.tiles,
        start_shifts,
        np.repeat(2 * (width - 1 - ends), n_obs, axis=0),
        made.starts[:, :, 1],
    )
    (
        small_ranges_, small_codes, large_ranges_, large_codes, steps, ranges, shifts, tiles, start_at, end_at, tails
    ) = integers  # fmt: skip
    given = tuple(measured) if whole else (measured,)
    angle = np.asarray(angles, np.float64)
    small_turns, large_turns, one, two, single, double_, *given_ = _upload(
        np.float64,
        device,
        _turns(angle[made.singles[small, 0]]),
        _turns(angle[double[:, 0]]),
        _with_identity(bases[0], 4),
        _with_identity(bases[1], 16),
        np.concatenate([np.eye(4)[None], singles]),
        np.concatenate([np.eye(16)[None], doubles]),
        *given,
    )
    segment = torch.empty(made.segments, 4, 4, dtype=torch.float64, device=device)
    blocks = torch.empty(len(large_ranges) - 1, 16, 16, dtype=dtype, device=device)
    on = [(made.segments,), (len(blocks),)]
    kernels.segments[on[0]](small_ranges_, small_codes, small_turns, one, single, segment, num_warps=1)
    kernels.merged_blocks[on[1]](large_ranges_, large_codes, large_turns, two, double_, segment, blocks, num_warps=1)
    tail = segment[tails.long()]  # [programs, count, 4, 4]
    if whole:
        start = _operators_before(given_[0], given_[1] @ tail)
    else:
        start = given_[0][..., :1] * tail[:, :, 0, :] + given_[0][..., 1:] * tail[:, :, 3, :]
    start = start.reshape(programs * n_obs, -1).to(dtype)
    operators = torch.zeros(programs * n_obs, 4**width, dtype=dtype, device=device)
    chunk = min(start.shape[1], 256)
    each = start.shape[1] // chunk
    kernels.place[(len(start) * each,)](
        start, start_at, operators, width, each, DIGITS=start_at.shape[1], CHUNK=chunk, num_warps=1
    )
    for stage, most in enumerate(parts.tiles.max(axis=1).tolist()):
        if most:
            kernels.sweep[(most * len(operators),)](
                operators, blocks, steps, ranges[stage], shifts[stage], tiles[stage], width, most,
                TILE=parts.tile, num_warps=4,
            )  # fmt: skip
    ground = width - num_encoded
    out = torch.empty(len(operators), 4**num_encoded, dtype=dtype, device=device)
    at_once = min(2**ground, 256)
    values = min(out.shape[1], 1024 // at_once)
    each = out.shape[1] // values
    kernels.finish[(len(out) * each,)](
        operators, end_at, width, each, out, ENCODED=num_encoded, GROUND=ground, E=values, G=at_once
    )
    return out.view(programs, n_obs, -1)


def _operators_before(operators: Tensor, matrices: Tensor) -> Tensor:
    """[programs, n_obs, 4^r]: operators [n_obs, 4^r] with each digit taken through its matrix [programs, r, 4, 4]."""
    programs, count = matrices.shape[:2]
    tensor = operators.reshape(1, len(operators), -1).expand(programs, -1, -1)
    for place in range(count):  # each product moves its digit to the end
        front = tensor.reshape(programs, len(operators), 4, -1).transpose(2, 3)
        tensor = (front @ matrices[:, place, None]).reshape(programs, len(operators), -1)
    return tensor


def _sorted(keys: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows in the order of their keys, and where each of `count` keys begins and ends."""
    order = np.argsort(keys, kind="stable")
    return order, np.searchsorted(keys[order], np.arange(count + 1))


def _turns(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _with_identity(basis: Any, dim: int) -> NDArray[np.float64]:
    """Rotations [R, 3, dim, dim] behind one that is the identity whatever its angle."""
    identity = np.stack([np.eye(dim), np.zeros((dim, dim)), np.zeros((dim, dim))])
    return np.concatenate([identity[None], basis])


def _upload(kind: Any, device: str, *arrays: Any) -> list[Tensor]:
    """Arrays in one transfer, each as a tensor of its own shape; none is empty."""
    begins, end = [], 0
    for array in arrays:
        begins.append(end)
        end += -(-max(1, array.size) // _ALIGN) * _ALIGN
    packed = np.zeros(end, kind)
    for begin, array in zip(begins, arrays, strict=True):
        packed[begin : begin + array.size] = np.ravel(array)
    there = torch.from_numpy(packed).to(device)
    return [
        there[begin : begin + array.size].view(array.shape) if array.size else there[begin : begin + 1]
        for begin, array in zip(begins, arrays, strict=True)
    ]
