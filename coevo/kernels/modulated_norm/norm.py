"""Layer norm with modulation, gate with residual, and gradients: kernels on a CUDA device, plain torch elsewhere."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.backend import resolve_backend
from coevo.kernels.modulated_norm import reference

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "sana") from error

Tensor = Any
MAX_CHANNELS = 8192


def modulated_norm(
    values: Tensor, scale: Tensor, shift: Tensor, *, epsilon: float = 1e-6, backend: str | None = None
) -> Tensor:
    """Layer norm of every token without weights, times 1 + scale, plus shift.

    Args:
        values: [B, N, D], float16, bfloat16, float32 or float64 (plain torch only).
        scale, shift: [B, D]; rows may have any stride, so that slices of a table [B, 6, D] serve as they are.
        epsilon: added to the variance under the root.
        backend: "triton", "reference", or None: the kernels for tensors on a CUDA device.

    Returns:
        [B, N, D] in the values' dtype; float32 inside. Gradients for all three, bitwise the same from run to run.
    """
    _check(values, None, scale=scale, shift=shift)
    if _plain(values, backend):
        return reference.modulated_norm(values, scale, shift, epsilon)
    from coevo.kernels.modulated_norm.autograd import ModulatedNorm

    result: Tensor = ModulatedNorm.apply(values, scale, shift, epsilon)  # type: ignore[no-untyped-call]
    return result


def gated_residual(values: Tensor, update: Tensor, gate: Tensor | None = None, *, backend: str | None = None) -> Tensor:
    """values + gate * update, or values + update without a gate; shapes and dtypes as `modulated_norm`."""
    _check(values, update, gate=gate)
    if _plain(values, backend):
        return reference.gated_residual(values, update, gate)
    from coevo.kernels.modulated_norm.autograd import GatedResidual

    result: Tensor = GatedResidual.apply(values, update, gate)  # type: ignore[no-untyped-call]
    return result


def gated_residual_norm(
    values: Tensor,
    update: Tensor,
    gate: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    *,
    epsilon: float = 1e-6,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """(added, normed) in one pass: `gated_residual(values, update, gate)`, and `modulated_norm` of that.

    The norm sees `added` as it is rounded to the values' dtype.
    """
    _check(values, update, gate=gate, scale=scale, shift=shift)
    if _plain(values, backend):
        added = reference.gated_residual(values, update, gate)
        return added, reference.modulated_norm(added, scale, shift, epsilon)
    from coevo.kernels.modulated_norm.autograd import GatedResidualNorm

    added, normed = GatedResidualNorm.apply(values, update, gate, scale, shift, epsilon)  # type: ignore[no-untyped-call]
    return added, normed


def rms_norm(values: Tensor, weight: Tensor, *, epsilon: float = 1e-5, backend: str | None = None) -> Tensor:
    """values / sqrt(mean(values^2) + epsilon) * weight over the last axis.

    Args:
        values: [B, N, D], dtypes as of `modulated_norm`; rows may have any stride.
        weight: [D].
        epsilon, backend: as of `modulated_norm`.

    Returns:
        [B, N, D] in the values' dtype; float32 inside. Gradients for both, bitwise the same from run to run.
    """
    _check(values, None)
    if tuple(weight.shape) != (values.shape[2],) or weight.device != values.device:
        raise InputError(
            f"an RMS norm of {values.shape[2]} channels on {values.device} takes as many weights there, got "
            f"{tuple(weight.shape)} on {weight.device}"
        )
    if _plain(values, backend):
        return reference.rms_norm(values, weight, epsilon)
    from coevo.kernels.modulated_norm.autograd import RmsNorm

    result: Tensor = RmsNorm.apply(values, weight, epsilon)  # type: ignore[no-untyped-call]
    return result


def _plain(values: Tensor, backend: str | None) -> bool:
    plain = resolve_backend(backend, values) == "reference" or values.dtype == torch.float64
    if not plain and values.shape[2] > MAX_CHANNELS:
        raise InputError(
            f"the kernels of modulated norms take at most {MAX_CHANNELS} channels, got {values.shape[2]}; "
            "take backend='reference'"
        )
    return plain


def _check(values: Tensor, update: Tensor | None, **rows: Tensor | None) -> None:
    if values.dim() != 3 or not values.is_floating_point():
        raise InputError(f"a modulated norm needs float values [B, N, D], got {values.dtype} {tuple(values.shape)}")
    if update is not None and (update.shape != values.shape or update.device != values.device):
        raise InputError(
            f"gated residual: the update is {tuple(update.shape)} on {update.device}, the values "
            f"{tuple(values.shape)} on {values.device}; they must be alike"
        )
    shape = (values.shape[0], values.shape[2])
    for name, row in rows.items():
        if row is not None and (tuple(row.shape) != shape or row.device != values.device):
            raise InputError(
                f"modulation: {name} must be {shape} on {values.device}, got {tuple(row.shape)} on {row.device}"
            )
