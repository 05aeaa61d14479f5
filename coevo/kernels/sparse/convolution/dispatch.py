"""Which code carries out a plan. Triton is imported where a plan needs it."""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.convolution import reference
from coevo.kernels.sparse.convolution.defaults import default_plan
from coevo.kernels.sparse.convolution.epilogue import NOTHING, Epilogue
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.maps.kernel_map import KernelMap

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "cuda") from error

Tensor = Any


def forward(
    features: Tensor,
    weight: Tensor,
    kernel_map: KernelMap,
    second: Tensor | None,
    channels: Tensor | None,
    epilogue: Epilogue,
    plan: Plan | None,
    out: Tensor | None,
) -> Tensor:
    """`convolve` for operands that fit together."""
    plan = plan or default_plan(features, weight, kernel_map, None if second is None else second.shape[1])
    if plan.dataflow == "reference":
        result = reference.forward(features, weight, kernel_map, second=second, channels=channels, epilogue=epilogue)
        return result if out is None else out.copy_(result)
    if plan.dataflow == "gather_scatter":
        from coevo.kernels.sparse.convolution import gather_scatter

        result = gather_scatter.forward(features, weight, kernel_map, second, channels, epilogue, plan)
        return result if out is None else out.copy_(result)
    if plan.dataflow == "fetch_on_demand":
        from coevo.kernels.sparse.convolution import fetch_on_demand

        return fetch_on_demand.forward(features, weight, kernel_map, second, channels, epilogue, plan, out)
    from coevo.kernels.sparse.convolution import implicit_gemm

    return implicit_gemm.forward(features, weight, kernel_map, second, channels, epilogue, plan, out)


def input_gradient(
    gradient: Tensor, weight: Tensor, kernel_map: KernelMap, plan: Plan | None, epilogue: Epilogue = NOTHING
) -> Tensor:
    """[capacity_in, C_in]: the convolution by the transposed weights over the inverse map; over the map itself with
    mirrored weights where it is symmetric, so that no second order of rows is needed. `epilogue`: done to the sums."""
    turned = weight.transpose(1, 2)
    chosen = plan or default_plan(gradient, turned, kernel_map, None)
    if kernel_map.symmetric and chosen.dataflow in ("sorted", "unsorted"):
        from coevo.kernels.sparse.convolution import implicit_gemm

        return implicit_gemm.forward(gradient, turned, kernel_map, None, None, epilogue, chosen, None, mirrored=True)
    return forward(gradient, turned, kernel_map.inverse(), None, None, epilogue, chosen, None)


def weight_gradient(
    features: Tensor, second: Tensor | None, gradient: Tensor, kernel_map: KernelMap, plan: Plan | None
) -> Tensor:
    """[K, C_in, C_out], float32 for half types."""
    chosen = plan or default_plan(features, features.new_empty((1, 1, gradient.shape[1])), kernel_map, None)
    if chosen.dataflow in ("reference", "gather_scatter"):
        whole = features if second is None else torch.cat([features, second], dim=1)
        return reference.weight_gradient(whole, gradient, kernel_map)
    from coevo.kernels.sparse.convolution import weight_gradient as kernels

    return kernels.weight_gradient(features, gradient, kernel_map, second)
