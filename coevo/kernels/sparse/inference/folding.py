"""Batch norms of inference, folded into the convolutions and linear layers before them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.convolution.autograd import convolve
from coevo.kernels.sparse.convolution.epilogue import Epilogue
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.modules.conv import Conv3d


@dataclass(eq=False)
class FoldedConv:
    """A convolution with its batch norm, and what is done to its sums before they are stored.

    Attributes:
        weight: [K, C_in, C_out] in the dtype of inference.
        shift: float32 [C_out].
        relu: whether negative results become 0.
        shortcut_weight: [C_s, C_out] of a 1x1x1 convolution of another tensor that is added; None for none.
        plan: how to carry it out; None for the tuned or the default one.
    """

    weight: Tensor
    shift: Tensor
    relu: bool
    shortcut_weight: Tensor | None = None
    plan: Plan | None = None

    def to(self, device: torch.device) -> None:
        """Moves the weights there."""
        self.weight, self.shift = self.weight.to(device), self.shift.to(device)
        if self.shortcut_weight is not None:
            self.shortcut_weight = self.shortcut_weight.to(device)

    def __call__(
        self, x: Tensor, kernel_map: KernelMap, *, residual: Tensor | None = None, shortcut: Tensor | None = None,
        copied: Tensor | None = None, out: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """[capacity_out, C_out] of x [capacity_in, C_in], written to `out` where it is given. With `copied` `out` is as
        wide as both: the rows of `copied` stand beside the result's."""
        width = self.weight.shape[2]
        epilogue = Epilogue(
            shift=self.shift,
            residual=residual,
            relu=self.relu,
            shortcut=shortcut,
            shortcut_weight=self.shortcut_weight,
            copied=copied,
            copied_to=None if copied is None or out is None else out[:, width:],
        )
        out = out if copied is None or out is None else out[:, :width]
        found: Tensor = convolve(x, self.weight, kernel_map, epilogue=epilogue, plan=self.plan, out=out)
        return found


@dataclass(eq=False)
class FoldedLinear:
    """A linear layer of points with its batch norm: weight [C_in, C_out], bias [C_out]."""

    weight: Tensor
    bias: Tensor
    relu: bool

    def to(self, device: torch.device) -> None:
        """Moves the weights there."""
        self.weight, self.bias = self.weight.to(device), self.bias.to(device)

    def __call__(self, x: Tensor) -> Tensor:
        """[P, C_out] of x [P, C_in]."""
        found = torch.addmm(self.bias, x, self.weight)
        return found.relu_() if self.relu else found


def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """float64 [C] each: the norm of x in inference is x * scale + shift.

    Raises:
        InputError: the norm keeps no running statistics, so that inference has no fixed scale.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise InputError(
            "a batch norm without running statistics cannot be folded; make it with track_running_stats=True"
        )
    scale = torch.rsqrt(norm.running_var.detach().double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.detach().double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    return scale, shift


def fold(
    conv: Conv3d, norm: nn.BatchNorm1d, dtype: torch.dtype, relu: bool, shortcut: nn.Sequential | None = None
) -> FoldedConv:
    """`conv`, `norm` and, as its shortcut, a 1x1x1 convolution with its norm."""
    scale, shift = scale_and_shift(norm)
    weight = conv.kernel.detach().double()
    weight = (weight if weight.dim() == 3 else weight[None]) * scale
    if conv.bias is not None:
        shift = shift + conv.bias.detach().double() * scale
    beside = None
    if shortcut is not None:
        pointwise, fitted = shortcut
        assert isinstance(pointwise, Conv3d) and isinstance(fitted, nn.BatchNorm1d)
        its_scale, its_shift = scale_and_shift(fitted)
        beside = _cast("a shortcut's kernel", pointwise.kernel.detach().double() * its_scale, dtype)
        shift = shift + its_shift
    return FoldedConv(_cast("a kernel", weight, dtype), shift.float(), relu, beside)


def fold_linear(linear: nn.Linear, norm: nn.BatchNorm1d | None, dtype: torch.dtype, relu: bool) -> FoldedLinear:
    """`linear` and, where there is one, `norm`."""
    weight = linear.weight.detach().double().T
    bias = torch.zeros_like(weight[0]) if linear.bias is None else linear.bias.detach().double()
    if norm is not None:
        scale, shift = scale_and_shift(norm)
        weight, bias = weight * scale, bias * scale + shift
    return FoldedLinear(_cast("a linear layer", weight, dtype), _cast("a bias", bias, dtype), relu)


def _cast(name: str, values: Tensor, dtype: torch.dtype) -> Tensor:
    """The values in `dtype`. InputError where one is out of its range."""
    found = values.to(dtype).contiguous()
    if not bool(torch.isfinite(found).all()):
        raise InputError(
            f"{name} with its batch norm folded in reaches {float(values.abs().max()):.3g}, which {dtype} does not "
            "hold; compile with torch.bfloat16 or torch.float32"
        )
    return found
