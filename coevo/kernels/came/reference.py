"""A step of CAME in plain torch: what the kernel is held to.

Source: Luo et al., CAME: Confidence-guided Adaptive Memory Efficient Optimization (ACL 2023, arXiv:2307.02047),
algorithm 2, with the decoupled weight decay of its released code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """What a step is told.

    betas: of the first moment, the squared gradient and the confidence. epsilons: added to squared gradients and to
    squared residuals. clip: largest root mean square of an update.
    """

    lr: float
    betas: tuple[float, float, float]
    epsilons: tuple[float, float]
    clip: float
    weight_decay: float


@dataclass(frozen=True, eq=False)
class Factors:
    """Running means over rows [R] and columns [C] of a matrix [R, C]: of squared gradients, of squared residuals."""

    square_row: Tensor
    square_column: Tensor
    residual_row: Tensor
    residual_column: Tensor


def _factored(row: Tensor, column: Tensor) -> Tensor:
    """[R, C]: 1 / root of what the running means say of each entry."""
    return torch.rsqrt(row / row.mean())[:, None] * torch.rsqrt(column)[None, :]


def _clipped(update: Tensor, clip: float) -> Tensor:
    return update / torch.clamp(update.square().mean().sqrt() / clip, min=1.0)


def step_matrix(weight: Tensor, gradient: Tensor, moment: Tensor, factors: Factors, settings: Settings) -> Tensor:
    """Moves `weight` [R, C] and the factors; returns the new first moment, float32 [R, C]."""
    gradient = gradient.float()
    squares = gradient.square() + settings.epsilons[0]
    factors.square_row.lerp_(squares.mean(dim=1), 1 - settings.betas[1])
    factors.square_column.lerp_(squares.mean(dim=0), 1 - settings.betas[1])
    update = _clipped(gradient * _factored(factors.square_row, factors.square_column), settings.clip)
    moment = torch.lerp(moment, update, 1 - settings.betas[0])
    residual = (update - moment).square() + settings.epsilons[1]
    factors.residual_row.lerp_(residual.mean(dim=1), 1 - settings.betas[2])
    factors.residual_column.lerp_(residual.mean(dim=0), 1 - settings.betas[2])
    change = moment * _factored(factors.residual_row, factors.residual_column)
    _apply(weight, change, settings)
    return moment


def step_other(weight: Tensor, gradient: Tensor, moment: Tensor, square: Tensor, settings: Settings) -> None:
    """Moves a tensor that is no matrix, its first moment and its running squares, both float32."""
    gradient = gradient.float()
    square.lerp_(gradient.square() + settings.epsilons[0], 1 - settings.betas[1])
    moment.lerp_(_clipped(gradient * torch.rsqrt(square), settings.clip), 1 - settings.betas[0])
    _apply(weight, moment, settings)


def _apply(weight: Tensor, change: Tensor, settings: Settings) -> None:
    wide = weight.float() * (1 - settings.lr * settings.weight_decay) - settings.lr * change
    weight.copy_(wide)
