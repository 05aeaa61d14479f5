"""The backward sweep as tensors: many programs at once, with torch and NumPy alone.

Every program of a batch is padded to the same number of qubits and two-qubit blocks. Which rows merge into which block
is a matter of integers and decided on the host (`coevo.kernels.pauli_transfer.plan`); matrices, merging and the sweep
run on the device, one batched product a step. Conventions and the arrays' meaning: `coevo.kernels.pauli_transfer`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import missing_extra
from coevo.kernels.pauli_transfer.plan import Integers, Plan

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any


Operators = tuple[Any, Any]
"""What is measured at the end: (operators [n_obs, 4^r] over the r qubits that the plan calls read, matrices [programs,
r, 4, 4] that each of their digits goes through, coefficient p becoming row p)."""


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
    """Coefficients [programs, n_obs, 4^m] of the measured operators over m digits, first of all the encoded ones in
    the plan's `order`; the others are |0>.

    `rows` and `angles` are concatenated over programs and their matrices are numbered in one common `singles` and
    `doubles`; `measured` is [programs, n_obs, 2], a I + b Z of each read qubit, or `Operators` on all of them.
    """

    def put(array: Any, kind: Any = dtype) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), dtype=kind, device=device)

    segments, blocks = _merged(made, rows, angles, singles, doubles, bases, put)
    if isinstance(measured, tuple):
        tensor, held = _start_of_operators(made, segments, measured, put)
    else:
        tensor, held = _start_of_readouts(made, segments, put(measured), put)
    programs, n_obs = tensor.shape[:2]
    width = made.width
    chosen = put(made.blocks, torch.int64)
    # `held[p]` lists the digits of program p's tensor in the order of its axes; nothing moves back before the end.
    for step in range(made.blocks.shape[1]):
        pairs = made.pairs[:, step]
        others = (held[:, :, None] != pairs[:, None, :]).all(axis=2)
        wanted = np.concatenate([pairs, held[others].reshape(programs, width - 2)], axis=1)
        tensor = _reordered(tensor, held, wanted, device)
        held = wanted
        matrix = blocks[chosen[:, step]].transpose(-1, -2)[:, None]
        tensor = (matrix @ tensor.view(programs, n_obs, 16, -1)).view(programs, n_obs, -1)
    tensor = _reordered(tensor, held, made.order, device).view(programs, n_obs, 4**num_encoded, -1)
    ground = torch.ones(1, dtype=dtype, device=device)
    for _ in range(width - num_encoded):
        ground = torch.kron(ground, put([1.0, 0.0, 0.0, 1.0]))
    return tensor @ ground


def _start_of_readouts(made: Plan, segments: Tensor, weight: Tensor, put: Any) -> tuple[Tensor, Integers]:
    """The readouts before the rows after the last blocks: [programs, n_obs, 4^width], and the digits [programs, width]
    in the order of its axes."""
    programs, n_obs = made.starts.shape[:2]
    width = made.width
    tail = segments[put(made.starts[:, :, 1], torch.int64)]  # [programs, n_obs, 4, 4]
    start = weight[..., :1] * tail[:, :, 0, :] + weight[..., 1:] * tail[:, :, 3, :]
    tensor = torch.zeros(programs, n_obs, 4**width, dtype=start.dtype, device=start.device)
    stride = 4 ** (width - 1 - made.starts[:, :, :1]) * np.arange(4)  # [programs, n_obs, 4]
    tensor.scatter_(2, put(stride, torch.int64), start)
    return tensor, np.tile(np.arange(width), (programs, 1))


def _start_of_operators(made: Plan, segments: Tensor, measured: Operators, put: Any) -> tuple[Tensor, Integers]:
    """As `_start_of_readouts`, for operators on all read qubits: their digits in front, I on every other."""
    operators, matrices = put(measured[0]), put(measured[1])
    programs, count = made.starts.shape[:2]
    n_obs, width = len(operators), made.width
    tensor = operators.expand(programs, n_obs, 4**count)
    for place in range(count):  # each product moves its digit to the end
        whole = matrices[:, place] @ segments[put(made.starts[:, place, 1], torch.int64)]
        front = tensor.reshape(programs, n_obs, 4, -1).transpose(2, 3)
        tensor = (front @ whole[:, None]).reshape(programs, n_obs, -1)
    wide = torch.zeros(programs, n_obs, 4**count, 4 ** (width - count), dtype=tensor.dtype, device=tensor.device)
    wide[..., 0] = tensor
    front_digits = made.starts[:, :, 0]
    everything = np.arange(width)
    rest = [everything[~np.isin(everything, digits)] for digits in front_digits]
    return wide.reshape(programs, n_obs, -1), np.concatenate([front_digits, np.array(rest)], axis=1)


def _reordered(tensor: Tensor, held: Integers, wanted: Integers, device: str) -> Tensor:
    """[programs, n_obs, 4^width] with its digits in the wanted order."""
    programs, n_obs, _ = tensor.shape
    width = held.shape[1]
    axes = np.argsort(held, axis=1)[np.arange(programs)[:, None], wanted]  # where each wanted digit stands now
    if (axes == axes[0]).all():
        spread = tensor.view(programs, n_obs, *[4] * width)
        return spread.permute(0, 1, *(2 + axes[0]).tolist()).reshape(programs, n_obs, -1)
    stride = torch.as_tensor(4 ** (width - 1 - axes), device=device)
    index = torch.zeros(programs, 1, dtype=torch.int64, device=device)
    digits = torch.arange(4, device=device)
    for place in range(width):
        index = (index[:, :, None] + stride[:, place, None, None] * digits).view(programs, -1)
    return tensor.gather(2, index[:, None].expand(-1, n_obs, -1))


def _merged(
    made: Plan, rows: NDArray[np.int32], angles: Any, singles: Any, doubles: Any, bases: tuple[Any, Any], put: Any
) -> tuple[Tensor, Tensor]:
    """(segments [S, 4, 4], blocks [B, 16, 16]), the first of each being the identity."""
    one = _row_matrices(rows, angles, made.singles[:, 0], singles, bases[0], put)
    two = _row_matrices(rows, angles, made.doubles[:, 0], doubles, bases[1], put)
    segments = torch.eye(4, dtype=one.dtype, device=one.device).repeat(made.segments, 1, 1)
    _chain(segments, one, made.singles[:, 1], made.singles[:, 2], put)
    flipped = put(made.doubles[:, 5], torch.bool)[:, None, None]
    turned = two.view(-1, 4, 4, 4, 4).permute(0, 2, 1, 4, 3).reshape(-1, 16, 16)
    core = torch.where(flipped, turned, two)
    first, second = (segments[put(made.doubles[:, column], torch.int64)] for column in (3, 4))
    before = (first[:, :, None, :, None] * second[:, None, :, None, :]).reshape(-1, 16, 16)
    count = int(made.doubles[:, 1].max()) + 1 if len(made.doubles) else 1
    blocks = torch.eye(16, dtype=one.dtype, device=one.device).repeat(count, 1, 1)
    _chain(blocks, core @ before, made.doubles[:, 1], made.doubles[:, 2], put)
    return segments, blocks


def _chain(products: Tensor, matrices: Tensor, where: Integers, order: Integers, put: Any) -> None:
    """products[where] = matrices @ products[where], matrices of one place in their order."""
    for turn in range(int(order.max()) + 1 if len(order) else 0):
        chosen = np.flatnonzero(order == turn)
        places = put(where[chosen], torch.int64)
        products[places] = matrices[put(chosen, torch.int64)] @ products[places]


def _row_matrices(
    rows: NDArray[np.int32], angles: Any, chosen: Integers, matrices: Any, basis: Any, put: Any
) -> Tensor:
    """The noisy PTMs [n, d, d] of chosen rows."""
    dim = basis.shape[-1]
    rotation, after = rows[chosen, 2].astype(np.int64), rows[chosen, 3].astype(np.int64)
    identity = np.eye(dim)[None]
    table = put(np.concatenate([identity, matrices]))  # number 0 is the identity
    constant = np.concatenate([np.stack([np.eye(dim), np.zeros((dim, dim)), np.zeros((dim, dim))])[None], basis])
    parts = put(constant)[put(rotation + 1, torch.int64)]
    angle = put(np.asarray(angles)[chosen], torch.float64)
    cosine, sine = (value.to(parts.dtype)[:, None, None] for value in (torch.cos(angle), torch.sin(angle)))
    turned = parts[:, 0] + cosine * parts[:, 1] + sine * parts[:, 2]
    return table[put(after + 1, torch.int64)] @ turned


def meet_batch(coefficients: Tensor, vectors: Tensor) -> Tensor:
    """Expectation values [programs, samples, n_obs] of operators [programs, n_obs, 4^m] in product states
    [programs, m, 4, samples]."""
    programs, n_obs, _ = coefficients.shape
    half, samples = vectors.shape[1] // 2, vectors.shape[-1]
    left, right = _products(vectors[:, :half]), _products(vectors[:, half:])
    partial = coefficients.reshape(programs, n_obs * left.shape[1], -1) @ right
    return (partial.view(programs, n_obs, left.shape[1], samples) * left[:, None]).sum(2).transpose(1, 2)


def _products(vectors: Tensor) -> Tensor:
    """[programs, m, 4, samples] -> [programs, 4^m, samples]."""
    programs, count, _, samples = vectors.shape
    product = torch.ones(programs, 1, samples, dtype=vectors.dtype, device=vectors.device)
    for place in range(count):
        product = (product[:, :, None] * vectors[:, place, None]).view(programs, 4 ** (place + 1), samples)
    return product
