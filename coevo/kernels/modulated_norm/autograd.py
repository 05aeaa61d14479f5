"""Steps of autograd of modulated norms and gated residuals: they keep their inputs and two moments a token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coevo.kernels.modulated_norm import launch


class ModulatedNorm(torch.autograd.Function):
    """`modulated_norm` on kernels."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
        """[B, N, D]."""
        values, kept = values.contiguous(), any(ctx.needs_input_grad)
        rows = launch.rowwise(scale)
        _, normed, moments = launch.norm(values, None, None, rows, launch.rowwise(shift), epsilon, kept)
        ctx.save_for_backward(values, rows, moments)
        ctx.shift_dtype = shift.dtype
        assert normed is not None
        return normed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Gradients of values, scale, shift."""
        values, scale, moments = ctx.saved_tensors
        to_values, _, rows = launch.gradients(None, gradient.contiguous(), values, moments, None, None, scale)
        return to_values, rows[:, 1].to(scale.dtype), rows[:, 0].to(ctx.shift_dtype), None


class GatedResidual(torch.autograd.Function):
    """`gated_residual` on kernels."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, update: Tensor, gate: Tensor | None) -> Tensor:
        """[B, N, D]."""
        update, gate = update.contiguous(), launch.rowwise(gate)
        added, _, _ = launch.norm(values.contiguous(), update, gate, None, None, 0.0, False)
        ctx.save_for_backward(update, gate)
        assert added is not None
        return added

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Gradients of values, update, gate."""
        update, gate = ctx.saved_tensors
        if gate is None:
            return gradient, gradient.to(update.dtype), None
        gradient = gradient.contiguous()
        _, to_update, rows = launch.gradients(gradient, None, gradient, None, update, gate, None)
        return gradient, to_update, rows[:, 2].to(gate.dtype)


class GatedResidualNorm(torch.autograd.Function):
    """`gated_residual_norm` on kernels."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        update: Tensor,
        gate: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        epsilon: float,
    ) -> tuple[Tensor, Tensor]:
        """([B, N, D], [B, N, D])."""
        update, gate, rows = update.contiguous(), launch.rowwise(gate), launch.rowwise(scale)
        added, normed, moments = launch.norm(
            values.contiguous(), update, gate, rows, launch.rowwise(shift), epsilon, any(ctx.needs_input_grad)
        )
        assert added is not None and normed is not None
        ctx.save_for_backward(added, update, gate, rows, moments)
        ctx.shift_dtype = shift.dtype
        return added, normed

    @staticmethod
    def backward(ctx: Any, to_added: Tensor, to_normed: Tensor) -> Any:
        """Gradients of values, update, gate, scale, shift."""
        added, update, gate, scale, moments = ctx.saved_tensors
        to_values, to_update, rows = launch.gradients(
            to_added.contiguous(), to_normed.contiguous(), added, moments, update, gate, scale
        )
        to_gate = None if gate is None else rows[:, 2].to(gate.dtype)
        return to_values, to_update, to_gate, rows[:, 1].to(scale.dtype), rows[:, 0].to(ctx.shift_dtype), None


class RmsNorm(torch.autograd.Function):
    """`rms_norm` on kernels."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """[..., D]."""
        ctx.save_for_backward(values, weight)
        ctx.epsilon = epsilon
        return launch.rms(values, weight, epsilon)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Gradients of values and weight."""
        values, weight = ctx.saved_tensors
        to_values, to_weight = launch.rms_gradients(gradient, values, weight, ctx.epsilon)
        return to_values, to_weight.to(weight.dtype), None
