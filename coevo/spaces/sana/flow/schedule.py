"""Times of sampling, and log-SNR and its inverse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from coevo.errors import ConfigError

TIMESTEPS = 1000.0
"""A model is told TIMESTEPS * t."""
FIRST_TIME = 0.999
"""Sampling begins here, before the shift, and not at 1, where log-SNR is infinite."""


def shifted(time: float, shift: float) -> float:
    """shift t / (1 + (shift - 1) t): more of the steps where noise is strong, as larger latents want (SD3, arXiv
    2403.03206, 5.3.2); Sana has 3."""
    return shift * time / (1 + (shift - 1) * time)


def log_snr(time: float) -> float:
    """lambda = log((1 - t) / t): infinite at 0, minus infinite at 1."""
    if time <= 0:
        return math.inf
    return math.log((1 - time) / time) if time < 1 else -math.inf


def time_of_log_snr(value: float) -> float:
    """The inverse of `log_snr`: 1 / (1 + exp(lambda))."""
    return 1 / (1 + math.exp(value)) if value < 700 else math.exp(-value)


def flow_times(steps: int, shift: float = 3.0) -> tuple[float, ...]:
    """steps + 1 times from nearly 1 down to 0: evenly spaced, then shifted, as diffusers' scheduler has them.

    Raises:
        ConfigError: no step, or a shift that is not over 0.
    """
    _check(steps, shift)
    return tuple(shifted(FIRST_TIME * (1 - step / steps), shift) for step in range(steps + 1))


def log_snr_times(steps: int, first: float = FIRST_TIME, last: float = 0.001) -> tuple[float, ...]:
    """steps + 1 times: `steps` of them evenly spaced in log-SNR from `first` to `last`, then 0.

    Raises:
        ConfigError: no step, or times out of order.
    """
    _check(steps, 1.0)
    if not 0 < last < first < 1:
        raise ConfigError(f"times from {first} to {last}: expected 1 > first > last > 0")
    low, high = log_snr(first), log_snr(last)
    inner = [time_of_log_snr(low + (high - low) * step / max(1, steps - 1)) for step in range(steps)]
    return (*inner, 0.0)


def check_times(times: Sequence[float]) -> None:
    """Raises ConfigError where times do not fall strictly, from at most 1 to at least 0."""
    falls = all(now > after for now, after in itertools.pairwise(times))
    if len(times) < 2 or not falls or times[0] > 1 or times[-1] < 0:
        shown = ", ".join(f"{each:.4g}" for each in times[:8])
        raise ConfigError(f"sampling wants at least two times that fall strictly from at most 1 to at least 0: {shown}")


def _check(steps: int, shift: float) -> None:
    if steps < 1:
        raise ConfigError(f"{steps} steps of sampling: expected 1 or more")
    if not 0 < shift < math.inf:
        raise ConfigError(f"a shift of {shift}: expected a number over 0; Sana has 3")
