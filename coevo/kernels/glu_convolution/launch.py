"""Launches of the GLU convolution's kernels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coevo.kernels.glu_convolution import triton_kernels as kernels
from coevo.kernels.triton_runtime import INTERPRETED

_RESIDENT_WARPS = 132 * 16
"""Of an H200, at the registers that these kernels take; strips are cut until there are twice as many."""
_LEAST_COLUMNS = 2 if INTERPRETED else 8


@dataclass(frozen=True)
class Plan:
    """How an image is cut: columns of a program's walk, channels of a program, its warps."""

    columns: int
    block: int = 128
    warps: int = 2


def plan_of(shape: tuple[int, ...], channels: int) -> Plan:
    """Columns of a walk so long that the halo is small, and so short that the device is filled."""
    batch, height, width, _ = shape
    plan = Plan(1 << (max(width, _LEAST_COLUMNS) - 1).bit_length())
    across = -(-channels // plan.block) * plan.warps * batch * -(-height // kernels.ROWS)
    while (
        not INTERPRETED and plan.columns > _LEAST_COLUMNS and across * -(-width // plan.columns) < 2 * _RESIDENT_WARPS
    ):
        plan = Plan(plan.columns // 2)
    return plan


def _is_fast(values: Tensor) -> bool:
    """Sigmoids by the device's tanh, where values are rounded more coarsely than that is; the interpreter has none."""
    return values.dtype != torch.float32 and not INTERPRETED


def convolve(
    values: Tensor, weight: Tensor, bias: Tensor, gradient: Tensor | None = None, plan: Plan | None = None
) -> Tensor:
    """[B, H, W, h], what the convolution and its gate give; with the gradient of that, [B, H, W, 2 h]: the gradient of
    the convolution's output, before the gate."""
    values, weight, bias = values.contiguous(), weight.contiguous(), bias.contiguous()
    batch, height, width, twice = values.shape
    plan = plan or plan_of(values.shape, twice // 2)
    shape = values.shape if gradient is not None else (batch, height, width, twice // 2)
    out = torch.empty(shape, dtype=values.dtype, device=values.device)
    strips, segments = -(-height // kernels.ROWS), -(-width // plan.columns)
    if out.numel():
        kernels.convolve_kernel[(batch * strips * segments, -(-(twice // 2) // plan.block))](
            values, weight, bias, None if gradient is None else gradient.contiguous(), out, height, width, twice // 2,
            strips, segments, COLUMNS=plan.columns, BLOCK_C=plan.block, FAST=_is_fast(values),
            num_warps=plan.warps,
        )  # fmt: skip
    return out


def gradients(
    values: Tensor, weight: Tensor, slopes: Tensor, plan: Plan | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of values [B, H, W, C], weight [C, 1, 3, 3] and bias [C] (both float32) from those of the
    convolution's output [B, H, W, C]."""
    values, weight = values.contiguous(), weight.contiguous()
    batch, height, width, channels = values.shape
    plan = plan or plan_of(values.shape, channels)
    strips, segments = -(-height // kernels.ROWS), -(-width // plan.columns)
    programs = batch * strips * segments
    out = torch.empty_like(values)
    partial = torch.empty((programs, 10, channels), dtype=torch.float32, device=values.device)
    if out.numel():
        kernels.gradient_kernel[(programs, -(-channels // plan.block))](
            values, slopes, weight, out, partial, height, width, channels, strips, segments, COLUMNS=plan.columns,
            BLOCK_C=plan.block, FAST=_is_fast(values), num_warps=plan.warps,
        )  # fmt: skip
    sums = partial.sum(dim=0)
    return out, sums[:9].T.reshape(channels, 1, 3, 3), sums[9]
