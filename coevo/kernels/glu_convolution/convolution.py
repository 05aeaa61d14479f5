"""SiLU, depthwise 3x3 convolution and gate with gradients: the kernels on a CUDA device, plain torch elsewhere."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.backend import resolve_backend
from coevo.kernels.glu_convolution import reference

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "sana") from error

Tensor = Any


def glu_convolution(values: Tensor, weight: Tensor, bias: Tensor, *, backend: str | None = None) -> Tensor:
    """a * SiLU(g) of (a, g) = depthwise3x3(SiLU(values)) + bias, channels last, the images padded by zeros.

    Args:
        values: [B, H, W, 2 h], float16, bfloat16, float32 or float64 (plain torch only): what the Mix-FFN's first 1x1
            convolution gives, before its SiLU. The first h channels become a, the others g.
        weight: [2 h, 1, 3, 3], as torch's depthwise convolution has it.
        bias: [2 h].
        backend: "triton", "reference", or None: the kernels for tensors on a CUDA device.

    Returns:
        [B, H, W, h] in the values' dtype; sums are float32. Gradients for all three, bitwise the same from run to run.

    Raises:
        InputError: shapes, dtypes or devices that do not fit together.
    """
    _check(values, weight, bias)
    if resolve_backend(backend, values) == "reference" or values.dtype == torch.float64:
        return reference.glu_convolution(values, weight, bias)
    from coevo.kernels.glu_convolution.autograd import GluConvolution

    result: Tensor = GluConvolution.apply(values, weight, bias)  # type: ignore[no-untyped-call]
    return result


def _check(values: Tensor, weight: Tensor, bias: Tensor) -> None:
    if values.dim() != 4 or not values.is_floating_point() or values.shape[3] % 2 or not values.shape[3]:
        raise InputError(
            f"the GLU convolution needs float values [B, H, W, 2 h], got {values.dtype} {tuple(values.shape)}"
        )
    channels = values.shape[3]
    for name, tensor, shape in (("weight", weight, (channels, 1, 3, 3)), ("bias", bias, (channels,))):
        if tuple(tensor.shape) != shape or tensor.device != values.device:
            raise InputError(
                f"the GLU convolution: {name} must be {shape} on {values.device}, got {tuple(tensor.shape)} on "
                f"{tensor.device}"
            )
