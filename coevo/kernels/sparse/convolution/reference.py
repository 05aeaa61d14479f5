"""Sparse convolution in plain torch, for any device and dtype: what every other way is held to.

For output row i, out[i] = sum over offsets k of features[neighbours[k, i]] @ weight[k], where there is a neighbour.
Half types are summed in float32. Rows at and above a count are neither read nor counted on; they come out as zeros.
Nothing here waits for the device.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.convolution.epilogue import NOTHING, Epilogue
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
    *,
    second: Tensor | None = None,
    channels: Tensor | None = None,
    epilogue: Epilogue = NOTHING,
) -> Tensor:
    """[capacity_out, C_out] of features [capacity_in, C_in] and weight [K, C_in, C_out] (`convolve`)."""
    if second is not None:
        features = torch.cat([features, second], dim=1)
    if channels is not None:
        weight = weight.index_select(1, channels)
    wide = _summed_in(features.dtype)
    sums = torch.zeros((kernel_map.capacity_out, weight.shape[2]), dtype=wide, device=features.device)
    if not len(features):
        return sums.to(features.dtype)
    for k in range(kernel_map.volume):
        sums = sums + _gathered(features, kernel_map, k).to(wide) @ weight[k].to(wide)
    return finish(sums, kernel_map, epilogue).to(features.dtype)


def finish(sums: Tensor, kernel_map: KernelMap, epilogue: Epilogue) -> Tensor:
    """The epilogue in the dtype of the sums; zeros at rows that are not in use."""
    used = _used(kernel_map)[:, None]
    if epilogue.shortcut is not None and epilogue.shortcut_weight is not None:
        shortcut = torch.where(used, epilogue.shortcut, 0).to(sums.dtype)
        sums = sums + shortcut @ epilogue.shortcut_weight.to(sums.dtype)
    if epilogue.scale is not None:
        sums = sums * epilogue.scale.to(sums.dtype)
    if epilogue.shift is not None:
        sums = sums + epilogue.shift.to(sums.dtype)
    if epilogue.residual is not None:
        sums = sums + torch.where(used, epilogue.residual, 0).to(sums.dtype)
    if epilogue.copied is not None and epilogue.copied_to is not None:
        epilogue.copied_to.copy_(torch.where(used, epilogue.copied, epilogue.copied_to))
    if epilogue.relu:
        sums = sums.relu()
    return torch.where(used, sums, 0)


def input_gradient(gradient: Tensor, weight: Tensor, kernel_map: KernelMap) -> Tensor:
    """[capacity_in, C_in] of the output's gradient [capacity_out, C_out]: the convolution over the inverse map with
    every weight[k] transposed."""
    return forward(gradient, weight.transpose(1, 2), kernel_map.inverse())


def weight_gradient(features: Tensor, gradient: Tensor, kernel_map: KernelMap) -> Tensor:
    """[K, C_in, C_out], in float32 for half types: for each offset, features^T @ gradient over its pairs."""
    wide = _summed_in(features.dtype)
    shape = (kernel_map.volume, features.shape[1], gradient.shape[1])
    sums = torch.zeros(shape, dtype=wide, device=features.device)
    if not len(features):
        return sums
    gradient = torch.where(_used(kernel_map)[:, None], gradient, 0).to(wide)
    for k in range(kernel_map.volume):
        sums[k] = _gathered(features, kernel_map, k).to(wide).T @ gradient
    return sums


def _gathered(features: Tensor, kernel_map: KernelMap, k: int) -> Tensor:
    """[capacity_out, C_in], the features that the output rows meet at offset k, zeros where there are none."""
    rows = kernel_map.neighbours[k].to(torch.int64)
    present = (rows >= 0) & _used(kernel_map)
    return torch.where(present[:, None], features[rows.clamp(min=0)], 0)


def _used(kernel_map: KernelMap) -> Tensor:
    rows = torch.arange(kernel_map.capacity_out, device=kernel_map.neighbours.device)
    return rows < kernel_map.count_out


def _summed_in(dtype: Any) -> Any:
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
