"""Launches of the kernels of modulated norms and gated residuals."""

from __future__ import annotations

import torch
from torch import Tensor

from coevo.kernels.modulated_norm import triton_kernels as kernels
from coevo.kernels.triton_runtime import INTERPRETED

_ROWS = 16 if INTERPRETED else 1
"""Tokens of a program that takes all channels of a token."""
_RUN = 64
"""Tokens of a run, over which the modulation's gradients are summed first."""

_RMS_PROGRAMS = 2 if INTERPRETED else 4 * 132


def _block(width: int) -> dict[str, int]:
    block = max(16, 1 << (width - 1).bit_length())
    return {"BLOCK_T": _ROWS, "BLOCK_C": block, "num_warps": 4 if block <= 4096 else 8}


def rowwise(row: Tensor | None) -> Tensor | None:
    """[B, D] with its channels side by side."""
    return row if row is None or row.stride(1) == 1 else row.contiguous()


def _stride(row: Tensor | None) -> int:
    return 0 if row is None else row.stride(0)


def norm(
    values: Tensor,
    update: Tensor | None,
    gate: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    epsilon: float,
    keep: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """(added, normed, moments): what there is with an update, with a scale, and to `keep` with a scale; else None."""
    batch, tokens, width = values.shape
    added = None if update is None else torch.empty_like(values)
    normed = None if scale is None else torch.empty_like(values)
    moments = None
    if keep and scale is not None:
        moments = torch.empty((batch, tokens, 2), dtype=torch.float32, device=values.device)
    if values.numel():
        kernels.norm_kernel[(-(-tokens // _ROWS), batch)](
            values, update, gate, scale, shift, added, normed, moments, _stride(gate), _stride(scale), _stride(shift),
            tokens, width, epsilon, **_block(width),
        )  # fmt: skip
    return added, normed, moments


def gradients(
    to_added: Tensor | None,
    to_normed: Tensor | None,
    added: Tensor,
    moments: Tensor | None,
    update: Tensor | None,
    gate: Tensor | None,
    scale: Tensor | None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """(to_values [B, N, D], to_update or None, float32 [B, 3, D]: gradients of shift, scale and gate)."""
    batch, tokens, width = added.shape
    to_values = torch.empty_like(added)
    to_update = None if update is None else torch.empty_like(update)
    runs = -(-tokens // _RUN)
    partial = torch.empty((batch, runs, 3, width), dtype=torch.float32, device=added.device)
    if added.numel():
        kernels.gradient_kernel[(-(-tokens // _ROWS), batch)](
            to_added, to_normed, added, moments, gate, scale, to_values, to_update, _stride(gate), _stride(scale),
            tokens, width, **_block(width),
        )  # fmt: skip
        if gate is not None or to_normed is not None:
            kernels.sums_kernel[(-(-width // 128), runs, batch)](
                to_values, to_normed, None if gate is None else update, added, moments, partial, tokens, width, _RUN,
                runs, BLOCK_T=16, BLOCK_C=128,
            )  # fmt: skip
    return to_values, to_update, partial.sum(dim=1)


def _rows(values: Tensor) -> Tensor:
    """[N, D], rows at one stride: a slice of wider rows stays where it is."""
    rows = values.flatten(0, -2)
    return rows if rows.stride(1) == 1 else rows.contiguous()


def rms(values: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """values / root mean square * weight, over the last axis."""
    rows, out = _rows(values), torch.empty(values.shape, dtype=values.dtype, device=values.device)
    if out.numel():
        kernels.rms_kernel[(-(-rows.shape[0] // _ROWS),)](
            rows, weight, out, rows.stride(0), rows.shape[0], rows.shape[1], epsilon, **_block(rows.shape[1])
        )
    return out


def rms_gradients(gradient: Tensor, values: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Gradients of values, and of weight in float32."""
    rows, found = _rows(values), torch.empty(values.shape, dtype=values.dtype, device=values.device)
    tokens, width = rows.shape
    programs = max(1, min(tokens, _RMS_PROGRAMS))
    partial = torch.empty((programs, width), dtype=torch.float32, device=values.device)
    kernels.rms_gradient_kernel[(programs,)](
        gradient.contiguous(), rows, weight, found, partial, rows.stride(0), tokens, width, epsilon,
        -(-tokens // programs), **_block(width),
    )  # fmt: skip
    return found, partial.sum(dim=0)
