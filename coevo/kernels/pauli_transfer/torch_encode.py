"""Encoded samples as tensors: the one-qubit encoders of a whole batch at once.

As `encode`, which does one encoder a call: a rotation and the constant rows after it are one step of three parts.
Conventions and the arrays' meaning: `coevo.kernels.pauli_transfer`.
"""

from __future__ import annotations

from typing import Any

from coevo.errors import missing_extra

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any


def encode_batch(first: Tensor, steps: Tensor, offsets: Tensor, slopes: Tensor, inputs: Tensor) -> Tensor:
    """The Pauli vectors [U, 4, samples] of U encoders of one qubit each.

    Args:
        first: [U, 4], the Pauli vectors before the first rotations.
        steps: [U, K, 3, 4, 4], the constant, cosine and sine parts of each rotation with the constant rows after it.
        offsets: [U, K], the constant of each rotation's angle; slopes [U, K, columns].
        inputs: [samples, columns], radians.
    """
    encoders, rotations = offsets.shape
    angles = offsets[:, :, None] + slopes @ inputs.T
    cosine, sine = torch.cos(angles), torch.sin(angles)
    state = first[:, :, None].expand(-1, -1, len(inputs))
    for step in range(rotations):
        parts = (steps[:, step].reshape(encoders, 12, 4) @ state).view(encoders, 3, 4, -1)
        state = parts[:, 0] + cosine[:, step, None] * parts[:, 1] + sine[:, step, None] * parts[:, 2]
    return state
