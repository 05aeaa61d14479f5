"""Layer norm with modulation and gate with residual in plain torch: what the kernels are held to.

Source: Peebles and Xie, Scalable Diffusion Models with Transformers (2023, arXiv:2212.09748), section 3.2 (adaLN), as
SANA uses it.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "sana") from error

Tensor = Any


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def modulated_norm(values: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
    """[B, N, D]: layer norm without weights, times 1 + scale, plus shift; float32 inside (float64 of float64)."""
    made = _wide(values)
    made = made - made.mean(dim=-1, keepdim=True)
    made = made * torch.rsqrt(made.square().mean(dim=-1, keepdim=True) + epsilon)
    return (made * (1 + _wide(scale)[:, None]) + _wide(shift)[:, None]).to(values.dtype)


def gated_residual(values: Tensor, update: Tensor, gate: Tensor | None) -> Tensor:
    """[B, N, D]: values + gate * update; float32 inside (float64 of float64)."""
    made = _wide(update) if gate is None else _wide(gate)[:, None] * _wide(update)
    return (_wide(values) + made).to(values.dtype)


def rms_norm(values: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """[B, N, D]: values / root mean square * weight; float32 inside (float64 of float64)."""
    made = _wide(values)
    made = made * torch.rsqrt(made.square().mean(dim=-1, keepdim=True) + epsilon)
    return (made * _wide(weight)).to(values.dtype)
