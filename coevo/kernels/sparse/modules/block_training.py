"""A residual block as one step of autograd, forward and backward by kernels.

What it keeps for backward: its input, the sums of its two convolutions and its result; of two blocks in a row neither
keeps what goes from the first to the second, which follows from the sums of the first (`Source`). The rest (the
normalised values that the second convolution takes, the shortcut's product, and the norm and ReLU before the block
where they are given to it) is computed again, mostly in passes that read its source anyway. The gradient of the
shortcut rides on the input gradient of the first convolution, so that no two gradients are added. The plain layers in
`blocks` are what it is held to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coevo.kernels.sparse.convolution import dispatch
from coevo.kernels.sparse.convolution.casts import cast
from coevo.kernels.sparse.convolution.epilogue import NOTHING, Epilogue
from coevo.kernels.sparse.convolution.operands import check_operands
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.modules import batch_norm
from coevo.kernels.sparse.modules.batch_norm import BatchNorm
from coevo.kernels.sparse.modules.conv import Conv3d
from coevo.kernels.sparse.modules.norm_passes import (
    Normed,
    added,
    gradient_of,
    gradient_sums,
    moments_of,
    normalized,
)
from coevo.kernels.sparse.tensors import SparseTensor

_TAKEN = "a residual block's gradient was taken already: compute its output again"


def is_plain(*modules: nn.Module) -> bool:
    """Whether nobody listens to the modules or those within them, so that they may run as one."""
    return not any(
        each._forward_hooks or each._forward_pre_hooks or each._backward_hooks or each._backward_pre_hooks
        for module in modules
        for each in module.modules()
    )


def fits(convolutions: list[Conv3d], norms: list[BatchNorm], x: SparseTensor) -> bool:
    """Whether a block of these layers can run as one step: while training, on the device's kernels."""
    return (
        torch.is_grad_enabled()
        and all(type(each) is Conv3d and each.bias is None for each in convolutions)
        and all(type(each) is BatchNorm and _settled(each) for each in norms)
        and batch_norm.runs_on_kernels(x.feats)
        and any(each.requires_grad for each in (x.feats, *(layer.kernel for layer in convolutions)))
    )


def _settled(norm: BatchNorm) -> bool:
    kept = (norm.momentum, norm.running_mean, norm.running_var, norm.weight)
    return norm.training and all(each is not None for each in kept)


def run_block(
    x: SparseTensor,
    second: SparseTensor | None,
    first: tuple[Conv3d, BatchNorm],
    last: tuple[Conv3d, BatchNorm],
    shortcut: tuple[Conv3d, BatchNorm] | None,
    before: BatchNorm | None,
    source: Source | None = None,
    forgets: bool = False,
) -> tuple[SparseTensor, Source | None]:
    """relu(last(relu(first(x))) + shortcut(x)), each a convolution and its norm; the shortcut is x itself where it is
    None.

    Args:
        second: channels that stand behind x's.
        before: x is relu(before(x)), of the x given.
        source: of x, so that x is not kept.
        forgets: whether the result is not kept either. Then its source comes back too, for the one block that takes
            it and must keep it alive until its own backward.
    """
    kind = x.feats.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.feats.dtype
    feats, other = x.feats.to(dtype), None if second is None else second.feats.to(dtype)
    kernel_map, pointwise = first[0].kernel_map(x), None if shortcut is None else shortcut[0].kernel
    weights = (cast(first[0].kernel, dtype), cast(last[0].kernel, dtype))
    check_operands(feats, weights[0], kernel_map, other, None, NOTHING)
    norms = (before, first[1], last[1], None if shortcut is None else shortcut[1])
    spec = _Spec(kernel_map, x.count, weights, None if pointwise is None else cast(pointwise, dtype), norms)
    made = Source(spec) if forgets else None
    lines = [None if norm is None else (norm.weight, norm.bias) for norm in norms]
    flat = [each for line in lines for each in (line or (None, None))]
    parameters = (first[0].kernel, last[0].kernel, pointwise, *flat)
    found = _Block.apply(spec, source, made, feats, other, *parameters)  # type: ignore[no-untyped-call]
    return x.with_feats(found), made


@dataclass(frozen=True, eq=False)
class _Spec:
    kernel_map: KernelMap
    count: Tensor
    weights: tuple[Tensor, Tensor]
    """Of both convolutions, and below of the shortcut, in the features' dtype."""
    pointwise: Tensor | None
    norms: tuple[BatchNorm | None, BatchNorm, BatchNorm, BatchNorm | None]
    """Before the block, of both convolutions, of the shortcut."""

    def moments(self, number: int, values: Tensor) -> Tensor:
        norm: Any = self.norms[number]
        tracked = (norm.running_mean, norm.running_var)
        return moments_of(values, self.count, tracked, norm.num_batches_tracked, norm.momentum, norm.eps)


class Source:
    """How to compute the result of a block again, until the block's own backward."""

    def __init__(self, spec: _Spec) -> None:
        self.spec = spec
        self.parts: tuple[Any, ...] | None = None

    def again(self) -> Tensor:
        """[rows, C]. RuntimeError after backward."""
        if self.parts is None:
            raise RuntimeError(_TAKEN)
        given, second, last_sums, moments, lines = self.parts
        x, other = _inside(self.spec, given, second, moments, lines)
        inner = Normed(last_sums, moments[2], *lines[4:6])
        return normalized(inner, self.spec.count, True, x if other is None else None, other)


def _inside(
    spec: _Spec, given: Tensor, second: Tensor | None, moments: Sequence[Any], lines: Sequence[Any]
) -> tuple[Tensor, Normed | None]:
    """The block's input after the norm before it, and the shortcut's product."""
    before = None if spec.norms[0] is None else Normed(given, moments[0], *lines[0:2])
    x = given if before is None else normalized(before, spec.count, relu=True)
    if spec.pointwise is None:
        return x, None
    return x, Normed(_product(x, second, spec.pointwise), moments[3], *lines[6:8])


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx: Any, spec: _Spec, source: Source | None, made: Source | None, x: Tensor, second: Tensor | None,
        first: Tensor, last: Tensor, pointwise: Tensor | None, *lines: Any,
    ):  # fmt: skip
        given, count = x.contiguous(), spec.count
        moments: list[Any] = [None] * 4
        x = given
        if spec.norms[0] is not None:
            moments[0] = spec.moments(0, given)
            x = normalized(Normed(given, moments[0], *lines[0:2]), count, relu=True)
        sums = _convolved(x, spec.weights[0], spec, second)
        moments[1] = spec.moments(1, sums)
        middle = normalized(Normed(sums, moments[1], *lines[2:4]), count, relu=True)
        last_sums = _convolved(middle, spec.weights[1], spec, None)
        del middle
        moments[2] = spec.moments(2, last_sums)
        other = None
        if spec.pointwise is not None:
            product = _product(x, second, spec.pointwise)
            moments[3] = spec.moments(3, product)
            other = Normed(product, moments[3], *lines[6:8])
        inner = Normed(last_sums, moments[2], *lines[4:6])
        out = normalized(inner, count, True, x if other is None else None, other)
        ctx.spec, ctx.source, ctx.made = spec, source, made
        ctx.between = sums, last_sums  # nobody else has them, so backward may overwrite them
        ctx.dtypes = [None if each is None else each.dtype for each in (first, last, pointwise)]
        if made is not None:
            made.parts = (given, second, last_sums, moments, lines)
        kept = None if source is not None else given, second, None if made is not None else out
        ctx.save_for_backward(*kept, *moments, *lines)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        spec, (given, second, out, *saved) = ctx.spec, ctx.saved_tensors
        if ctx.between is None:
            raise RuntimeError(_TAKEN)
        (sums, last_sums), ctx.between = ctx.between, None
        if ctx.made is not None:
            ctx.made.parts = None  # last_sums are overwritten
        source, ctx.source = ctx.source, None
        needs_x = spec.pointwise is not None or spec.norms[0] is not None or out is None  # before the last gradient
        if source is not None and needs_x:
            given = source.again()
        moments, lines = saved[:4], saved[4:]
        count, kernel_map = spec.count, spec.kernel_map
        slopes: list[Tensor | None] = [None] * 8
        x, other = _inside(spec, given, second, moments, lines) if needs_x else (given, None)
        to_pointwise = None
        passed = torch.empty_like(last_sums) if other is None else None
        inner, added = Normed(last_sums, moments[2], *lines[4:6]), x if other is None else None
        found = gradient_sums(gradient, inner, count, True, out, added=added, other=other)
        slopes[4:6] = found[1], found[0]
        to_last_sums = gradient_of(
            gradient, inner, count, found, True, out, found=last_sums, added=added, residual=passed, other=other,
            other_found=None if other is None else other.values,
        )  # fmt: skip
        epilogue = Epilogue(residual=passed)
        if other is not None:
            slopes[6:8] = found[2], found[0].clone()  # optimizers unscale gradients in place: each has its own memory
            to_pointwise = _pointwise_gradient(x, second, other.values).to(ctx.dtypes[2])
            epilogue = Epilogue(shortcut=other.values, shortcut_weight=spec.pointwise.t())
        to_middle = dispatch.input_gradient(to_last_sums, spec.weights[1], kernel_map, None)
        middle, outer = torch.empty_like(sums), Normed(sums, moments[1], *lines[2:4])
        found = gradient_sums(to_middle, outer, count, True, None, again=middle)
        slopes[2:4] = found[1], found[0]
        to_last = dispatch.weight_gradient(middle, None, to_last_sums, kernel_map, None).to(ctx.dtypes[1])
        del middle, to_last_sums, last_sums, inner
        to_sums = gradient_of(to_middle, outer, count, found, True, None, found=to_middle)
        del outer, sums
        if source is not None and not needs_x:
            x = source.again()  # as late as can be: when most is kept, the last block of a network is here
        to_first = dispatch.weight_gradient(x, second, to_sums, kernel_map, None).to(ctx.dtypes[0])
        whole = dispatch.input_gradient(to_sums, spec.weights[0], kernel_map, None, epilogue)
        to_x, to_second = whole[:, : x.shape[1]], None if second is None else whole[:, x.shape[1] :]
        if spec.norms[0] is not None:
            before = Normed(given, moments[0], *lines[0:2])
            found = gradient_sums(to_x, before, count, True, None)
            slopes[0:2] = found[1], found[0]
            to_x = gradient_of(to_x, before, count, found, True, None)
        return (None, None, None, to_x, to_second, to_first, to_last, to_pointwise, *slopes)


def _convolved(x: Tensor, weight: Tensor, spec: _Spec, second: Tensor | None) -> Tensor:
    found: Tensor = dispatch.forward(x, weight, spec.kernel_map, second, None, NOTHING, None, None)
    return found


def _product(x: Tensor, second: Tensor | None, weight: Tensor) -> Tensor:
    """[x, second] @ weight, without joining them."""
    found = torch.mm(x, weight[: x.shape[1]])
    return found if second is None else found.addmm_(second, weight[x.shape[1] :])


def _pointwise_gradient(x: Tensor, second: Tensor | None, gradient: Tensor) -> Tensor:
    found = torch.mm(x.t(), gradient)
    return found if second is None else torch.cat([found, torch.mm(second.t(), gradient)])


def forked(x: SparseTensor) -> tuple[SparseTensor, SparseTensor]:
    """x for two uses, whose gradients are added in one pass where one of them is a slice of channels."""
    if not (torch.is_grad_enabled() and x.feats.requires_grad and batch_norm.runs_on_kernels(x.feats)):
        return x, x
    one, two = _Fork.apply(x.feats, x.count)  # type: ignore[no-untyped-call]
    return x.with_feats(one), x.with_feats(two)


class _Fork(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(count)
        return features.detach(), features.detach()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, one: Tensor | None, two: Tensor | None) -> tuple[Tensor | None, None]:
        if one is None or two is None:
            return (two if one is None else one), None
        return added(one, two, ctx.saved_tensors[0]), None
