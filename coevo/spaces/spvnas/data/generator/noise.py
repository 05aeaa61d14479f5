"""Random numbers that are functions of their place: the same on every device, in any order, with any chunking.

A number is a hash of (seed, stream, place): rounds of MurmurHash3's 32-bit finalizer over 64-bit integers, which torch
computes alike on CPU and GPU, where its generators differ.
"""

from __future__ import annotations

import math
from typing import Any

from coevo.errors import missing_extra

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "spvnas") from error

Tensor = Any
_MASK = 0xFFFFFFFF


def uniform(seed: int, stream: int, place: Tensor) -> Tensor:
    """float32 in (0, 1), one for each int64 place below 2^62."""
    low = place & _MASK
    high = place >> 32
    mixed = _finalized(low ^ _start(seed, stream))
    mixed = _finalized((mixed + high * 0x9E3779B1) & _MASK)
    return ((mixed >> 8).to(torch.float32) + 0.5) * (1.0 / (1 << 24))


def exponential(seed: int, stream: int, place: Tensor) -> Tensor:
    """float32 of the exponential distribution with mean 1."""
    return -uniform(seed, stream, place).log()


def normal(seed: int, stream: int, place: Tensor) -> Tensor:
    """float32 of the standard normal distribution (Box and Muller)."""
    radius = (-2.0 * uniform(seed, 2 * stream, place).log()).sqrt()
    return radius * (math.tau * uniform(seed, 2 * stream + 1, place)).cos()


def _finalized(value: Tensor) -> Tensor:
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & _MASK
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & _MASK
    return value ^ (value >> 16)


def _start(seed: int, stream: int) -> int:
    value = (seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    return (value ^ (value >> 27)) >> 32
