"""SiLU, depthwise 3x3 convolution and gate in plain torch: what the kernels are held to.

Source: Xie et al., SANA (2024, arXiv:2410.10629), section 2.2 (Mix-FFN), in the order of its released code.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra

try:
    import torch
    from torch.nn import functional
except ImportError as error:
    raise missing_extra("torch", "sana") from error

Tensor = Any


def glu_convolution(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """[B, H, W, h]: as `glu_convolution`, in float32 or, of float64 inputs, float64, and rounded at the end."""
    made = torch.float64 if values.dtype == torch.float64 else torch.float32
    channels = values.shape[3]
    active = functional.silu(values.to(made)).permute(0, 3, 1, 2)
    mixed = functional.conv2d(active, weight.to(made), bias.to(made), padding=1, groups=channels)
    straight, gate = mixed.chunk(2, dim=1)
    return (straight * functional.silu(gate)).permute(0, 2, 3, 1).contiguous().to(values.dtype)
