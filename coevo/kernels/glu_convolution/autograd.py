"""The GLU convolution's step of autograd: keeps its inputs and computes the rest again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coevo.kernels.glu_convolution import launch


class GluConvolution(torch.autograd.Function):
    """`glu_convolution` on kernels."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """[B, H, W, h]."""
        ctx.save_for_backward(values, weight, bias)
        return launch.convolve(values, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Gradients of values, weight, bias."""
        values, weight, bias = ctx.saved_tensors
        slopes = launch.convolve(values, weight, bias, gradient)
        to_values, to_weight, to_bias = launch.gradients(values, weight, slopes)
        return to_values, to_weight.to(weight.dtype), to_bias.to(bias.dtype)
