"""What a convolution is given, checked before anything is launched."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.convolution.epilogue import Epilogue
from coevo.kernels.sparse.maps.kernel_map import KernelMap

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "cuda") from error

Tensor = Any
LEAST_CAPABILITY = (8, 0)
"""The compute capability that the kernels need: asynchronous copies and tensor cores for bfloat16 and tf32."""


def check_operands(
    features: Tensor,
    weight: Tensor,
    kernel_map: KernelMap,
    second: Tensor | None,
    channels: Tensor | None,
    epilogue: Epilogue,
) -> None:
    """InputError where shapes, dtypes or devices do not fit together."""
    if features.ndim != 2 or not features.is_floating_point():
        raise InputError(f"features must be floats [rows, C_in], got {features.dtype} {list(features.shape)}")
    _check_rows("features", features, kernel_map.capacity_in)
    if second is not None:
        if second.ndim != 2:
            raise InputError(f"the second input must be [rows, C], got {list(second.shape)}")
        _check_rows("the second input", second, kernel_map.capacity_in)
    num_inputs = features.shape[1] + (0 if second is None else second.shape[1])
    held = f"[{kernel_map.volume}, {num_inputs}, C_out]"
    if weight.ndim != 3 or weight.shape[0] != kernel_map.volume:
        raise InputError(f"the weight must be {held} for this map and these features, got {list(weight.shape)}")
    if channels is None:
        if weight.shape[1] != num_inputs:
            raise InputError(
                f"the weight must be {held} for these features, got {list(weight.shape)}: slice it, or give `channels`"
            )
    elif channels.ndim != 1 or len(channels) != num_inputs or channels.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"channels must be int32 or int64 [{num_inputs}], one of the weight's input channels for each channel of "
            f"the features, got {channels.dtype} {list(channels.shape)}"
        )
    _check_epilogue(epilogue, weight.shape[2], kernel_map.capacity_out)
    given = {"weight": weight, "second": second, "channels": channels, "the map": kernel_map.neighbours}
    for name, tensor in {**given, **epilogue.tensors()}.items():
        if tensor is None:
            continue
        if tensor.device != features.device:
            raise InputError(f"features are on {features.device} and {name} on {tensor.device}: put both on one device")
        if name not in ("channels", "the map", "scale", "shift") and tensor.dtype != features.dtype:
            raise InputError(f"features are {features.dtype} and {name} is {tensor.dtype}: cast one of them")


def check_device(features: Tensor, interpreted: bool) -> None:
    """InputError where the Triton kernels cannot run on these features."""
    if features.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        raise InputError(
            f"the Triton kernels take float16, bfloat16 and float32, got {features.dtype}: cast the features, or use "
            "Plan(dataflow='reference')"
        )
    if interpreted:
        if features.dtype == torch.bfloat16:
            raise InputError("Triton's interpreter has no bfloat16 product: use float16, float32 or a CUDA device")
        return
    if features.device.type != "cuda":
        raise InputError(
            f"the Triton kernels need a CUDA tensor, got features on {features.device}: move them, or use "
            "Plan(dataflow='reference')"
        )
    capability = torch.cuda.get_device_capability(features.device)
    if capability < LEAST_CAPABILITY:
        raise InputError(
            f"the Triton kernels need compute capability {LEAST_CAPABILITY[0]}.{LEAST_CAPABILITY[1]}, "
            f"{torch.cuda.get_device_name(features.device)} has {capability[0]}.{capability[1]}: use "
            "Plan(dataflow='reference')"
        )


def _check_rows(name: str, tensor: Tensor, rows: int) -> None:
    if len(tensor) != rows:
        raise InputError(f"{name} must have the {rows} rows of the map's input side, got {len(tensor)}")


def _check_epilogue(epilogue: Epilogue, num_outputs: int, rows: int) -> None:
    for name in ("scale", "shift"):
        tensor = getattr(epilogue, name)
        if tensor is not None and list(tensor.shape) != [num_outputs]:
            raise InputError(f"{name} must be [{num_outputs}], got {list(tensor.shape)}")
    copied, to = epilogue.copied, epilogue.copied_to
    if (copied is None) != (to is None) or (
        copied is not None and to is not None and (copied.shape != to.shape or len(copied) != rows)
    ):
        shapes = [None if each is None else list(each.shape) for each in (copied, to)]
        raise InputError(f"what is copied and where to must be [{rows}, C_b] both, got {shapes[0]} and {shapes[1]}")
    residual, shortcut, by = epilogue.residual, epilogue.shortcut, epilogue.shortcut_weight
    if residual is not None and list(residual.shape) != [rows, num_outputs]:
        raise InputError(f"the residual must be [{rows}, {num_outputs}], got {list(residual.shape)}")
    if (shortcut is None) != (by is None):
        raise InputError("a shortcut and its weight come together: give both or neither")
    if shortcut is not None and by is not None:
        if shortcut.ndim != 2 or len(shortcut) != rows:
            raise InputError(f"the shortcut must be [{rows}, C_s], got {list(shortcut.shape)}")
        if list(by.shape) != [shortcut.shape[1], num_outputs]:
            raise InputError(
                f"the shortcut's weight must be [{shortcut.shape[1]}, {num_outputs}], got {list(by.shape)}"
            )
