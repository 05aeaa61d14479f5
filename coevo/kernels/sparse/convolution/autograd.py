"""Sparse convolution with gradients."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.convolution import dispatch
from coevo.kernels.sparse.convolution.casts import cast
from coevo.kernels.sparse.convolution.epilogue import NOTHING, Epilogue
from coevo.kernels.sparse.convolution.operands import check_operands
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.maps.kernel_map import KernelMap

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "cuda") from error

Tensor = Any


def convolve(
    features: Tensor,
    weight: Tensor,
    kernel_map: KernelMap,
    *,
    second: Tensor | None = None,
    channels: Tensor | None = None,
    epilogue: Epilogue | None = None,
    plan: Plan | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The convolution of `features` by `weight` over `kernel_map`, with gradients for features, second and weight.

    Args:
        features: [capacity_in, C_in], float16, bfloat16, float32 or float64 (plain torch only). Float32 products are
            tf32 where torch.set_float32_matmul_precision is not "highest".
        weight: [K, C_in, C_out]; any strides, so that a leading slice of a wider weight serves as it is.
        kernel_map: which input row meets which output row at each of the K offsets.
        second: [capacity_in, C_2], in place of features = cat([features, second], 1).
        channels: [C_in (+ C_2)], the input channels of `weight` that the features' channels meet, where they are not
            all of them in their order.
        epilogue: done to the sums before they are stored; it has no gradient.
        plan: how to do it; left out, the tuned or the default one.
        out: [capacity_out, C_out] to write to, rows contiguous; without gradients only.

    Returns:
        [capacity_out, C_out] in the features' dtype. Rows at and above the map's count are not set by the kernels.

    Under torch.autocast, features and weights are cast to its dtype; the weight's gradient, which is summed in float32,
    stays in the weight's own dtype and is not rounded on its way. Results and gradients are bitwise the same from
    run to run. InputError where operands do not fit together, before anything is launched.
    """
    kind, given = features.device.type, weight
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        features, weight = features.to(dtype), cast(weight, dtype)
        second = None if second is None else second.to(dtype)
    epilogue = epilogue or NOTHING
    check_operands(features, weight, kernel_map, second, channels, epilogue)
    differentiated = [each for each in (features, given, second) if each is not None and each.requires_grad]
    if torch.is_grad_enabled() and (differentiated or any(t.requires_grad for t in epilogue.tensors().values())):
        if epilogue is not NOTHING or out is not None:
            raise InputError(
                "an epilogue and `out` have no gradient: leave them out while training, or compute under torch.no_grad"
            )
        result: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
            features, given, weight.detach(), second, channels, kernel_map, plan
        )
        return result
    return dispatch.forward(features, weight, kernel_map, second, channels, epilogue, plan, out)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx: Any,
        features: Tensor,
        given: Tensor,
        weight: Tensor,
        second: Tensor,
        channels: Tensor,
        kernel_map: KernelMap,
        plan: Plan,
    ):
        ctx.save_for_backward(features, weight, second, channels)
        ctx.kernel_map, ctx.plan, ctx.dtype = kernel_map, plan, given.dtype
        return dispatch.forward(features, weight, kernel_map, second, channels, NOTHING, plan, None)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        features, weight, second, channels = ctx.saved_tensors
        for_features, for_weight, _, for_second = ctx.needs_input_grad[:4]
        gradient = gradient.contiguous()
        to_inputs = to_weight = to_second = None
        if for_features or for_second:
            selected = weight if channels is None else weight.index_select(1, channels)
            both = dispatch.input_gradient(gradient, selected, ctx.kernel_map, ctx.plan)
            to_inputs, to_second = (
                (both, None) if second is None else both.split([features.shape[1], second.shape[1]], dim=1)
            )
        if for_weight:
            to_weight = dispatch.weight_gradient(features, second, gradient, ctx.kernel_map, ctx.plan).to(ctx.dtype)
            if channels is not None:
                whole = torch.zeros(weight.shape, dtype=ctx.dtype, device=weight.device)
                to_weight = whole.index_copy_(1, channels.to(torch.int64), to_weight)
        return to_inputs, to_weight, None, to_second, None, None, None
