"""Channels padded with zeros, so that rows are moved 16 bytes at a time.

A row of 81 half-precision channels starts at any even address: the kernels would load and store it two bytes at a time.
With multiples of 16 channels they copy asynchronously and use tensor descriptors.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.convolution.epilogue import Epilogue

try:
    from torch.nn.functional import pad
except ImportError as error:
    raise missing_extra("torch", "cuda") from error

Tensor = Any
ALIGNED_CHANNELS = 16
FEW_OUTPUTS = 32
"""Output channels up to which results are stored as they are: a classifier's few are no rows to be gathered."""


def missing(channels: int) -> int:
    """Channels up to the next multiple of 16."""
    return -channels % ALIGNED_CHANNELS


def missing_outputs(channels: int) -> int:
    """`missing` for output channels, 0 for few."""
    return missing(channels) if channels > FEW_OUTPUTS else 0


def aligned_epilogue(epilogue: Epilogue, columns: int) -> Epilogue:
    """The epilogue for `columns` output channels more, which it leaves 0, and with its shortcut's channels aligned."""
    shortcut, by = epilogue.shortcut, epilogue.shortcut_weight
    inner = 0 if shortcut is None else missing(shortcut.shape[1])
    return Epilogue(
        scale=widened(epilogue.scale, columns),
        shift=widened(epilogue.shift, columns),
        residual=widened(epilogue.residual, columns),
        relu=epilogue.relu,
        shortcut=widened(shortcut, inner),
        shortcut_weight=None if by is None else pad(by, (0, columns, 0, inner)),
        copied=epilogue.copied,
        copied_to=epilogue.copied_to,
    )


def widened(tensor: Tensor | None, columns: int) -> Tensor | None:
    """The tensor with columns of zeros more; None for None."""
    return tensor if tensor is None or not columns else pad(tensor, (0, columns))


def widened_weight(weight: Tensor, inputs: int, outputs: int) -> Tensor:
    """[K, C_in + inputs, C_out + outputs], zeros where there was nothing."""
    return pad(weight, (0, outputs, 0, inputs))
