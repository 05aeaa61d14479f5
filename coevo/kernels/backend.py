"""Which code runs an operation: Triton's kernels or plain torch."""

from __future__ import annotations

from typing import Any

from coevo.errors import ConfigError, InputError

Tensor = Any
BACKENDS = ("triton", "reference")


def resolve_backend(backend: str | None, tensor: Tensor) -> str:
    """The backend asked for; where None, Triton for a tensor on a CUDA device and the reference elsewhere.

    Raises:
        ConfigError: no such backend.
        InputError: Triton for a tensor that its kernels cannot reach.
    """
    if backend is None:
        return "triton" if tensor.is_cuda else "reference"
    if backend not in BACKENDS:
        raise ConfigError(f"backend must be one of {', '.join(BACKENDS)} or None, got {backend!r}")
    if backend == "triton" and not tensor.is_cuda:
        from coevo.kernels.triton_runtime import INTERPRETED

        if not INTERPRETED:
            raise InputError(
                f"backend 'triton' needs tensors on a CUDA device, got one on {tensor.device}; "
                "move it there or take backend='reference'"
            )
    return backend
