"""Launches of CAME's kernel: all phases in one cooperative launch, or each by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.kernels.came import triton_kernel as kernel
from coevo.kernels.came.blockwise import BLOCK
from coevo.kernels.came.reference import Factors, Settings
from coevo.kernels.triton_runtime import INTERPRETED

PHASES = 6
MOST_ELEMENTS = 2**31 - 2 * BLOCK
_ROWS, _COLUMNS, _LINE = 16, 256, 1024
_WARPS, _REGISTERS, _RESIDENT = 8, 128, 2
"""Two programs of 256 threads and at most 128 registers each are on a multiprocessor at once, whatever it is compiled
for: a cooperative launch of more would be refused."""


def step_matrix(
    weight: Tensor,
    gradient: Tensor,
    moment: Tensor,
    scale: Tensor | None,
    factors: Factors,
    settings: Settings,
    one_launch: bool = True,
) -> None:
    """As `reference.step_matrix`, and the first moment is written where it stands: int8 with its scales, or float32."""
    rows, columns = weight.shape
    if rows * columns > MOST_ELEMENTS:
        raise InputError(
            f"the kernel takes matrices of at most {MOST_ELEMENTS} entries, got {rows} x {columns}; "
            "use CAME8bit(..., backend='reference')"
        )
    chunks = -(-rows // _ROWS)
    partial = torch.empty((chunks, columns), dtype=torch.float32, device=weight.device)
    sums = torch.empty(chunks, dtype=torch.float32, device=weight.device)
    counter = torch.zeros(1, dtype=torch.int32, device=weight.device)
    programs = _programs(weight, rows * columns)
    given = (settings.lr, *settings.betas, *settings.epsilons, settings.clip, settings.weight_decay)
    numbers = [float(each) for each in given]  # a whole number would be another kernel
    options = {} if INTERPRETED else {"launch_cooperative_grid": one_launch, "maxnreg": _REGISTERS}
    for phase in (-1,) if one_launch else range(PHASES):
        kernel.came_kernel[(1 if INTERPRETED and one_launch else programs,)](
            weight, gradient, moment, scale, factors.square_row, factors.square_column, factors.residual_row,
            factors.residual_column, partial, sums, counter, rows, columns, chunks, *numbers,
            PHASE=phase, EIGHT=scale is not None,
            QUANTUM=BLOCK, BLOCK_R=_ROWS, BLOCK_C=_COLUMNS, BLOCK=_LINE, num_warps=_WARPS, **options,
        )  # fmt: skip


def _programs(weight: Tensor, elements: int) -> int:
    """As many as surely are on the device at once; fewer where there are fewer blocks."""
    if not weight.is_cuda:
        return 2
    there = torch.cuda.get_device_properties(weight.device).multi_processor_count
    return int(max(1, min(_RESIDENT * there, -(-elements // BLOCK))))
